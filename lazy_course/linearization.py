"""The first-order model of a map at w0, and what it leaves out, without cancellation."""

from collections.abc import Callable
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree
from scipy.special import roots_jacobi

from lazy_course.models import Function, Scalar


class Linearization(Function):
    """The map built by `linearize`."""

    h: Callable[..., Array]
    params0: PyTree

    def __call__(self, params: PyTree, *args: Array) -> Array:
        displacement = jax.tree.map(jnp.subtract, params, self.params0)
        at_params0, change = jax.jvp(lambda w: self.h(w, *args), (self.params0,), (displacement,))
        return at_params0 + change


def linearize(h: Callable[..., Array], params0: PyTree) -> Linearization:
    r"""The first-order model $\bar h(w) = h(w_0) + Dh(w_0)(w - w_0)$ of a map at $w_0$.

    `h` is `h(params)`, or a network `f(params, x)`: further arguments are passed on. `params0` is any pytree
    of floating arrays; the result takes params of the same structure and returns the shape of `h(params0)`.
    h must be differentiable at $w_0$ (at a kink of ReLU, JAX's choice of a derivative is used).
    Source: chizat2019lazy, equation (3).
    """
    return Linearization(h, params0)


@lru_cache(maxsize=8)
def _nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss rule for int_0^1 (1 - s) g(s) ds: exact for polynomials g of degree 2 count - 1."""
    x, weights = roots_jacobi(count, 1.0, 0.0)  # weight 1 - x on [-1, 1]; s = (1 + x) / 2
    return (1.0 + x) / 2.0, weights / 4.0


def second_differential(h: Callable[[PyTree], Array], params: PyTree, u: PyTree, v: PyTree) -> Array:
    """The second differential D2h(w)[u, v], of the shape of `h(params)`, by two nested jvp."""

    def directional(w: PyTree) -> Array:
        return jax.jvp(h, (w,), (u,))[1]

    return jax.jvp(directional, (params,), (v,))[1]


def taylor_remainder(
    h: Callable[[PyTree], Array], params0: PyTree, direction: PyTree, alpha: Scalar, *, nodes: int = 6
) -> Array:
    r"""What the first-order model leaves out: $\alpha\,(h(w_0 + v/\alpha) - h(w_0)) - Dh(w_0) v$.

    Computed as $\frac1\alpha \int_0^1 (1-s)\, D^2h(w_0 + s v/\alpha)[v, v]\, ds$ (Taylor's formula with
    integral remainder), so nothing cancels: the relative error stays near rounding at $\alpha = 10^8$, where
    the difference itself has no correct digit left. The integral is a Gauss rule of `nodes` points, exact if
    $s \mapsto D^2h(w_0 + s v/\alpha)[v, v]$ is a polynomial of degree below 2 `nodes`; take more nodes for a
    small alpha and a large v.

    `direction` is v, a pytree like `params0`; returns the shape of `h(params0)`. h must be twice continuously
    differentiable on the segment: for ReLU the kinks that it crosses are not seen.
    """
    points, weights = _nodes(nodes)

    def integrand(s: Array) -> Array:
        at = jax.tree.map(lambda w, v: w + (s / alpha) * v, params0, direction)
        return second_differential(h, at, direction, direction)

    values = jax.vmap(integrand)(jnp.asarray(points))
    return jnp.tensordot(jnp.asarray(weights), values, axes=1) / alpha
