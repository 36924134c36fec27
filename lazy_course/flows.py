r"""Gradient flow of $F_\alpha(w) = R(\alpha h(w))/\alpha^2$, the flow of its linearization, and their gap.

**Coordinates.** With $v = \alpha (w - w_0)$ and $y = \alpha h(w)$, $w' = -\nabla F_\alpha(w)$ becomes

$$v' = -Dh(w_0 + v/\alpha)^\top \nabla R(y), \qquad v(0) = 0 .$$

The linearized flow has $J_0 = Dh(w_0)$ in place of Dh and $\bar y = \alpha h(w_0) + J_0 \bar v$ in place of y:
$\bar v' = -J_0^\top \nabla R(\bar y)$. If $h(w_0) = 0$, it does not contain alpha: $\bar v = v_0$ for all alpha.

**The gap.** $w - \bar w$ is $O(1/\alpha^2)$, so the unknown is $e = \alpha (v - \bar v) = \alpha^2 (w - \bar w)$, with
$d = \alpha (y - \bar y) = J_0 e + \rho_\alpha(v)$ (displacement.py). Add and subtract
$J_0^\top \nabla R(y)$ in $\alpha (v' - \bar v')$:

$$e' = -\alpha\,(Dh(w) - J_0)^\top \nabla R(y) - J_0^\top \alpha\,(\nabla R(y) - \nabla R(\bar y)), \qquad
  v = \bar v + e/\alpha .$$

Both differences are integrals of a second derivative (displacement.py), so no term cancels and every term is O(1):
alpha = 1e8 is as good as alpha = 10. With $1/\alpha = 0$ this is the equation of the first correction
(expansion.py).

**If $h(w_0) \ne 0$** the equations hold as they stand, but $\alpha h(w_0)$ drives them: v grows like alpha and e like
alpha^2, so $w - w_0$ does not shrink and the flow is not lazy. Only relative accuracy is left then.

Time is flow time throughout; `descent` has the dictionary to steps. Source: chizat2019lazy, Section 2.1.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from lazy_course.displacement import (
    DisplacedModel,
    FlowError,
    Loss,
    Model,
    norm_over_time,
    require_problem,
    require_times,
    scaled_gradient_change,
)
from lazy_course.losses import SquareLoss
from lazy_course.models import RealArray, Scalar
from lazy_course.progress import CLOCK
from lazy_course.trajectory import (
    FlowSettings,
    FlowStatus,
    GapTrajectory,
    Trajectory,
    integrate,
    require_success,
    unraveled,
)

__all__ = [
    "FlowError",
    "FlowSettings",
    "FlowStatus",
    "GapTrajectory",
    "Trajectory",
    "flow_gap",
    "gradient_flow",
    "linearized_flow",
    "linearized_flow_closed_form",
    "norm_over_time",
    "solve_flow_gap",
    "solve_gradient_flow",
    "solve_linearized_flow",
]

Times = RealArray | list[float] | tuple[float, ...]


def solve_gradient_flow(
    h: Model,
    params0: PyTree,
    loss: Loss,
    alpha: Scalar,
    times: Float[Array, " T"],
    *,
    settings: FlowSettings = FlowSettings(),
    value0: Array | None = None,
    linearized: bool = False,
) -> tuple[Trajectory, FlowStatus]:
    """`gradient_flow` (or, with `linearized`, `linearized_flow`) as a pure function that checks nothing.

    It may be compiled, and vmapped over params0, alpha, times, and the arrays in h and loss. Look at `status.success`.
    """
    model = DisplacedModel(h, params0, alpha, remainder=settings.remainder, value0=value0)
    gradient = jax.grad(loss)

    def outputs(v: Array) -> Array:
        return model.offset + model.push(v) if linearized else model.outputs(v)

    def field(v: Array) -> Array:
        slope = gradient(outputs(v))
        return -(model.pull(slope) if linearized else model.pull_at(v, slope))

    def saved(v: Array) -> tuple[Array, Array]:
        y = outputs(v)
        return y, jnp.zeros(()) if linearized else model.missed_kinks(v, y)

    states, status = integrate(field, jnp.zeros_like(model.start), times, settings)
    values, missed = jax.lax.map(saved, states)
    losses = jax.vmap(loss)(values)
    trajectory = Trajectory(
        times=times,
        displacement=unraveled(model, states[:-1]),
        outputs=values[:-1],
        loss=losses[:-1],
        alpha=model.alpha,
        params0=model.unravel(model.start),
    )
    return trajectory, FlowStatus(
        **status, loss_start=loss(model.offset), loss_last=losses[-1], missed_kinks=jnp.max(missed)
    )


def solve_linearized_flow(*args: Any, **kwargs: Any) -> tuple[Trajectory, FlowStatus]:
    """`linearized_flow` as a pure function that checks nothing: `solve_gradient_flow` with `linearized=True`."""
    return solve_gradient_flow(*args, **kwargs, linearized=True)


def solve_flow_gap(
    h: Model,
    params0: PyTree,
    loss: Loss,
    alpha: Scalar,
    times: Float[Array, " T"],
    *,
    settings: FlowSettings = FlowSettings(),
    value0: Array | None = None,
) -> tuple[GapTrajectory, FlowStatus]:
    """`flow_gap` as a pure function that checks nothing; compile it, vmap it as `solve_gradient_flow`."""
    model = DisplacedModel(h, params0, alpha, remainder=settings.remainder, value0=value0)
    scale, gradient = model.alpha, jax.grad(loss)

    def outputs(state: tuple[Array, Array]) -> tuple[Array, Array]:
        linear, gap = state
        return model.offset + model.push(linear), model.push(gap) + model.scaled_remainder(linear + gap / scale)

    def field(state: tuple[Array, Array]) -> tuple[Array, Array]:
        linear, gap = state
        ybar, d = outputs(state)
        change = model.scaled_pull_change(linear + gap / scale, gradient(ybar + d / scale))
        return (
            -model.pull(gradient(ybar)),
            -change - model.pull(scaled_gradient_change(loss, ybar, d, scale)),
        )

    def saved(state: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        ybar, d = outputs(state)
        return ybar, d, model.missed_kinks(state[0] + state[1] / scale, ybar + d / scale)

    zero = jnp.zeros_like(model.start)
    states, status = integrate(field, (zero, zero), times, settings)
    ybar, d, missed = jax.lax.map(saved, states)
    linear, gap = states[0][:-1], states[1][:-1]
    values = ybar + d / scale
    losses = jax.vmap(loss)(values)
    trajectory = GapTrajectory(
        times=times,
        displacement=unraveled(model, linear + gap / scale),
        linearized_displacement=unraveled(model, linear),
        scaled_parameter_gap=unraveled(model, gap),
        outputs=values[:-1],
        linearized_outputs=ybar[:-1],
        scaled_output_gap=d[:-1],
        loss=losses[:-1],
        alpha=scale,
        params0=model.unravel(model.start),
    )
    return trajectory, FlowStatus(
        **status, loss_start=loss(model.offset), loss_last=losses[-1], missed_kinks=jnp.max(missed)
    )


_compiled_flow = eqx.filter_jit(solve_gradient_flow)
_compiled_gap = eqx.filter_jit(solve_flow_gap)


def _followed(
    compiled: Any, problem: tuple[Model, PyTree, Loss], alpha: Scalar, times: Times, chosen: dict[str, Any], **kw: Any
) -> Any:
    """Check the problem, run a compiled solve, check what came out."""
    settings = FlowSettings(**{"progress": "late", **chosen})
    flow_times = require_times(times)
    scale, value0 = require_problem(*problem, alpha)
    CLOCK.restart()
    trajectory, status = compiled(*problem, scale, flow_times, settings=settings, value0=value0, **kw)
    require_success(status, settings, scale, flow_times[-1])
    return trajectory


def gradient_flow(h: Model, params0: PyTree, loss: Loss, *, alpha: Scalar, times: Times, **settings: Any) -> Trajectory:
    r"""Gradient flow $w' = -\nabla F_\alpha(w)$ of $F_\alpha(w) = R(\alpha h(w))/\alpha^2$ from w0, at flow `times`.

    `h(params) -> (n,)` is any differentiable model, `params0` any pytree of floating arrays, `loss(y)` any
    differentiable R. Computed in $v = \alpha(w - w_0)$ without cancellation at any `alpha` (module docstring); h must
    be twice continuously differentiable, unless `remainder="difference"` is given (ReLU).
    `settings` are the fields of `FlowSettings`: `solver="explicit"|"implicit"`, `rtol`, `atol`, `max_steps`,
    `remainder`, `progress` (by default a solve of more than ten seconds prints how far it is). Everything is float64.

    A second call with the same h and loss objects (or models and losses of this package of the same
    shapes) and as many times is not compiled again, whatever alpha.

    Raises `ValueError` for alpha <= 0, times that do not increase from 0 on, h not flat, loss not scalar; `FlowError`
    if the loss is not finite at 0, the flow diverges, max_steps is reached (stiff), or h has kinks that were missed.
    Source: chizat2019lazy, Section 2.1.
    """
    return _followed(_compiled_flow, (h, params0, loss), alpha, times, settings)


def linearized_flow(
    h: Model, params0: PyTree, loss: Loss, *, alpha: Scalar, times: Times, **settings: Any
) -> Trajectory:
    r"""Gradient flow of $R(\alpha \bar h(w))/\alpha^2$ with the linearization $\bar h(w) = h(w_0) + Dh(w_0)(w - w_0)$.

    $\bar v' = -J_0^\top \nabla R(\alpha h(w_0) + J_0 \bar v)$, for any differentiable R. `outputs` are
    $\alpha \bar h(\bar w)$. Arguments, errors and result as in `gradient_flow`. Source: chizat2019lazy, Section 2.1.
    """
    return _followed(_compiled_flow, (h, params0, loss), alpha, times, settings, linearized=True)


def flow_gap(h: Model, params0: PyTree, loss: Loss, *, alpha: Scalar, times: Times, **settings: Any) -> GapTrajectory:
    r"""The flow, its linearization, $\alpha^2 (w - \bar w)$ and $\alpha (y - \bar y)$ without cancellation.

    The equations are in the module docstring. h and R must be twice continuously differentiable. The tolerances hold
    for the scaled gap, so its relative accuracy does not depend on alpha. For alpha < 1 note that `atol` acts on
    $\alpha^2 (w - \bar w)$: it leaves an error of the order of atol / alpha^2 in $w - \bar w$. R should vary on the
    scale of 1 or more (square and log-cosh losses do). Arguments, errors as in `gradient_flow`.
    """
    return _followed(_compiled_gap, (h, params0, loss), alpha, times, settings)


def linearized_flow_closed_form(
    h: Model, params0: PyTree, target: RealArray, *, alpha: Scalar, times: Times
) -> Trajectory:
    r"""The linearized flow of the square loss $\frac12\|y - y^\star\|^2$ in closed form, by an SVD $J_0 = U S V^\top$.

    With $r_0 = \alpha h(w_0) - y^\star$: $\bar v(t) = -V S\, \varphi(S^2, t)\, U^\top r_0$,
    $\varphi(s, t) = (1 - e^{-st})/s$ ($= t$ at $s = 0$), and
    $\bar y(t) = y^\star + r_0 - U (1 - e^{-S^2 t}) U^\top r_0$. Any rank. The (n, p) Jacobian is formed: n p numbers.
    `target` has shape (n,). Raises `ValueError` as `linearized_flow` does, and for a target of another shape.
    """
    loss = SquareLoss(jnp.asarray(target, dtype=float))
    flow_times = require_times(times)
    shape = jax.eval_shape(h, params0).shape
    if loss.target.shape != shape:
        raise ValueError(f"target: expected the shape {shape} of h(params0), got {loss.target.shape}")
    scale, value0 = require_problem(h, params0, loss, alpha)
    model = DisplacedModel(h, params0, scale, value0=value0)
    n, p = value0.size, model.start.size
    jacobian = (jax.jacrev if n <= p else jax.jacfwd)(model.h)(model.start)
    u, s, vt = jnp.linalg.svd(jacobian, full_matrices=False)
    along = u.T @ (model.offset - loss.target)
    exponent = flow_times[:, None] * (s**2)[None]
    # phi = t (1 - exp(-x)) / x at x = s^2 t; the quotient is 1 where x = 0.
    safe = jnp.where(exponent > 0, exponent, 1.0)
    phi = flow_times[:, None] * jnp.where(exponent > 0, -jnp.expm1(-safe) / safe, 1.0)
    displacement = -(phi * (s * along)[None]) @ vt
    outputs = model.offset[None] + (jnp.expm1(-exponent) * along[None]) @ u.T
    return Trajectory(
        times=flow_times,
        displacement=unraveled(model, displacement),
        outputs=outputs,
        loss=jax.vmap(loss)(outputs),
        alpha=scale,
        params0=model.unravel(model.start),
    )
