"""The tangent kernel without its matrix: products with vectors, eigenvalues, and a matrix made from products."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
from jaxtyping import Array, Float, PyTree

from lazy_course import kernel_blocks
from lazy_course.kernel_plan import Sizes
from lazy_course.lanczos import lanczos
from lazy_course.models import AnyKey, RealArray

Network = Callable[..., Array]
MEMORY = 4 * 2**30


class Eigenvalues(NamedTuple):
    r"""Approximate eigenvalues in descending order. Each has an eigenvalue of K within its `residuals` entry.

    `residuals` are $\|K v - \theta v\|$ for the unit vectors v that belong to the `values` $\theta$.
    """

    values: Float[Array, " count"]
    residuals: Float[Array, " count"]


def tangent_operator(
    f: Network,
    params: PyTree,
    x1: Float[RealArray, "n1 ..."],
    x2: Float[RealArray, "n2 ..."] | None = None,
    *,
    memory: int = MEMORY,
) -> lx.FunctionLinearOperator:
    r"""The tangent kernel as a lineax operator: $v \mapsto D_w f(w, x)\, D_w f(w, x')^\top v$, (n2, k) to (n1, k).

    `operator.mv(v)` costs one backward and one forward pass over the samples, whatever their number of outputs; no
    Jacobian and no matrix is formed. Without `x2` it is tagged positive semidefinite, so that `lineax.linear_solve`
    with `lineax.CG` takes it. Where the values of all layers for all samples fit into `memory` bytes they are
    computed once and kept; elsewhere each product computes them again, block by block.
    f as for `kernels.tangent_kernel`. Raises `ValueError` if the rows of x1 and x2 have different shapes, or if one
    sample does not fit into `memory`.
    """
    x1 = jnp.asarray(x1)
    x2 = None if x2 is None else jnp.asarray(x2)
    if x2 is not None and x1.shape[1:] != x2.shape[1:]:
        raise ValueError(f"x2: expected rows of shape {x1.shape[1:]} like those of x1, got {x2.shape[1:]}")
    sizes, item = kernel_blocks.measure(f, params, x1)
    block = (memory // item - 2 * parameter_count(sizes)) // (3 * sizes.forward)
    if block < 1:
        needed = item * (2 * parameter_count(sizes) + 3 * sizes.forward)
        raise ValueError(
            f"memory: a product needs {needed / 2**20:.3g} MiB for one sample, got {memory / 2**20:.3g} MiB; "
            f"give memory={needed} or more"
        )
    forward, backward = _sides(f, params, x1, x2, block)
    rows = x1 if x2 is None else x2
    y = jax.eval_shape(f, params, rows)
    tags = lx.positive_semidefinite_tag if x2 is None else ()
    return lx.FunctionLinearOperator(
        jax.jit(lambda v: forward(backward(v))), jax.ShapeDtypeStruct(y.shape, y.dtype), tags
    )


def largest_eigenvalues(
    operator: lx.AbstractLinearOperator, count: int, *, key: AnyKey, steps: int | None = None
) -> Eigenvalues:
    r"""The `count` largest eigenvalues of a symmetric operator, by Lanczos steps with all vectors kept orthogonal.

    `steps` products (by default 2 count + 20, at most the size N) and `count` more for the residuals; memory: N times
    `steps` numbers. The values never exceed the true ones of the same number (but for rounding).
    Raises `ValueError` if the operator is not square, or if count is not between 1 and `steps`.
    """
    structure = operator.in_structure()
    if operator.in_size() != operator.out_size():
        raise ValueError(f"operator: expected a square one, got {operator.out_size()} x {operator.in_size()}")
    size = operator.in_size()
    steps = min(size, 2 * count + 20) if steps is None else min(steps, size)
    if not 1 <= count <= steps:
        raise ValueError(f"count: expected between 1 and {steps} eigenvalues (steps, or the size), got {count}")

    def product(v: Array) -> Array:
        return jnp.ravel(operator.mv(v.reshape(structure.shape)))

    start = jax.random.normal(key, (size,), dtype=structure.dtype)

    @jax.jit
    def found() -> Eigenvalues:
        ritz = lanczos(product, start / jnp.linalg.norm(start), steps)
        order = jnp.argsort(jnp.where(ritz.alive, ritz.values, -jnp.inf))[::-1][:count]
        vectors = jax.vmap(ritz.vector)(order)
        values = ritz.values[order]
        rests = jax.lax.map(product, vectors) - values[:, None] * vectors
        return Eigenvalues(values, jnp.linalg.norm(rests, axis=1))

    return found()


def parameter_count(sizes: Sizes) -> int:
    """The number of parameters p."""
    return sum(max(shape.inputs, 1) * shape.outputs for shape in sizes.shapes)


def products_size(sizes: Sizes, n1: int, n2: int, form: str) -> int:
    """The numbers that `kernel_by_products` holds at least: the result twice, two gradients, one sample's values."""
    copies = {"full": sizes.k**2, "outputs": sizes.k, "trace": 1}[form]
    return 2 * n1 * n2 * copies + (n1 * sizes.k**2) + 2 * parameter_count(sizes) + 3 * sizes.forward


def kernel_by_products(
    f: Network, params: PyTree, x1: Array, x2: Array | None, sizes: Sizes, *, form: str, numbers: int
) -> Array:
    """The kernel in a form of `kernels.tangent_kernel`, column by column: n2 k gradients, each pushed to all of x1."""
    columns = x1 if x2 is None else x2
    spare = numbers - products_size(sizes, x1.shape[0], columns.shape[0], form)
    block = 1 + max(spare, 0) // (3 * sizes.forward)
    return _by_products(f, params, x1, columns, form, min(block, x1.shape[0]))


@eqx.filter_jit
def _by_products(f: Network, params: PyTree, x1: Array, x2: Array, form: str, block: int) -> Array:
    push = _pusher(f, params, x1, block)

    def column(row: Array) -> Array:
        y, pull = _pullback(f, params, row[None])
        pushed = jax.lax.map(lambda e: push(pull(e[None])), jnp.eye(y.shape[1], dtype=y.dtype))
        if form == "full":
            return jnp.moveaxis(pushed, 0, 2)
        each = jnp.diagonal(pushed, axis1=0, axis2=2)
        return jnp.sum(each, axis=1) if form == "trace" else each

    return jnp.moveaxis(jax.lax.map(column, x2), 0, {"full": 2, "trace": 1, "outputs": 1}[form])


def _sides(
    f: Network, params: PyTree, x1: Array, x2: Array | None, block: int
) -> tuple[Callable[[PyTree], Array], Callable[[Array], PyTree]]:
    """J1 as a map from directions to outputs, and the transpose of J2."""
    columns = x1 if x2 is None else x2
    if block < max(x1.shape[0], columns.shape[0]):
        return _pusher(f, params, x1, block), _puller(f, params, columns, block)
    free, rest = _parts(params)
    _, forward = jax.linearize(jax.jit(lambda w: f(eqx.combine(w, rest), x1)), free)
    second = forward
    if x2 is not None:
        _, second = jax.linearize(jax.jit(lambda w: f(eqx.combine(w, rest), x2)), free)
    transposed = jax.linear_transpose(second, free)
    return forward, lambda v: transposed(v)[0]


def _parts(params: PyTree) -> tuple[PyTree, PyTree]:
    """The parameters that can change, and leaves that are not numbers."""
    arrays = jax.tree.map(lambda leaf: jnp.asarray(leaf) if eqx.is_array_like(leaf) else leaf, params)
    return eqx.partition(arrays, eqx.is_inexact_array)


def _pullback(f: Network, params: PyTree, x: Array) -> tuple[Array, Callable[[Array], PyTree]]:
    free, rest = _parts(params)
    y, pull = jax.vjp(lambda w: f(eqx.combine(w, rest), x), free)
    return y, lambda v: pull(v)[0]


def _in_blocks(a: Array, block: int) -> Array:
    """Rows in blocks of one size; the last is filled up with the first row."""
    missing = -a.shape[0] % block
    filled = jnp.concatenate([a, jnp.broadcast_to(a[:1], (missing, *a.shape[1:]))])
    return filled.reshape(-1, block, *a.shape[1:])


def _pusher(f: Network, params: PyTree, x: Array, block: int) -> Callable[[PyTree], Array]:
    free, rest = _parts(params)

    def push(direction: PyTree) -> Array:
        def one(rows: Array) -> Array:
            return jax.jvp(lambda w: f(eqx.combine(w, rest), rows), (free,), (direction,))[1]

        pushed = jax.lax.map(one, _in_blocks(x, block))
        return pushed.reshape(-1, *pushed.shape[2:])[: x.shape[0]]

    return push


def _puller(f: Network, params: PyTree, x: Array, block: int) -> Callable[[Array], PyTree]:
    def pull(v: Array) -> PyTree:
        missing = -x.shape[0] % block
        cotangents = jnp.pad(v, ((0, missing), (0, 0))).reshape(-1, block, v.shape[1])

        def add(total: PyTree, job: tuple[Array, Array]) -> tuple[PyTree, None]:
            gradient: Any = _pullback(f, params, job[0])[1](job[1])
            return jax.tree.map(jnp.add, total, gradient), None

        zero = jax.tree.map(jnp.zeros_like, _parts(params)[0])
        return jax.lax.scan(add, zero, (_in_blocks(x, block), cotangents))[0]

    return pull
