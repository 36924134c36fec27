"""Features of blocks of samples, and the tangent kernel put together from pairs of blocks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from lazy_course import kernel_plan
from lazy_course.kernel_layers import (
    Feature,
    Geometry,
    Tiles,
    arranged,
    contract,
    diagonal,
    geometry,
)
from lazy_course.kernel_plan import Plan, Sizes
from lazy_course.kernel_trace import Program, read_program, run

Network = Callable[..., Array]


def read(f: Network, params: PyTree, x: Any, *, layers: bool = True) -> Program:
    """The program of one row of x, an array or its `jax.ShapeDtypeStruct`."""
    row = jax.ShapeDtypeStruct((1, *x.shape[1:]), x.dtype)
    return read_program(f, params, row, find_layers=layers)


def geometries(program: Program) -> tuple[Geometry, ...]:
    """The geometries of the layers, and then of the leaves outside of layers."""
    layers = [geometry(program, layer) for layer in program.layers]
    return (*layers, *(Geometry(1, 0, int(program.shapes[i].size)) for i in program.others()))


def measure(f: Network, params: PyTree, x: Any, *, layers: bool = True) -> tuple[Sizes, int]:
    """The sizes that a plan is made from, and the bytes of one number of the output; params and x may be shapes."""
    program = read(f, params, x, layers=layers)
    return kernel_plan.sizes_of(program, geometries(program)), program.shapes[program.outputs[0]].dtype.itemsize


def features(program: Program, params: PyTree, x: Array) -> list[Feature]:
    """The features of all layers, and then of all other leaves, for the samples in x.

    One forward pass, and one backward pass for each output.
    """
    leaves = jax.tree.leaves(params)
    leaves = [jnp.asarray(leaf) for leaf in leaves]
    others = program.others()

    def one(row: Array) -> list[Feature]:
        def outputs(shifts: list[Array], free: list[Array]) -> tuple[Array, Any]:
            all_leaves = list(leaves)
            for index, leaf in zip(others, free, strict=True):
                all_leaves[index] = leaf
            y, inputs, factors = run(program, all_leaves, row[None], shifts)
            return y, (inputs, factors)

        results = [program.shapes[program.steps[layer.step].outputs[0]] for layer in program.layers]
        shifts = [jnp.zeros(z.shape, z.dtype) for z in results]
        y, pullback, (inputs, factors) = jax.vjp(outputs, shifts, [leaves[i] for i in others], has_aux=True)
        gradients, jacobians = jax.vmap(pullback)(jnp.eye(y.size, dtype=y.dtype))
        found = []
        for layer, a, factor, g in zip(program.layers, inputs, factors, gradients, strict=True):
            found.append(Feature(*arranged(program, layer, a, factor * g)))
        return [*found, *(Feature(None, j.reshape(y.size, 1, -1)) for j in jacobians)]

    return jax.vmap(one)(x)


@eqx.filter_jit
def _block(
    f: Network, params: PyTree, x1: Array, x2: Array | None, form: str, tiles: tuple[Tiles, ...], layers: bool
) -> Array:
    """The kernel of two blocks of samples, (n1, k, n2, k) with k = 1 where traced, or (n1, n2, k) for "outputs"."""
    program = read(f, params, x1, layers=layers)
    shapes = geometries(program)
    first = features(program, params, x1)
    second = first if x2 is None else features(program, params, x2)
    if form != "outputs":
        if form == "trace":
            first, shapes = (
                [_traced(a) for a in first],
                tuple(_widened(s, a) for s, a in zip(shapes, first, strict=True)),
            )
            second = first if x2 is None else [_traced(a) for a in second]
        return _sum(first, second, shapes, tiles, x2 is None)

    def one(index: Array) -> Array:
        left = [_output(a, index) for a in first]
        right = left if x2 is None else [_output(a, index) for a in second]
        return _sum(left, right, shapes, tiles, x2 is None)[:, 0, :, 0]

    k = program.shapes[program.outputs[0]].size
    return jnp.moveaxis(jax.lax.map(one, jnp.arange(k)), 0, 2)


def _traced(feature: Feature) -> Feature:
    """The outputs as channels: the trace over outputs is an inner product over both."""
    g = jnp.swapaxes(feature.gradients, 1, 2)
    return Feature(feature.inputs, g.reshape(g.shape[0], 1, g.shape[1], -1))


def _widened(shape: Geometry, feature: Feature) -> Geometry:
    return shape._replace(outputs=shape.outputs * feature.gradients.shape[1])


def _output(feature: Feature, index: Array) -> Feature:
    return Feature(feature.inputs, jax.lax.dynamic_slice_in_dim(feature.gradients, index, 1, 1))


def _sum(
    first: list[Feature], second: list[Feature], shapes: tuple[Geometry, ...], tiles: tuple[Tiles, ...], symmetric: bool
) -> Array:
    total: Any = 0
    for a, b, shape, tile in zip(first, second, shapes, tiles, strict=True):
        total = total + contract(a, b, shape, tile, symmetric=symmetric)
    return total


@dataclass(frozen=True)
class Blocks:
    """A kernel that is to be computed block by block."""

    f: Network
    params: PyTree
    x1: Array
    x2: Array | None
    form: str
    plan: Plan
    layers: bool

    def pairs(self) -> Iterator[tuple[int, int]]:
        """The first samples of each pair of blocks; of symmetric ones only the upper half."""
        columns = self.x1 if self.x2 is None else self.x2
        for i in _starts(self.x1.shape[0], self.plan.block):
            for j in _starts(columns.shape[0], self.plan.block):
                if self.x2 is not None or j >= i:
                    yield i, j

    @property
    def count(self) -> int:
        """How many blocks there are."""
        if self.form == "diagonal":
            return len(_starts(self.x1.shape[0], self.plan.block))
        return len(list(self.pairs()))

    def run(self, done: Callable[[], None]) -> Array:
        """The whole kernel; `done` is called after each block."""
        if self.form == "diagonal":
            return self._diagonal(done)
        sizes = self.x1.shape[0], (self.x1 if self.x2 is None else self.x2).shape[0]
        columns = 1 if self.form == "outputs" else 2
        whole = None
        for i, j in self.pairs():
            part = self._part(i, j)
            if whole is None and (part.shape[0], part.shape[columns]) == sizes:
                whole = part
            else:
                if whole is None:
                    shape = [sizes[0], *part.shape[1:]]
                    shape[columns] = sizes[1]
                    whole = jnp.zeros(shape, part.dtype)
                whole = _placed(whole, part, i, j, self.x2 is None and i != j)
            if not isinstance(whole, jax.core.Tracer):
                whole.block_until_ready()
            done()
        assert whole is not None
        return whole[:, 0, :, 0] if self.form == "trace" else whole

    def _part(self, i: int, j: int) -> Array:
        block = self.plan.block
        rows = self.x1[i : i + block]
        columns = None if self.x2 is None and i == j else (self.x1 if self.x2 is None else self.x2)[j : j + block]
        return _block(self.f, self.params, rows, columns, self.form, self.plan.tiles, self.layers)

    def _diagonal(self, done: Callable[[], None]) -> Array:
        pieces, end = [], 0
        for i in _starts(self.x1.shape[0], self.plan.block):
            rows = self.x1[i : i + self.plan.block]
            ways = tuple(tiles.way for tiles in self.plan.tiles)
            # The last block may begin before the one before it ends.
            pieces.append(_diagonal_block(self.f, self.params, rows, ways, self.layers)[end - i :])
            end = i + self.plan.block
            done()
        return jnp.concatenate(pieces)


def _starts(n: int, block: int) -> list[int]:
    """Where blocks begin: all have one size, so that one program serves them, and the last may overlap."""
    return [min(i, max(n - block, 0)) for i in range(0, n, block)]


@partial(jax.jit, static_argnums=4, donate_argnums=0)
def _placed(whole: Array, part: Array, i: Any, j: Any, mirrored: bool) -> Array:
    """The whole with a part written at rows i and columns j, and, mirrored, its transpose at rows j, columns i."""
    here, there = ((i, j, 0), (j, i, 0)) if part.ndim == 3 else ((i, 0, j, 0), (j, 0, i, 0))
    whole = jax.lax.dynamic_update_slice(whole, part, here)
    if not mirrored:
        return whole
    turned = jnp.transpose(part, (1, 0, 2) if part.ndim == 3 else (2, 3, 0, 1))
    return jax.lax.dynamic_update_slice(whole, turned, there)


@eqx.filter_jit
def _diagonal_block(f: Network, params: PyTree, x: Array, ways: tuple[str, ...], layers: bool) -> Array:
    program = read(f, params, x, layers=layers)
    found = zip(features(program, params, x), geometries(program), ways, strict=True)
    return reduce(add, [diagonal(feature, shape, way) for feature, shape, way in found])
