r"""Losses $R$ on F with their constants: smoothness M, strong convexity m, minimizer.

M-smooth means $\|\nabla R(y) - \nabla R(z)\| \le M \|y - z\|$; m-strongly convex means
$R(z) \ge R(y) + \langle \nabla R(y), z - y\rangle + \frac m2 \|z - y\|^2$. Both are read from the Hessian:
$m\, \mathrm{Id} \preceq \nabla^2 R \preceq M\, \mathrm{Id}$ everywhere.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course.models import Function, RealArray, Scalar


class SquareLoss(Function):
    """The loss built by `square_loss`."""

    target: Float[Array, " n"]

    def __call__(self, y: Float[Array, " n"]) -> Float[Array, ""]:
        return 0.5 * jnp.sum((y - self.target) ** 2)

    @property
    def smoothness(self) -> float:
        """M = 1."""
        return 1.0

    @property
    def strong_convexity(self) -> float:
        """m = 1."""
        return 1.0

    @property
    def minimizer(self) -> Float[Array, " n"]:
        """The target."""
        return self.target


class LogCoshLoss(Function):
    """The loss built by `log_cosh_loss`."""

    target: Float[Array, " n"]
    weight: Float[Array, ""]

    def __call__(self, y: Float[Array, " n"]) -> Float[Array, ""]:
        z = y - self.target
        # log cosh z = log(e^z + e^-z) - log 2: no overflow, and smooth at 0 under repeated differentiation.
        return 0.5 * jnp.sum(z**2) + self.weight * jnp.sum(jnp.logaddexp(z, -z) - jnp.log(2.0))

    @property
    def smoothness(self) -> Float[Array, ""]:
        """M = 1 + weight."""
        return 1.0 + self.weight

    @property
    def strong_convexity(self) -> float:
        """m = 1."""
        return 1.0

    @property
    def minimizer(self) -> Float[Array, " n"]:
        """The target."""
        return self.target


def _flat_target(target: RealArray | Sequence[float]) -> Array:
    array = jnp.asarray(target, dtype=float)
    if array.ndim != 1:
        raise ValueError(f"target: expected a flat array of shape (n,), got {array.shape}; use jnp.ravel")
    return array


def square_loss(target: RealArray | Sequence[float]) -> SquareLoss:
    r"""The square loss $R(y) = \frac12 \|y - y^\star\|^2$, where $y^\star$ is the target, of shape (n,).

    Its Hessian is the identity: $M = m = 1$. The minimizer is the target.
    Raises `ValueError` if the target is not flat.
    """
    return SquareLoss(_flat_target(target))


def log_cosh_loss(target: RealArray | Sequence[float], weight: Scalar) -> LogCoshLoss:
    r"""The loss $R(y) = \frac12\|y - y^\star\|^2 + c \sum_i \log\cosh(y_i - y^\star_i)$ with $c \ge 0$.

    c is `weight`. The loss is not quadratic, and all its constants are known. The second derivative of
    log cosh, $1 - \tanh^2 z$, lies in (0, 1], so the Hessian is diagonal with entries
    $1 + c\,(1 - \tanh^2(y_i - y_i^\star))$. Hence $M = 1 + c$, reached at $y = y^\star$, and $m = 1$, the
    infimum as $|y_i| \to \infty$. The gradient $z + c \tanh z$ (entry by entry, $z = y - y^\star$) vanishes
    at z = 0 only: the minimizer is the target. Raises `ValueError` if the target is not flat or the weight is
    negative or not finite (the weight is not checked inside `jax.jit`).
    """
    if not isinstance(weight, jax.core.Tracer) and not (np.isfinite(weight) and weight >= 0):
        raise ValueError(f"weight: expected a finite number >= 0, got {weight}; a negative one may lose convexity")
    return LogCoshLoss(_flat_target(target), jnp.asarray(weight, dtype=float))
