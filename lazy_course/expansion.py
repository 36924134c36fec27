r"""The first correction to lazy training: $w = w_0 + v_0/\alpha + v_1/\alpha^2 + O(1/\alpha^3)$ when $h(w_0) = 0$.

Put $v = v_0 + v_1/\alpha + \dots$ into $v' = -Dh(w_0 + v/\alpha)^\top \nabla R(y)$. With $J_0 = Dh(w_0)$,
$y = J_0 v_0 + \tfrac1\alpha (J_0 v_1 + \tfrac12 D^2h[v_0, v_0]) + \dots$ and
$Dh(w_0 + v/\alpha) = J_0 + \tfrac1\alpha D^2h[v_0, \cdot] + \dots$. Order 0 and order $1/\alpha$ are, with
$\bar y_0 = J_0 v_0$ and $H_R$ the Hessian of R,

$$v_0' = -J_0^\top \nabla R(\bar y_0), \qquad
v_1' = -J_0^\top H_R(\bar y_0)\,[J_0 v_1 + \tfrac12 D^2h[v_0, v_0]] - (D^2h[v_0, \cdot])^\top \nabla R(\bar y_0),$$

both from 0. $w_0 + v_0/\alpha$ is the linearized flow itself, so $\alpha^2 (w - \bar w) \to v_1$ and
$\alpha (y - \bar y) \to J_0 v_1 + \tfrac12 D^2h[v_0, v_0]$ as alpha grows, on every interval [0, T].
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from lazy_course.displacement import DisplacedModel, Loss, Model, require_problem, require_times
from lazy_course.flows import Times
from lazy_course.linearization import second_differential
from lazy_course.models import RealArray
from lazy_course.trajectory import FlowSettings, FlowStatus, integrate, require_success, unraveled


class Expansion(eqx.Module):
    """The first two terms at the saved flow times: `displacement` is v0 and `correction` is v1, pytrees like the
    params with a leading axis T; `outputs` is ybar0 and `output_correction` is J0 v1 + D2h[v0, v0] / 2, both (T, n)."""

    times: Float[Array, " T"]
    displacement: PyTree
    correction: PyTree
    outputs: Float[Array, "T n"]
    output_correction: Float[Array, "T n"]


def solve_first_correction(
    h: Model,
    params0: PyTree,
    loss: Loss,
    times: Float[Array, " T"],
    offset: Float[Array, " n"],
    *,
    settings: FlowSettings = FlowSettings(),
) -> tuple[Expansion, FlowStatus]:
    """`first_correction` as a pure function that checks nothing: compile it, vmap it; look at `status.success`."""
    model = DisplacedModel(h, params0, 1.0)
    gradient = jax.grad(loss)

    def outputs(state: tuple[Array, Array]) -> tuple[Array, Array]:
        v0, v1 = state
        bend = second_differential(model.h, model.start, v0, v0)
        return offset + model.push(v0), model.push(v1) + 0.5 * bend

    def field(state: tuple[Array, Array]) -> tuple[Array, Array]:
        ybar, correction = outputs(state)
        slope, slope_change = jax.jvp(gradient, (ybar,), (correction,))
        turned = jax.jvp(lambda w: jax.vjp(model.h, w)[1](slope)[0], (model.start,), (state[0],))[1]
        return -model.pull(slope), -model.pull(slope_change) - turned

    zero = jnp.zeros_like(model.start)
    states, status = integrate(field, (zero, zero), times, settings)
    ybar, correction = jax.lax.map(outputs, states)
    losses = jax.vmap(loss)(ybar)
    expansion = Expansion(
        times=times,
        displacement=unraveled(model, states[0][:-1]),
        correction=unraveled(model, states[1][:-1]),
        outputs=ybar[:-1],
        output_correction=correction[:-1],
    )
    return expansion, FlowStatus(**status, loss_start=loss(offset), loss_last=losses[-1], missed_kinks=jnp.zeros(()))


_compiled = eqx.filter_jit(solve_first_correction)


def first_correction(
    h: Model,
    params0: PyTree,
    loss: Loss,
    *,
    times: Times,
    offset: RealArray | None = None,
    **settings: Any,
) -> Expansion:
    r"""The terms v0 and v1 of $w = w_0 + v_0/\alpha + v_1/\alpha^2 + \dots$ at flow `times` (module docstring).

    Hypotheses: h and R twice continuously differentiable; $h(w_0) = 0$. Or give `offset` c of shape (n,): then the
    expansion is that of the models $h - h(w_0) + c/\alpha$, whose scaled output starts at c for every alpha, and
    $\bar y_0 = c + J_0 v_0$. A model with $h(w_0) \ne 0$ fixed has no such expansion: its v grows like alpha.
    `settings` are the fields of `FlowSettings`. Shapes are those of `flow_gap`.

    Raises `ValueError` if h(w0) is not 0 and no offset is given, else as `flows.gradient_flow`.
    Source: this course; the order is that of chizat2019lazy, Theorem 2.2.
    """
    chosen = FlowSettings(**settings)
    flow_times = require_times(times)
    _, value0 = require_problem(h, params0, loss, 1.0)
    if offset is None:
        size = float(jnp.linalg.norm(value0))
        if size > 1e-10:
            raise ValueError(
                f"h: expected h(params0) = 0, got a norm of {size:.6g}; subtract it with "
                "models.centred, or give the scaled output at time 0 as offset"
            )
        offset = jnp.zeros_like(value0)
    start = jnp.asarray(offset, dtype=float)
    if start.shape != value0.shape:
        raise ValueError(f"offset: expected the shape {value0.shape} of h(params0), got {start.shape}")
    expansion, status = _compiled(h, params0, loss, flow_times, start, settings=chosen)
    require_success(status, chosen, jnp.asarray(jnp.inf), flow_times[-1])
    return expansion
