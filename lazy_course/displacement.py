r"""A model seen from w0 in displacement coordinates, without cancellation at any alpha.

Write $w = w_0 + v/\alpha$. A lazy flow moves $v$ by O(1) and $w$ by $O(1/\alpha)$, so everything is written
in $v$. With $J_0 = Dh(w_0)$, $b = \alpha h(w_0)$ and
$\rho_\alpha(v) = \int_0^1 (1-s)\, D^2h(w_0 + s v/\alpha)[v, v]\, ds$,

$$\alpha h(w) = b + J_0 v + \tfrac1\alpha \rho_\alpha(v), \qquad
  \alpha\,(Dh(w) - J_0)^\top z = \int_0^1 (D^2h(w_0 + s v/\alpha)[v, \cdot])^\top z \, ds .$$

The left sides lose all digits as alpha grows. The right sides, by a Gauss rule, do not. For a long move
($\|v\|/\alpha \ge$ `LONG_MOVE`) it is the other way round: nothing cancels on the left and the Gauss rule
is not exact, so the left sides are computed as they stand. At the switch both are right to about 1e-11.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from lazy_course.linearization import taylor_remainder
from lazy_course.models import RealArray, Scalar

Model = Callable[[PyTree], Array]
Loss = Callable[[Array], Array]
Remainder = Literal["integral", "difference"]

LONG_MOVE = 1e-2
_GAUSS_X, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(6)
_POINTS, _WEIGHTS = (1.0 + _GAUSS_X) / 2.0, _GAUSS_WEIGHTS / 2.0


class FlowError(ValueError):
    """A flow or a descent that could not be followed; the message names the time, the value and what to try."""


def mean_over_segment(integrand: Callable[[Array], Array]) -> Array:
    r"""The integral $\int_0^1 g(s)\, ds$ by six Gauss nodes: exact for polynomials of degree 11."""
    values = jax.vmap(integrand)(jnp.asarray(_POINTS))
    return jnp.tensordot(jnp.asarray(_WEIGHTS), values, axes=1)


class DisplacedModel:
    r"""The model $v \mapsto \alpha h(w_0 + v/\alpha)$ and its parts, on flat arrays v of shape (p,).

    `remainder="integral"` needs h twice continuously differentiable and holds at every alpha.
    `remainder="difference"` computes $\alpha (h(w) - h(w_0))$ as it stands: right for maps with kinks (ReLU),
    with a rounding error of about $10^{-16} \alpha \|h\|$.
    `value0` is h(w0) if the caller has it already. Meant to be built inside a compiled function.
    """

    def __init__(
        self,
        h: Model,
        params0: PyTree,
        alpha: Scalar,
        *,
        remainder: Remainder = "integral",
        value0: Array | None = None,
    ):
        params0 = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype=float), params0)
        self.start, self.unravel = ravel_pytree(params0)
        self.alpha = jnp.asarray(alpha, dtype=float)
        self.remainder = remainder
        self.h: Callable[[Array], Array] = lambda flat: h(self.unravel(flat))
        computed, self.push = jax.linearize(self.h, self.start)
        self._transposed = jax.linear_transpose(self.push, self.start)
        self.value0 = computed if value0 is None else value0
        self.offset = self.alpha * self.value0

    def pull(self, z: Array) -> Array:
        r"""$J_0^\top z$."""
        return self._transposed(z)[0]

    def at(self, v: Array) -> Array:
        r"""The parameters $w_0 + v/\alpha$, flat."""
        return self.start + v / self.alpha

    def pull_at(self, v: Array, z: Array) -> Array:
        r"""$Dh(w_0 + v/\alpha)^\top z$: nothing cancels here."""
        return jax.vjp(self.h, self.at(v))[1](z)[0]

    def _choose(self, size: Array, integral: Callable[[], Array], difference: Callable[[], Array]) -> Array:
        """The integral for a short move, the difference for a long one (or always, if asked)."""
        if self.remainder == "difference":
            return difference()
        return jax.lax.cond(size < LONG_MOVE * self.alpha, integral, difference)

    def scaled_remainder(self, v: Array) -> Array:
        r"""$\rho_\alpha(v) = \alpha\,(\alpha (h(w_0 + v/\alpha) - h(w_0)) - J_0 v)$, which is O(1)."""
        alpha = self.alpha
        return self._choose(
            jnp.linalg.norm(v),
            lambda: alpha * taylor_remainder(self.h, self.start, v, alpha),
            lambda: alpha * (alpha * (self.h(self.at(v)) - self.value0) - self.push(v)),
        )

    def outputs(self, v: Array) -> Array:
        r"""$\alpha h(w_0 + v/\alpha) = b + J_0 v + \rho_\alpha(v)/\alpha$, shape (n,)."""
        if self.remainder == "difference":
            return self.offset + self.alpha * (self.h(self.at(v)) - self.value0)
        return self.offset + self.push(v) + self.scaled_remainder(v) / self.alpha

    def scaled_pull_change(self, v: Array, z: Array) -> Array:
        r"""$\alpha\,(Dh(w_0 + v/\alpha) - J_0)^\top z$, which is O(1)."""

        def integrand(s: Array) -> Array:
            at = self.start + (s / self.alpha) * v
            return jax.jvp(lambda w: jax.vjp(self.h, w)[1](z)[0], (at,), (v,))[1]

        return self._choose(
            jnp.linalg.norm(v),
            lambda: mean_over_segment(integrand),
            lambda: self.alpha * (self.pull_at(v, z) - self.pull(z)),
        )

    def missed_kinks(self, v: Array, outputs: Array) -> Array:
        r"""How far `outputs(v)` is from $\alpha h(w)$, over what rounding explains.

        Below 1 for a smooth h. A kink between w0 and w is invisible to D2h and shows up here.
        """
        here = self.h(self.at(v))
        off = jnp.max(jnp.abs(outputs - self.offset - self.alpha * (here - self.value0)))
        size = 1.0 + jnp.max(jnp.abs(here)) + jnp.max(jnp.abs(self.value0))
        rounding = 1e4 * jnp.finfo(outputs.dtype).eps * self.alpha * size
        return off / (rounding + 1e-6 * jnp.max(jnp.abs(outputs - self.offset)))


def scaled_gradient_change(loss: Loss, y: Array, d: Array, alpha: Array) -> Array:
    r"""$\alpha(\nabla R(y + d/\alpha) - \nabla R(y)) = \int_0^1 \nabla^2 R(y + s d/\alpha) d\, ds$, which is O(1)."""
    gradient = jax.grad(loss)
    return jax.lax.cond(
        jnp.linalg.norm(d) < LONG_MOVE * alpha,
        lambda: mean_over_segment(lambda s: jax.jvp(gradient, (y + (s / alpha) * d,), (d,))[1]),
        lambda: alpha * (gradient(y + d / alpha) - gradient(y)),
    )


def norm_over_time(tree: PyTree) -> Float[Array, " T"]:
    """The Euclidean norm over everything but the leading axis, jointly over all leaves of a pytree."""
    leaves = [jnp.reshape(leaf, (leaf.shape[0], -1)) for leaf in jax.tree.leaves(tree)]
    return jnp.linalg.norm(jnp.concatenate(leaves, axis=1), axis=1)


def require_problem(h: Model, params0: PyTree, loss: Loss, alpha: Scalar) -> tuple[Array, Array]:
    """Check model, loss and scale; return alpha as an array and h(params0).

    Raises `ValueError` (`FlowError` for values that are not finite). Runs outside of `jax.jit`: inside, use the
    `solve_*` functions, which check nothing.
    """
    if not (np.ndim(alpha) == 0 and np.isfinite(alpha) and alpha > 0):
        raise ValueError(f"alpha: expected a positive finite number, got {alpha}; sweep by calling again")
    value0: Any = h(params0)
    if jnp.ndim(value0) != 1:
        raise ValueError(
            f"h: expected a flat output of shape (n,), got {jnp.shape(value0)}; flatten it, e.g. with models.as_map"
        )
    scale = jnp.asarray(alpha, dtype=float)
    start = loss(scale * value0)
    if jnp.ndim(start) != 0:
        raise ValueError(f"loss: expected a scalar, got shape {jnp.shape(start)}; sum or average over the outputs")
    if not (jnp.isfinite(start) and jnp.all(jnp.isfinite(value0))):
        raise FlowError(
            f"the loss at time 0 is {float(start)} at alpha = {float(scale):g} (largest output of alpha h(w0): "
            f"{float(scale * jnp.max(jnp.abs(value0))):g}); try a smaller alpha, a centred model "
            "(models.centred), or check data and initialization for values that are not finite"
        )
    return scale, value0


def require_times(times: RealArray | list[float] | tuple[float, ...]) -> Float[Array, " T"]:
    """The flow times as an array; raises `ValueError` unless they are flat, finite, >= 0 and strictly increasing."""
    array = np.asarray(times, dtype=float)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"times: expected a flat array with at least one time, got shape {array.shape}")
    if not np.all(np.isfinite(array)):
        raise ValueError("times: expected finite flow times; for the limit, take a long time and look at the loss")
    if array[0] < 0:
        raise ValueError(f"times: expected flow times >= 0 (the flow starts at 0), got {array[0]}")
    if np.any(np.diff(array) <= 0):
        first = int(np.argmax(np.diff(array) <= 0))
        raise ValueError(
            f"times: expected strictly increasing times, got {array[first]} before {array[first + 1]}; sort them"
        )
    return jnp.asarray(array)
