r"""The tangent kernel of one layer, from its inputs and from the gradients at its results, in three ways.

A layer's result at position r is $z_r = W a_r$: q inputs, c outputs, P positions (pixels of a convolution; a dense
layer mostly has one). With $g_{iar}$ the gradient of output a of sample i with respect to $z_r$, the layer's Jacobian
is $J_{ia} = \sum_r g_{iar} a_{ir}^\top$, and its part of the kernel is

$$K_{ia,jb} = \langle J_{ia}, J_{jb}\rangle
= \sum_{r,s} \langle a_{ir}, a_{js}\rangle\, \langle g_{iar}, g_{jbs}\rangle.$$

"jacobian" forms J and multiplies; "gram" forms both inner products on the right; "pairs" forms the first, $M_{ij}$, and
then $\langle g_{ia}, M_{ij} g_{jb}\rangle$. The inputs are shared by the k outputs: that is the gain over a Jacobian.
All three return (n1, k, n2, k); where both sides are the same (`symmetric`), half of it is computed.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from lazy_course.convolutional import extract_patches
from lazy_course.kernel_trace import Layer, Program


class Geometry(NamedTuple):
    """Sizes of a layer for one sample. A leaf outside of layers has q = 0 and P = 1; a dense layer no window."""

    positions: int
    inputs: int
    outputs: int
    pixels: tuple[int, ...] = ()
    window: tuple[int, ...] = ()
    strides: tuple[int, ...] = ()
    padding: tuple[tuple[int, int], ...] = ()
    dilation: tuple[int, ...] = ()

    @property
    def input_size(self) -> int:
        """The numbers that a sample's input has: pixels times channels, or P q."""
        if self.window:
            return int(np.prod(self.pixels)) * (self.inputs // int(np.prod(self.window)))
        return self.positions * self.inputs


class Feature(NamedTuple):
    """What a layer knows of a block of samples: inputs (n, *pixels, channels) or (n, P, q), gradients (n, k, P, c)."""

    inputs: Array | None
    gradients: Array


class Tiles(NamedTuple):
    """A way and the sizes of its parts: samples on both sides of one product, and outputs c for "jacobian"."""

    way: str
    rows: int
    columns: int
    channels: int = 0


def geometry(program: Program, layer: Layer) -> Geometry:
    """The sizes of a layer."""
    step = program.steps[layer.step]
    data, weight = (program.shapes[step.inputs[i]].shape for i in (layer.data, 1 - layer.data))
    if step.name == "dot_general":
        contracted = step.params["dimension_numbers"][0][layer.data]
        q = int(np.prod([data[i] for i in contracted]))
        return Geometry(int(np.prod(data)) // q, q, int(np.prod(weight)) // q)
    numbers, params = step.params["dimension_numbers"], step.params
    result = program.shapes[step.outputs[0]].shape
    return Geometry(
        int(np.prod([result[i] for i in numbers.out_spec[2:]])),
        int(np.prod(weight)) // weight[numbers.rhs_spec[0]],
        weight[numbers.rhs_spec[0]],
        tuple(data[i] for i in numbers.lhs_spec[2:]),
        tuple(weight[i] for i in numbers.rhs_spec[2:]),
        tuple(params["window_strides"]),
        tuple(params["padding"]),
        tuple(params["rhs_dilation"]),
    )


def arranged(program: Program, layer: Layer, a: Array, g: Array) -> tuple[Array, Array]:
    """A layer's input for one sample as (P, q) or (*pixels, channels), and its gradients as (k, P, c)."""
    step, k = program.steps[layer.step], g.shape[0]
    shape = geometry(program, layer)
    if shape.window:
        numbers = step.params["dimension_numbers"]
        a = jnp.transpose(a, (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1]))[0]
        out = (numbers.out_spec[0], *numbers.out_spec[2:], numbers.out_spec[1])
        g = jnp.transpose(g, (0, *(i + 1 for i in out)))
        return a, g.reshape(k, shape.positions, shape.outputs)
    contracted = step.params["dimension_numbers"][0][layer.data]
    free = [i for i in range(a.ndim) if i not in contracted]
    a = jnp.transpose(a, (*free, *contracted)).reshape(shape.positions, shape.inputs)
    if layer.data == 0:
        return a, g.reshape(k, shape.positions, shape.outputs)
    return a, jnp.swapaxes(g.reshape(k, shape.outputs, shape.positions), 1, 2)


def patches_of(a: Array, shape: Geometry) -> Float[Array, "n p q"]:
    """The inputs at all positions: the patches of a convolution."""
    if not shape.window:
        return a
    found = extract_patches(a, shape.window, strides=shape.strides, padding=shape.padding, dilation=shape.dilation)
    return found.reshape(a.shape[0], shape.positions, shape.inputs)


def input_products(a1: Array, a2: Array, shape: Geometry) -> Float[Array, "n1 p n2 p"]:
    r"""The inner products $\langle a_{ir}, a_{js}\rangle$ of all inputs.

    For a convolution they are sums of the inner products of pixels along shifted diagonals: patches that overlap
    share their products, so that no patch is formed.
    """
    n1, n2, c = a1.shape[0], a2.shape[0], a1.shape[-1]
    products = a1.reshape(-1, c) @ a2.reshape(-1, c).T
    if not shape.window:
        return products.reshape(n1, shape.positions, n2, shape.positions)
    axes = range(len(shape.pixels))
    products = products.reshape(n1, *shape.pixels, n2, *shape.pixels)
    borders = [(0, 0, 0), *((before, after, 0) for before, after in shape.padding)]
    products = lax.pad(products, jnp.zeros((), products.dtype), [*borders, *borders])
    size = products.shape[1 : len(axes) + 1]
    span = [(shape.window[i] - 1) * shape.dilation[i] + 1 for i in axes]
    stops = [(size[i] - span[i]) // shape.strides[i] * shape.strides[i] + 1 for i in axes]
    total = None
    for shift in np.ndindex(*shape.window):
        begin = [shift[i] * shape.dilation[i] for i in axes]
        end = [begin[i] + stops[i] for i in axes]
        strides = [1, *shape.strides, 1, *shape.strides]
        piece = lax.slice(products, [0, *begin, 0, *begin], [n1, *end, n2, *end], strides)
        total = piece if total is None else total + piece
    assert total is not None
    return total.reshape(n1, shape.positions, n2, shape.positions)


def contract(first: Feature, second: Feature, shape: Geometry, tiles: Tiles, *, symmetric: bool) -> Array:
    """The layer's part of the kernel, (n1, k, n2, k), the way that `tiles` says."""
    if tiles.way == "jacobian":
        return _by_jacobian(first, second, shape, tiles, symmetric)
    n1, n2, k = first.gradients.shape[0], second.gradients.shape[0], first.gradients.shape[1]
    if tiles.way == "pairs":
        # Outputs before positions: every product below is then one of plain matrices, without a transposition.
        first, second = (Feature(f.inputs, jnp.swapaxes(f.gradients, 2, 3)) for f in (first, second))
    block = _pairs_block if tiles.way == "pairs" else _gram_block

    def part(i: Any, j: Any) -> Array:
        return block(_rows(first, i, tiles.rows), _rows(second, j, tiles.columns), shape)

    return _tiled(part, (n1, n2), k, tiles, symmetric, first.gradients.dtype)


def _rows(feature: Feature, start: Any, size: int) -> Feature:
    def take(a: Array) -> Array:
        return a if size >= a.shape[0] else lax.dynamic_slice_in_dim(a, start, size, 0)

    return Feature(None if feature.inputs is None else take(feature.inputs), take(feature.gradients))


def _gram_block(first: Feature, second: Feature, shape: Geometry) -> Array:
    g1, g2 = first.gradients, second.gradients
    (n1, k, p, c), n2 = g1.shape, g2.shape[0]
    products = g1.reshape(-1, c) @ g2.reshape(-1, c).T
    if first.inputs is None or second.inputs is None:
        return products.reshape(n1, k, n2, k)
    inner = input_products(first.inputs, second.inputs, shape)
    if p == 1:
        # Repeated for the outputs, both factors are matrices of one shape: three times faster than a broadcast.
        repeated = jnp.repeat(jnp.repeat(inner.reshape(n1, n2), k, axis=0), k, axis=1)
        return (repeated * products).reshape(n1, k, n2, k)
    return jnp.sum(inner[:, None, :, :, None, :] * products.reshape(n1, k, p, n2, k, p), axis=(2, 5))


def _pairs_block(first: Feature, second: Feature, shape: Geometry) -> Array:
    (n2, k, c, p), row = second.gradients.shape, first.gradients.reshape(first.gradients.shape[1], -1)
    assert first.inputs is not None
    assert second.inputs is not None
    inner = input_products(second.inputs, first.inputs, shape).reshape(n2, p, p)
    turned = jnp.einsum("jds,jsr->jdr", second.gradients.reshape(n2, k * c, p), inner)
    return (row @ turned.reshape(n2 * k, c * p).T).reshape(1, k, n2, k)


def _by_jacobian(first: Feature, second: Feature, shape: Geometry, tiles: Tiles, symmetric: bool) -> Array:
    n1, n2, (k, _, c) = first.gradients.shape[0], second.gradients.shape[0], first.gradients.shape[1:]
    same = first is second
    sides = [first] if same else [first, second]
    assert all(f.inputs is not None for f in sides)
    patches = [patches_of(f.inputs, shape) for f in sides if f.inputs is not None]
    size = min(tiles.channels, c)
    pad = -c % size
    gradients = [jnp.pad(jnp.swapaxes(f.gradients, 2, 3), ((0, 0), (0, 0), (0, pad), (0, 0))) for f in sides]

    def chunk(start: Array) -> Array:
        rows = []
        for a, g in zip(patches, gradients, strict=True):
            part = g if size >= c else lax.dynamic_slice_in_dim(g, start, size, 2)
            formed = jnp.einsum("idr,irq->idq", part.reshape(g.shape[0], k * size, -1), a)
            rows.append(formed.reshape(g.shape[0], k, -1))
        left, right = rows[0], rows[-1]

        def part_of(i: Any, j: Any) -> Array:
            a, b = _rows(Feature(None, left), i, tiles.rows), _rows(Feature(None, right), j, tiles.columns)
            return jnp.einsum("iad,jbd->iajb", a.gradients, b.gradients)

        return _tiled(part_of, (n1, n2), k, tiles, symmetric, left.dtype)

    if size >= c:
        return chunk(jnp.zeros((), int))
    starts = jnp.arange(0, c, size)
    zero = jnp.zeros((n1, k, n2, k), gradients[0].dtype)
    return lax.scan(lambda total, start: (total + chunk(start), None), zero, starts)[0]


def _tiled(
    part: Callable[[Any, Any], Array], sizes: tuple[int, int], k: int, tiles: Tiles, symmetric: bool, dtype: Any
) -> Array:
    """A matrix of blocks `part(i, j)` that begin at samples i and j; each written twice, if symmetric."""
    jobs = tile_starts(sizes, tiles, symmetric)
    if len(jobs) == 1:
        return _mirrored(part(0, 0)) if symmetric else part(0, 0)

    def write(matrix: Array, job: Array) -> tuple[Array, None]:
        (i, j), zero = job, jnp.zeros((), job.dtype)
        block = part(i, j)
        if symmetric and tiles.rows == tiles.columns:
            block = lax.cond(i == j, _mirrored, lambda block: block, block)
        matrix = lax.dynamic_update_slice(matrix, block, (i, zero, j, zero))
        if symmetric:
            turned = jnp.transpose(block, (2, 3, 0, 1))
            matrix = lax.dynamic_update_slice(matrix, turned, (j, zero, i, zero))
        return matrix, None

    whole = lax.scan(write, jnp.zeros((sizes[0], k, sizes[1], k), dtype), jnp.asarray(jobs))[0]
    if symmetric and tiles.rows != tiles.columns:
        own = jnp.arange(sizes[0])
        blocks = whole[own, :, own, :]
        whole = whole.at[own, :, own, :].set((blocks + jnp.swapaxes(blocks, 1, 2)) / 2)
    return whole


def _mirrored(block: Array) -> Array:
    """The upper triangle, also below the diagonal: rounding does not see that a product is symmetric."""
    matrix = block.reshape(block.shape[0] * block.shape[1], -1)
    return (jnp.triu(matrix) + jnp.triu(matrix, 1).T).reshape(block.shape)


def tile_starts(sizes: tuple[int, int], tiles: Tiles, symmetric: bool) -> np.ndarray:
    """Where the blocks begin, (blocks, 2). The last ones overlap their neighbours, so that all have one size."""
    rows, columns = _starts(sizes, tiles)
    i, j = (part.ravel() for part in np.meshgrid(rows, columns, indexing="ij"))
    keep = j + tiles.columns > i if symmetric else np.ones(i.shape, bool)
    return np.stack([i[keep], j[keep]], axis=1)


def tile_count(sizes: tuple[int, int], tiles: Tiles, symmetric: bool) -> int:
    """How many blocks `tile_starts` lists."""
    rows, columns = _starts(sizes, tiles)
    if not symmetric:
        return len(rows) * len(columns)
    return int(np.sum(len(columns) - np.searchsorted(columns + tiles.columns, rows, side="right")))


def _starts(sizes: tuple[int, int], tiles: Tiles) -> list[np.ndarray]:
    sides = zip(sizes, (tiles.rows, tiles.columns), strict=True)
    return [np.minimum(np.arange(0, n, b), max(n - b, 0)) for n, b in sides]


def diagonal(feature: Feature, shape: Geometry, way: str) -> Float[Array, "n k"]:
    r"""The layer's part of the diagonal $K_{ia,ia} = \|J_{ia}\|^2$, sample by sample."""

    def one(sample: Feature) -> Array:
        g = sample.gradients
        if sample.inputs is None:
            return jnp.sum(g**2, axis=(1, 2))
        a = sample.inputs[None]
        if shape.positions == 1:
            return jnp.sum(a**2) * jnp.sum(g**2, axis=(1, 2))
        if way == "jacobian":
            return jnp.sum(jnp.einsum("arc,rq->acq", g, patches_of(a, shape)[0]) ** 2, axis=(1, 2))
        inner = input_products(a, a, shape)[0, :, 0]
        return jnp.einsum("arc,arc->a", g, jnp.einsum("rs,asc->arc", inner, g))

    return lax.map(one, feature)
