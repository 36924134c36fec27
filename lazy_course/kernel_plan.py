"""Which way each layer's kernel is computed, in which blocks, and whether it fits into the memory that is given.

Costs are counted in multiply-adds of a large matrix product. The other numbers say how many of those one operation is
worth; they were measured on two cores with AVX-512 and single precision, and only the choice between ways, never the
result, depends on them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lazy_course.kernel_layers import Geometry, Tiles, tile_count
from lazy_course.kernel_trace import Program

# One number that is read, changed and written.
ELEMENT = 25.0
# A product of batches of small matrices runs at this part of the speed of a large one.
BATCHED = 3.0
# To start the program of one pair of blocks, and one turn of a loop over tiles.
START, TURN = 1e8, 2e6
# Numbers that one core's cache holds: intermediate blocks of this size are not sent to memory.
CACHE = 700_000
# A symmetric product is split when both sides keep this many rows.
SPLIT_ROWS = 128
MOST_SPLITS = 8


class Part(NamedTuple):
    """A layer's way with what it costs and how many numbers it holds at once beside features and result."""

    tiles: Tiles
    cost: float
    held: int


class Plan(NamedTuple):
    """Blocks of `block` samples, the tiles of each layer and then of each other leaf, and the numbers held at most."""

    block: int
    tiles: tuple[Tiles, ...]
    cost: float
    held: int


class Request(NamedTuple):
    """A result of `copies` arrays of shape (n1, k, n2, k), the gradients' c channels taken `channels` at a time.

    Full: k outputs, 1, 1. Traced over outputs: k = 1, and the outputs count as channels. One kernel for each output:
    k = 1, as many copies as outputs.
    """

    n1: int
    n2: int
    k: int
    channels: int
    copies: int
    symmetric: bool


class Sizes(NamedTuple):
    """What the plan needs to know of a network: layers and leaves, outputs, and numbers per sample of one pass."""

    shapes: tuple[Geometry, ...]
    k: int
    forward: int
    widest: int
    passes: float


def sizes_of(program: Program, shapes: Sequence[Geometry]) -> Sizes:
    """The sizes of a network for one sample, from the steps that depend on the sample."""
    depends, results = {program.n_leaves}, []
    for step in program.steps:
        if depends.intersection(step.inputs):
            depends.update(step.outputs)
            results += [int(program.shapes[i].size) for i in step.outputs]
    k = int(program.shapes[program.outputs[0]].size)
    passes = float(sum(s.positions * s.inputs * s.outputs for s in shapes))
    return Sizes(tuple(shapes), k, sum(results), max([k, *results]), passes)


def feature_size(sizes: Sizes) -> int:
    """Numbers that the inputs and gradients of one sample are."""
    return sum(s.input_size + sizes.k * s.positions * s.outputs for s in sizes.shapes)


def backward_size(sizes: Sizes, samples: int) -> int:
    """Numbers that are alive in the forward and backward pass of a block, at most, beside its features."""
    return samples * (sizes.forward + 4 * sizes.k * sizes.widest)


def ways(shape: Geometry, n1: int, n2: int, k: int, symmetric: bool, room: int) -> list[Part]:
    """The ways to compute one layer's part for n1 and n2 samples with k outputs that hold at most `room` numbers."""
    found = [_gram(shape, n1, n2, k, symmetric, room)]
    if shape.inputs:
        found.append(_jacobian(shape, n1, n2, k, symmetric, room))
    if shape.inputs and shape.positions > 1:
        found.append(_pairs(shape, n1, n2, k, symmetric, room))
    return [part for part in found if part is not None and part.held <= room]


def _cost(n1: int, n2: int, each: float, tiles: Tiles, symmetric: bool) -> float:
    """The cost of all tiles, where a pair of samples costs `each`."""
    jobs = tile_count((n1, n2), tiles, symmetric)
    return jobs * (tiles.rows * tiles.columns * each + (TURN if jobs > 1 else 0.0))


def _splits(n: int, rows_each: int, symmetric: bool) -> int:
    """The samples of a tile, when symmetric halves are not to be computed twice."""
    parts = min(MOST_SPLITS, max(1, n * rows_each // SPLIT_ROWS)) if symmetric else 1
    return -(-n // parts)


def _input_products(shape: Geometry) -> float:
    """Cost of the inner products of two samples' inputs."""
    if not shape.window:
        return float(shape.positions**2 * shape.inputs)
    pixels, taps = int(np.prod(shape.pixels)), int(np.prod(shape.window))
    return pixels**2 * (shape.inputs // taps + ELEMENT) + taps * shape.positions**2 * ELEMENT / 4


def _gram(shape: Geometry, n1: int, n2: int, k: int, symmetric: bool, room: int) -> Part:
    p, c = shape.positions, shape.outputs
    pixels = int(np.prod(shape.pixels)) if shape.window else p

    def held(b1: int, b2: int) -> int:
        inner = b1 * b2 * (3 * p**2 + 2 * pixels**2) if shape.inputs else 0
        return b1 * b2 * k**2 * (p**2 + 1) + inner + 2 * (b1 + b2) * (k * p * c + shape.input_size)

    rows = columns = _splits(max(n1, n2), k * p, symmetric)
    if p > 1:
        rows = columns = max(1, min(rows, int(2 * np.sqrt(CACHE) / (k * p))))
    while rows > 1 and held(rows, columns) > room:
        rows = columns = rows // 2
    tiles = Tiles("gram", min(rows, n1), min(columns, n2))
    each = (k * p) ** 2 * c + ((k * p) ** 2 * ELEMENT / 4 if shape.inputs else 0.0)
    each += _input_products(shape) if shape.inputs else 0.0
    return Part(tiles, _cost(n1, n2, each, tiles, symmetric), held(tiles.rows, tiles.columns))


def _pairs(shape: Geometry, n1: int, n2: int, k: int, symmetric: bool, room: int) -> Part:
    p, c = shape.positions, shape.outputs
    pixels = int(np.prod(shape.pixels)) if shape.window else p

    def held(b: int) -> int:
        return b * (3 * k * p * c + 3 * p**2 + 2 * pixels**2) + (n1 + n2) * k * p * c + b * shape.input_size

    columns = max(1, min(n2, CACHE // (k * p * c)))
    while columns > 1 and held(columns) > room:
        columns //= 2
    tiles = Tiles("pairs", 1, columns)
    each = BATCHED * (p**2 * k * c + p * k**2 * c) + _input_products(shape)
    return Part(tiles, _cost(n1, n2, each, tiles, symmetric), held(columns))


def _jacobian(shape: Geometry, n1: int, n2: int, k: int, symmetric: bool, room: int) -> Part:
    p, c, q = shape.positions, shape.outputs, shape.inputs
    sides = n1 if symmetric else n1 + n2
    fixed = sides * (p * q + 2 * k * p * c) + 2 * n1 * n2 * k**2
    each = 2 * sides * k * (q + p)
    channels = int(np.clip((room - fixed) // each, 1, c))
    channels = -(-c // -(-c // channels))
    size = _splits(max(n1, n2), k, symmetric)
    tiles = Tiles("jacobian", min(size, n1), min(size, n2), channels)
    cost = sides * k * q * c * (p + ELEMENT) + _cost(n1, n2, float(k**2 * q * c), tiles, symmetric)
    return Part(tiles, cost, fixed + each * channels)


def plan(sizes: Sizes, request: Request, numbers: int) -> Plan | None:
    """The cheapest plan that holds at most `numbers` numbers, the result among them; None if there is none."""
    best = None
    n = max(request.n1, request.n2)
    for parts in _block_counts(n):
        found = _plan_of(sizes, request, -(-n // parts), numbers)
        if found is not None and (best is None or found.cost < best.cost):
            best = found
        if found is not None and best is not None and found.cost > 2 * best.cost:
            break
    return best


def least(sizes: Sizes, request: Request) -> int:
    """The numbers that a plan must be allowed to hold, to within one percent."""
    high = 1024
    while plan(sizes, request, high) is None:
        high *= 2
    low = high // 2
    while high - low > high // 100:
        middle = (low + high) // 2
        low, high = (low, middle) if plan(sizes, request, middle) is not None else (middle, high)
    return high


def _block_counts(n: int) -> list[int]:
    counts, count = [], 1
    while count < n:
        counts.append(count)
        count += max(1, count // 4)
    return [*counts, n]


def _plan_of(sizes: Sizes, request: Request, block: int, numbers: int) -> Plan | None:
    n1, n2, k = min(block, request.n1), min(block, request.n2), request.k
    whole = (n1, n2) == (request.n1, request.n2)
    symmetric = request.symmetric
    features = feature_size(sizes) * (n1 if whole and symmetric else n1 + n2)
    # The whole result; beside it a block's sum and one layer's part, and a block's transpose where it is mirrored.
    result = request.n1 * request.n2 * k**2 * request.copies + (2 if whole else 3) * n1 * n2 * k**2
    room = numbers - result - features
    work = backward_size(sizes, max(n1, n2))
    if room < work:
        return None
    tiles, cost, held = [], 0.0, work
    for shape in sizes.shapes:
        wide = shape._replace(outputs=shape.outputs * request.channels)
        parts = ways(wide, n1, n2, k, whole and symmetric, room)
        if not parts:
            return None
        chosen = min(parts, key=lambda part: part.cost)
        tiles.append(chosen.tiles)
        cost, held = cost + chosen.cost * request.copies, max(held, chosen.held)
    rows, columns = -(-request.n1 // block), -(-request.n2 // block)
    jobs = rows * (rows + 1) // 2 if symmetric else rows * columns
    passes = (sizes.k + 1) * sizes.passes * block * (jobs if symmetric else rows + jobs)
    return Plan(block, tuple(tiles), jobs * (cost + START) + passes, result + features + held)


def plan_diagonal(sizes: Sizes, n: int, numbers: int) -> Plan | None:
    """The plan of the diagonal K_ia,ia, in the largest blocks that fit; None if there is none."""
    k, tiles, work = sizes.k, [], 0
    for s in sizes.shapes:
        p, q, c = s.positions, s.inputs, s.outputs
        pixels = int(np.prod(s.pixels)) if s.window else p
        gram = _input_products(s) + k * p**2 * c
        way = "jacobian" if q and k * p * q * c < gram else "gram"
        tiles.append(Tiles(way, 1, 1))
        held = p * q + k * q * c if way == "jacobian" else (2 * pixels**2 + 3 * p**2 if q else 0) + k * p * c
        work = max(work, held)
    fixed = n * k * 2 + work
    each = feature_size(sizes) + backward_size(sizes, 1)
    block = min(n, (numbers - fixed) // each)
    if block < 1:
        return None
    return Plan(block, tuple(tiles), 0.0, fixed + block * each)


def least_diagonal(sizes: Sizes, n: int) -> int:
    """The numbers that `plan_diagonal` must be allowed to hold."""
    found = plan_diagonal(sizes, n, 2**62)
    assert found is not None
    each = feature_size(sizes) + backward_size(sizes, 1)
    return found.held - (found.block - 1) * each
