"""The tangent kernel of any finite model, by contraction of Jacobians."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from lazy_course.models import RealArray


def tangent_kernel(
    f: Callable[..., Array],
    params: PyTree,
    x1: Float[RealArray, "n1 ..."],
    x2: Float[RealArray, "n2 ..."] | None = None,
) -> Float[Array, "n1 k n2 k"]:
    r"""The tangent kernel $K_{ia,jb} = \langle D_w f_a(w, x_i), D_w f_b(w, x'_j)\rangle$ of a network.

    The network is `f(params, x) -> (n, k)`; a and b number its outputs. With `x2` left out, x' = x and
    the (n k) x (n k) matrix is $Dh(w)\, Dh(w)^T$ of the map `models.as_map(f, x)`.
    f must treat the rows of x independently. Both Jacobians are formed: (n1 + n2) k p numbers, for a time of
    (n1 + n2) k passes over one sample and n1 n2 k^2 p products. Works under `jax.jit` and `jax.vmap`. Raises
    `ValueError` if the rows of x1 and x2 have different shapes. Source: jacot2018neural.
    """
    x1 = jnp.asarray(x1)
    x2 = None if x2 is None else jnp.asarray(x2)
    if x2 is not None and x1.shape[1:] != x2.shape[1:]:
        raise ValueError(f"x2: expected rows of shape {x1.shape[1:]} like those of x1, got {x2.shape[1:]}")
    return _contracted(f, params, x1, x2)


@eqx.filter_jit
def _contracted(f: Callable[..., Array], params: PyTree, x1: Array, x2: Array | None) -> Array:
    w, unravel = ravel_pytree(params)

    def one(v: Array, x: Array) -> Array:
        return jnp.ravel(f(unravel(v), x[None]))

    rows = jax.vmap(jax.jacrev(one), in_axes=(None, 0))
    first = rows(w, x1)
    second = first if x2 is None else rows(w, x2)
    return jnp.einsum("iap,jbp->iajb", first, second)
