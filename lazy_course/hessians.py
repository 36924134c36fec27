"""Products with the second differential of a map, one output at a time and without storing it."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree

from lazy_course.models import AffineMap, BatchMap

FlatParams = Float[Array, " p"]


class Outputs(NamedTuple):
    """A map of flat parameters, h = `factor` times `together` (plus a constant), with access to single outputs.

    `single(params, j)` is output j of `together`, for the price of one sample where h has that structure. It takes
    the pytree, `unravel(w)`: flattening the derivatives of each sample would copy them twice.
    """

    together: Callable[[FlatParams], Float[Array, " n"]]
    single: Callable[[PyTree, Int[Array, ""]], Float[Array, ""]]
    unravel: Callable[[FlatParams], PyTree]
    factor: Float[Array, ""]
    size: int


def without_factors(h: Callable[[PyTree], Array]) -> tuple[Float[Array, ""], Callable[[PyTree], Array]]:
    """Strip `scaled` and `centred`: h is the returned factor times the returned map, plus a constant."""
    factor = jnp.asarray(1.0)
    while isinstance(h, AffineMap):
        factor, h = factor * h.factor, h.inner
    return factor, h


def outputs_of(h: Callable[[PyTree], Array], unravel: Callable[[FlatParams], PyTree], size: int) -> Outputs:
    """Take a map apart: factors of `scaled` and `centred` out, and samples of `as_map` one by one."""
    factor, h = without_factors(h)
    if not isinstance(h, BatchMap) or size % h.x.shape[0]:
        return Outputs(lambda w: h(unravel(w)), lambda params, j: h(params)[j], unravel, factor, size)
    f, x, k = h.f, h.x, size // h.x.shape[0]

    def together(w: Array) -> Array:
        return jnp.ravel(f(unravel(w), x))

    def single(params: PyTree, j: Array) -> Array:
        return jnp.ravel(f(params, x[j // k][None]))[j % k]

    return Outputs(together, single, unravel, factor * h.weight, size)


def weighted_hessian(outputs: Outputs, w: FlatParams, g: Float[Array, " n"]) -> Callable[[FlatParams], FlatParams]:
    """Products with the Hessian of <g, `together`>."""
    gradient = jax.grad(lambda v: jnp.vdot(g, outputs.together(v)))
    return lambda u: jax.jvp(gradient, (w,), (u,))[1]


def squared_unfolding(outputs: Outputs, w: FlatParams, memory: int) -> Callable[[FlatParams], FlatParams]:
    r"""The product $u \mapsto \sum_j H_j (H_j u)$ with the Hessians $H_j$ of the outputs of `together`.

    Its largest eigenvalue is the square of the largest singular value of the (n p) x p unfolding. The outputs
    are taken in chunks: one needs about 4 p numbers (H_j u, and what two differentiations keep of it), and a
    chunk takes about `memory` bytes, but at least one output.
    """
    chunk = int(min(outputs.size, max(1, memory // (4 * w.size * w.dtype.itemsize))))
    chunks = -(-outputs.size // chunk)
    labels = jnp.arange(chunks * chunk).reshape(chunks, chunk)
    present = (labels < outputs.size).astype(w.dtype)
    labels = jnp.minimum(labels, outputs.size - 1)

    params = outputs.unravel(w)

    def product(u: FlatParams) -> FlatParams:
        direction = outputs.unravel(u)

        def hessian_times_u(j: Array) -> PyTree:
            return jax.jvp(lambda v: jax.grad(outputs.single)(v, j), (params,), (direction,))[1]

        def add(total: PyTree, part: tuple[Array, Array]) -> tuple[PyTree, None]:
            js, there = part
            z = jax.vmap(hessian_times_u)(js)

            def slopes(v: PyTree) -> Array:
                # sum_j Dh_j(v) z_j, whose gradient in v is sum_j H_j z_j.
                each = jax.vmap(lambda j, zj: jax.jvp(lambda t: outputs.single(t, j), (v,), (zj,))[1])(js, z)
                return jnp.vdot(there, each)

            return jax.tree.map(jnp.add, total, jax.grad(slopes)(params)), None

        zero = jax.tree.map(jnp.zeros_like, params)
        return ravel_pytree(jax.lax.scan(add, zero, (labels, present))[0])[0]

    return product
