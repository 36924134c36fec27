r"""Gradient descent on $F_\alpha(w) = R(\alpha h(w))/\alpha^2$, and the dictionary between its steps and flow time.

Descent with step size $\eta$ is Euler's method for the gradient flow: step k stands at flow time $t = \eta k$. In
$v = \alpha (w - w_0)$ a step is $v_{k+1} = v_k - \eta\, Dh(w_k)^\top \nabla R(\alpha h(w_k))$.
"""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from lazy_course.displacement import DisplacedModel, FlowError, Loss, Model, Remainder, require_problem
from lazy_course.models import RealArray, Scalar
from lazy_course.progress import CLOCK
from lazy_course.trajectory import Trajectory, unraveled

Progress = bool | Literal["late"]


class Descent(Trajectory):
    """A descent at the saved `steps`, shape (T,): a `Trajectory` whose `times` are flow times step_size * steps."""

    steps: Int[Array, " T"]
    step_size: Float[Array, ""]


def _require_positive(name: str, value: Scalar) -> None:
    if not (np.ndim(value) == 0 and np.isfinite(value) and value > 0):
        raise ValueError(f"{name}: expected a positive finite number, got {value}")


def flow_time(
    steps: int | Int[RealArray, "..."], step_size: Scalar, *, loss_factor: Scalar = 1.0
) -> Float[Array, "..."]:
    r"""The flow time $t = c\, \eta\, k$ of k steps of descent of size $\eta$ on $c\, F_\alpha$, c = `loss_factor`.

    c = 1 is descent on $F_\alpha = R(\alpha h)/\alpha^2$. Descent on $R(\alpha h)$ itself, not divided, has
    $c = \alpha^2$; a mean over n samples where R is the sum has $c = 1/n$ (both: the product). At a fixed flow
    time the descent tends to the flow as $\eta \to 0$, with an error O(eta).
    Raises `ValueError` for a step size or factor that is not positive, and for negative steps.
    """
    _require_positive("step_size", step_size)
    _require_positive("loss_factor", loss_factor)
    if np.any(np.asarray(steps) < 0):
        raise ValueError(f"steps: expected numbers >= 0, got {steps}")
    return jnp.asarray(steps, dtype=float) * (step_size * loss_factor)


def steps(
    flow_time: float | int | Float[RealArray, "..."], step_size: Scalar, *, loss_factor: Scalar = 1.0
) -> Int[Array, "..."]:
    r"""The number of steps nearest to flow time t, $k = \mathrm{round}(t/(c\, \eta))$: the inverse of `flow_time`.

    Arguments and errors as in `flow_time`; the flow time must be >= 0.
    """
    _require_positive("step_size", step_size)
    _require_positive("loss_factor", loss_factor)
    time = np.asarray(flow_time, dtype=float)
    if not np.all(np.isfinite(time) & (time >= 0)):
        raise ValueError(f"flow_time: expected finite times >= 0, got {flow_time}")
    return jnp.asarray(np.rint(time / float(step_size * loss_factor)).astype(np.int64))


def stable_step_size(
    h: Model, params0: PyTree, *, smoothness: Scalar = 1.0, lipschitz: Scalar | None = None
) -> Float[Array, ""]:
    r"""The step size $1/(M\, \mathrm{Lip}(h)^2)$ for descent on $F_\alpha$, with M the `smoothness` of R.

    The gradient of $F_\alpha$ has a Lipschitz constant of at most
    $M\, \mathrm{Lip}(h)^2 + \mathrm{Lip}(Dh) \sup \|\nabla R\| / \alpha$; the second term goes away as alpha grows.
    A step of 1 over the constant never raises the loss. M = 1 for the square loss. Without `lipschitz`,
    $\|Dh(w_0)\|$ stands for Lip(h): right for the linearized model, and near w0. It is computed from the
    (n, p) Jacobian. At small alpha, or far from w0, take less.
    Raises `ValueError` if a constant is not positive (Dh(w0) = 0 included).
    Source: chizat2019lazy, Section 2.2 (M = 1).
    """
    _require_positive("smoothness", smoothness)
    if lipschitz is None:
        model = DisplacedModel(h, params0, 1.0)
        wide = model.value0.size <= model.start.size
        jacobian = (jax.jacrev if wide else jax.jacfwd)(model.h)(model.start)
        lipschitz = jnp.linalg.norm(jacobian, 2)
    _require_positive("lipschitz", lipschitz)
    return jnp.asarray(1.0 / (smoothness * lipschitz**2), dtype=float)


def solve_gradient_descent(
    h: Model,
    params0: PyTree,
    loss: Loss,
    alpha: Scalar,
    step_size: Scalar,
    save_at: Int[Array, " T"],
    *,
    remainder: Remainder = "integral",
    progress: Progress = False,
    value0: Array | None = None,
) -> tuple[Descent, Int[Array, ""], Float[Array, ""]]:
    """`gradient_descent` as a pure function that checks nothing: the descent, the first step whose loss is not finite
    (-1 if none) and the last finite loss. Compile it; vmap it over params0, alpha, step_size, and arrays in h, loss."""
    model = DisplacedModel(h, params0, alpha, remainder=remainder, value0=value0)
    size = jnp.asarray(step_size, dtype=float)

    def one_step(step: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        v, bad, last = carry
        value, slope = jax.value_and_grad(loss)(model.outputs(v))
        finite = jnp.isfinite(value)
        bad = jnp.where(finite | (bad >= 0), bad, step)
        return v - size * model.pull_at(v, slope), bad, jnp.where(finite, value, last)

    def to_next_save(carry: Any, target: Array) -> tuple[Any, tuple[Array, Array]]:
        step, inner = carry
        inner = jax.lax.fori_loop(step, target, one_step, inner)
        outputs = model.outputs(inner[0])
        if progress == "late":
            jax.debug.callback(_said, target, save_at[-1], loss(outputs))
        elif progress:
            jax.debug.print("step {}: loss {}", target, loss(outputs))
        return (target, inner), (inner[0], outputs)

    first = loss(model.offset)
    begin = (jnp.zeros_like(save_at[0]), (jnp.zeros_like(model.start), -jnp.ones_like(save_at[0]), first))
    (_, (_, bad, last)), (v, outputs) = jax.lax.scan(to_next_save, begin, save_at)
    values = jax.vmap(loss)(outputs)
    bad = jnp.where((bad < 0) & ~jnp.isfinite(values[-1]), save_at[-1], bad)
    descent = Descent(
        times=size * save_at,
        displacement=unraveled(model, v),
        outputs=outputs,
        loss=values,
        alpha=model.alpha,
        params0=model.unravel(model.start),
        steps=save_at,
        step_size=size,
    )
    return descent, bad, last


def _said(step: Array, last: Array, loss: Array) -> None:
    CLOCK.report(f"still descending: step {int(step)} of {int(last)}, loss {float(loss):.6g}")


_compiled = eqx.filter_jit(solve_gradient_descent)


def _require_steps(count: int, save_at: Any) -> np.ndarray:
    if count < 1:
        raise ValueError(f"steps: expected at least 1, got {count}")
    if save_at is None:
        return np.unique(np.linspace(0, count, min(count, 100) + 1).astype(np.int64))
    chosen = np.asarray(save_at)
    if chosen.ndim != 1 or chosen.size == 0 or not np.issubdtype(chosen.dtype, np.integer):
        raise ValueError(f"save_at: expected a flat array of step numbers, got {save_at}")
    if chosen[0] < 0 or chosen[-1] > count or np.any(np.diff(chosen) <= 0):
        raise ValueError(f"save_at: expected increasing step numbers between 0 and {count}, got {save_at}")
    return chosen.astype(np.int64)


def gradient_descent(
    h: Model,
    params0: PyTree,
    loss: Loss,
    *,
    alpha: Scalar,
    step_size: Scalar | None = None,
    steps: int,
    save_at: Int[RealArray, " T"] | list[int] | None = None,
    remainder: Remainder = "integral",
    progress: Progress = "late",
) -> Descent:
    r"""Gradient descent $w_{k+1} = w_k - \eta \nabla F_\alpha(w_k)$, $F_\alpha = R(\alpha h)/\alpha^2$, `steps` times.

    Computed in $v = \alpha (w - w_0)$, so that large alpha costs no digits. `step_size` is $\eta$; without it,
    $1/(M \|Dh(w_0)\|^2)$ of `stable_step_size`, with M = `loss.smoothness` if the loss has it, else 1.
    `save_at` are the step numbers to save, by default about 100 evenly spaced ones. `times` of the result are flow
    times (`flow_time`). `remainder` as in `flows.gradient_flow`; `progress` prints the loss at each saved step;
    "late", the default, prints how far it is when it takes more than ten seconds.

    Raises `ValueError` for bad arguments; `FlowError` if the loss becomes infinite or nan, or ends above where it
    began: the step is too large. Source: chizat2019lazy, Section 2.2.
    """
    scale, value0 = require_problem(h, params0, loss, alpha)
    chosen = _require_steps(steps, save_at)
    if step_size is None:
        step_size = stable_step_size(h, params0, smoothness=getattr(loss, "smoothness", 1.0))
    _require_positive("step_size", step_size)
    size = jnp.asarray(step_size, dtype=float)
    CLOCK.restart()
    descent, bad, last = _compiled(
        h,
        params0,
        loss,
        scale,
        size,
        jnp.asarray(chosen),
        remainder=remainder,
        progress=progress,
        value0=value0,
    )
    first, final = float(loss(scale * value0)), float(descent.loss[-1])
    what = "the step is too large: try a smaller step_size, at most about stable_step_size(h, params0)"
    if int(bad) >= 0:
        raise FlowError(
            f"the loss is not finite at step {int(bad)} (flow time {float(size) * int(bad):.6g}, step_size "
            f"{float(size):.6g}, alpha = {float(scale):g}); its last finite value was {float(last):.6g}; {what}"
        )
    if final > first + 1e-9 * abs(first):
        raise FlowError(
            f"the loss rose from {first:.6g} to {final:.6g} at step {int(chosen[-1])} (flow time "
            f"{float(descent.times[-1]):.6g}, step_size {float(size):.6g}, alpha = {float(scale):g}); {what}"
        )
    return descent
