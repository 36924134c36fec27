r"""Gradient flow and gradient descent of the diagonal network, and what is exact along them.

The loss is that of Problem 3, $L(w) = \|X\beta_w - y\|^2$: a sum over the samples, without 1/2. The flow is
$w' = -\nabla L(w)$ from $w_\pm = \alpha s$; time is flow time of this L. With $r = 2(X\beta - y)$ the equations are
$w_\pm' = \mp 2\, (X^\top r) \circ w_\pm$, so $w_\pm = \alpha s \exp(\mp 2 X^\top\!\int r)$.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lazy_course import models
from lazy_course.displacement import FlowError, require_times
from lazy_course.flows import Times, gradient_flow
from lazy_course.implicit_bias.bounds import stiffness
from lazy_course.implicit_bias.depth import deep_model
from lazy_course.implicit_bias.dual import hyperbolic, require_scales, row_space
from lazy_course.implicit_bias.numerics import minimum_q_interpolator
from lazy_course.losses import square_loss
from lazy_course.models import AnyKey, RealArray, Scalar
from lazy_course.trajectory import FlowSettings, integrate

Shape = RealArray | None


class Path(NamedTuple):
    r"""A path of the network at T flow times: the weights, $\beta = w_+^2 - w_-^2$ and $L = \|X\beta - y\|^2$."""

    times: Float[Array, " T"]
    plus: Float[Array, "T d"]
    minus: Float[Array, "T d"]
    beta: Float[Array, "T d"]
    loss: Float[Array, " T"]

    @property
    def product(self) -> Float[Array, "T d"]:
        r"""$w_+ \circ w_-$: constant along the flow, shrinking along a descent."""
        return self.plus * self.minus


def _path(x: Array, y: Array, times: Array, plus: Array, minus: Array, beta: Array) -> Path:
    return Path(times, plus, minus, beta, jnp.sum((beta @ x.T - y[None]) ** 2, axis=1))


def integrated_flow(
    X: Float[RealArray, "N d"],
    y: Float[RealArray, " N"],
    alpha: Scalar,
    times: Times,
    *,
    depth: Scalar = 2,
    shape: Shape = None,
    rtol: float = 1e-11,
    atol: float = 1e-13,
    **settings: object,
) -> Path:
    r"""The flow $w' = -\nabla L(w)$ of all 2d weights, integrated numerically from $w_\pm = \alpha s$.

    It knows nothing of the closed form: the shared solver on the model `depth.deep_model`. `depth` is D; beta is
    $w_+^D - w_-^D$. `shape` is s, (d,) or (2, d) as in `models.init_diagonal`, ones if it is not given. Good while the
    weights span few decades (alpha above about $10^{-4}$); use `flow` below that. Further settings (`solver="implicit"`
    where it is stiff) and the errors are those of `flows.gradient_flow`.
    """
    x, goal = jnp.asarray(X, dtype=float), jnp.asarray(y, dtype=float)
    params0 = models.init_diagonal(x.shape[1], require_scales(alpha), shape)
    flow_times = require_times(times)
    # The shared loss is half of L, so its flow time is twice ours.
    solved = gradient_flow(
        models.as_map(deep_model(depth), x),
        params0,
        square_loss(goal),
        alpha=1.0,
        times=2 * flow_times,
        rtol=rtol,
        atol=atol,
        **settings,
    )
    plus, minus = solved.params["plus"], solved.params["minus"]
    return _path(x, goal, flow_times, plus, minus, plus**depth - minus**depth)


@eqx.filter_jit
def _dual_path(
    x: Array, y: Array, log_scale: Array, tilt: Array, times: Array, settings: FlowSettings
) -> tuple[Array, Array]:
    def velocity(nu: Array) -> Array:
        return -8 * (x @ hyperbolic(log_scale, nu @ x + tilt)[0] - y)

    states, status = integrate(velocity, jnp.zeros_like(y), times, settings)
    return states[:-1], status["success"]


class DualPath(NamedTuple):
    r"""A flow by its multiplier $\nu(t) = -4\int_0^t r$ (T, N), with beta (T, d) and L (T,)."""

    times: Float[Array, " T"]
    multiplier: Float[Array, "T N"]
    beta: Float[Array, "T d"]
    loss: Float[Array, " T"]


def flow(
    X: Float[RealArray, "N d"],
    y: Float[RealArray, " N"],
    alpha: Scalar,
    times: Times,
    *,
    rtol: float = 1e-9,
    atol: float = 1e-9,
    max_steps: int = 100_000,
) -> DualPath:
    r"""The same flow at any scale, through its N multipliers: $\nu' = -4r$, $\beta = 2\alpha^2\sinh(X^\top\nu)$.

    The closed form turns 2d equations into N, whose unknown is the logarithm of the weights: alpha = $10^{-12}$ costs
    no more than alpha = 1. The solver is implicit, since the rates $8\lambda(X\,\mathrm{diag}(w_+^2 + w_-^2)X^\top)$
    spread widely. Raises `ValueError` for bad data and for times as in `flows.gradient_flow`; `FlowError` if more
    than `max_steps` are needed.
    """
    row_space(X, jnp.zeros(np.shape(y)))
    x, goal = jnp.asarray(X, dtype=float), jnp.asarray(y, dtype=float)
    log_scale = jnp.broadcast_to(2 * jnp.log(require_scales(alpha)), x.shape[1:])
    flow_times = require_times(times)
    settings = FlowSettings(solver="implicit", rtol=rtol, atol=atol, max_steps=max_steps)
    nu, success = _dual_path(x, goal, log_scale, jnp.zeros(x.shape[1]), flow_times, settings)
    if not bool(success):
        raise FlowError(
            f"max_steps={max_steps} reached at alpha = {alpha}: take more, or shorter times, or a larger rtol"
        )
    beta = hyperbolic(log_scale[None], nu @ x)[0]
    return DualPath(flow_times, nu, beta, jnp.sum((beta @ x.T - goal[None]) ** 2, axis=1))


def closed_form(
    X: Float[RealArray, "N d"], alpha: Scalar, integral: Float[RealArray, "... N"]
) -> Float[Array, "... d"]:
    r"""$\beta = \alpha^2(e^{-4X^\top R} - e^{4X^\top R})$ for the integral $R = \int_0^t r$ of $r = 2(X\beta - y)$.

    Exact for every flow from $w_\pm = \alpha 1$, whatever drives it. Equation (11), with its transposes.
    """
    x = jnp.asarray(X, dtype=float)
    exponent = -4 * jnp.asarray(integral) @ x
    log_scale = jnp.broadcast_to(2 * jnp.log(require_scales(alpha)), exponent.shape)
    return hyperbolic(log_scale, exponent)[0]


def loss_rate(X: Float[RealArray, "N d"], alpha: Scalar) -> float:
    r"""The proved rate $32\,\alpha^2\sigma^2$ in $L(t) \le L(0)e^{-32\alpha^2\sigma^2 t}$ (1 / flow time).

    sigma is the least singular value of X that is not zero. From $\|\nabla L\|^2 \ge 32\alpha^2\sigma^2 L$, which the
    conserved product gives. Hypothesis: y in the range of X.
    """
    x = np.asarray(X, dtype=float)
    s = np.linalg.svd(x, compute_uv=False)
    return float(32 * require_scales(alpha) ** 2 * np.min(s[s > max(x.shape) * np.finfo(float).eps * s[0]]) ** 2)


def late_loss_rate(X: Float[RealArray, "N d"], y: Float[RealArray, " N"], alpha: Scalar) -> float:
    r"""The rate at which L falls in the end: twice `bounds.stiffness(...).slowest` at the limit (1 / flow time).

    It exceeds `loss_rate`, since $w_+^2 + w_-^2 = \sqrt{\beta^2 + 4\alpha^4} \ge 2\alpha^2$.
    """
    return 2 * stiffness(X, minimum_q_interpolator(X, y, alpha), alpha).slowest


class Descent(NamedTuple):
    """A descent at the saved `steps`: its `path`, whose times are step_size * steps."""

    steps: Int[Array, " T"]
    path: Path


@eqx.filter_jit
def solve_descent(
    x: Array, y: Array, plus: Array, minus: Array, step_size: Array, save_at: Array, batch: Array, key: AnyKey
) -> tuple[Array, Array]:
    """Weights (T, d) of a descent at the steps `save_at`; `batch` samples a step out of N, all of them if batch = N."""
    count = y.size

    def one(step: Array, w: tuple[Array, Array]) -> tuple[Array, Array]:
        # The first `batch` of a random order, each counted N/batch times: an unbiased gradient.
        order = jax.random.uniform(jax.random.fold_in(key, step), (count,))
        chosen = jax.lax.cond(batch < count, lambda: jnp.argsort(jnp.argsort(order)) < batch, lambda: order >= 0)
        residual = (x @ (w[0] ** 2 - w[1] ** 2) - y) * chosen * (count / batch)
        slope = 4 * step_size * (residual @ x)
        return w[0] * (1 - slope), w[1] * (1 + slope)

    def save(carry: tuple[Array, tuple[Array, Array]], goal: Array) -> tuple[tuple[Array, tuple], tuple[Array, Array]]:
        w = jax.lax.fori_loop(carry[0], goal, one, carry[1])
        return (goal, w), w

    return jax.lax.scan(save, (jnp.zeros_like(save_at[0]), (plus, minus)), save_at)[1]


def descent(
    X: Float[RealArray, "N d"],
    y: Float[RealArray, " N"],
    alpha: Scalar,
    *,
    step_size: Scalar,
    save_at: list[int] | Int[RealArray, " T"],
    shape: Shape = None,
    batch: int | None = None,
    key: AnyKey | None = None,
) -> Descent:
    r"""Gradient descent $w \leftarrow w - \eta\nabla L(w)$ at the increasing steps `save_at`, from $w_\pm = \alpha s$.

    With `batch` and `key` a step uses that many samples, drawn without replacement and weighted by N/batch. Step k
    stands at flow time $\eta k$. Raises `ValueError` for bad arguments, `FlowError` if the weights are not finite
    (the step is too large).
    """
    x, goal = jnp.asarray(X, dtype=float), jnp.asarray(y, dtype=float)
    saved = np.asarray(save_at)
    if saved.ndim != 1 or saved.size == 0 or saved[0] < 0 or np.any(np.diff(saved) <= 0):
        raise ValueError(f"save_at: expected increasing step numbers from 0 on, got {save_at}")
    if not 1 <= (batch or goal.size) <= goal.size:
        raise ValueError(f"batch: expected a number from 1 to N = {goal.size}, got {batch}")
    if batch is not None and key is None:
        raise ValueError("key: expected a key to draw the batches with, got None; pass jax.random.key(0)")
    start = models.init_diagonal(x.shape[1], require_scales(alpha), shape)
    size, drawn = jnp.asarray(step_size, dtype=float), jax.random.key(0) if key is None else key
    plus, minus = solve_descent(
        x, goal, start["plus"], start["minus"], size, jnp.asarray(saved), jnp.asarray(batch or goal.size), drawn
    )
    path = _path(x, goal, jnp.asarray(step_size * saved, dtype=float), plus, minus, plus**2 - minus**2)
    if not bool(jnp.all(jnp.isfinite(path.loss))):
        first = int(saved[int(np.argmin(np.isfinite(np.asarray(path.loss))))])
        raise FlowError(f"the descent is not finite at step {first}: take step_size below {float(step_size):.3g}")
    return Descent(jnp.asarray(saved), path)
