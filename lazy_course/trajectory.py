"""The records of flows.py (settings, status, trajectories), and the one place where diffrax is called."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from lazy_course.displacement import DisplacedModel, FlowError, Remainder, norm_over_time
from lazy_course.progress import LateProgressMeter

METERS: dict[bool | str, diffrax.AbstractProgressMeter] = {
    True: diffrax.TextProgressMeter(),
    False: diffrax.NoProgressMeter(),
    "late": LateProgressMeter(),
}


@dataclass(frozen=True)
class FlowSettings:
    """How a flow is integrated; hashable, so that it may be a static argument of a compiled function.

    `solver`: "explicit" (Tsitouras 5(4)) or "implicit" (Kvaerno 5(4), for stiff problems; it solves
    p x p systems and steps onto every saved time). `rtol`, `atol`: tolerances per step of
    the displacement, and of the scaled gap.
    `remainder`: see `displacement.DisplacedModel`.
    `progress`: True prints how far the solve is, "late" only when it takes long (`progress.PATIENCE` seconds; for one
    solve at a time, not under `jax.vmap`), False never.
    """

    solver: Literal["explicit", "implicit"] = "explicit"
    rtol: float = 1e-9
    atol: float = 1e-9
    max_steps: int = 100_000
    remainder: Remainder = "integral"
    progress: bool | Literal["late"] = False

    def __post_init__(self) -> None:
        if self.solver not in ("explicit", "implicit"):
            raise ValueError(f'solver: expected "explicit" or "implicit", got {self.solver!r}')
        if self.remainder not in ("integral", "difference"):
            raise ValueError(f'remainder: expected "integral" or "difference", got {self.remainder!r}')
        if self.progress not in (True, False, "late"):
            raise ValueError(f'progress: expected True, False or "late", got {self.progress!r}')
        if not (self.rtol > 0 and self.atol > 0):
            raise ValueError(f"rtol, atol: expected positive numbers, got {self.rtol} and {self.atol}")
        if self.max_steps < 1:
            raise ValueError(f"max_steps: expected at least 1, got {self.max_steps}")


class FlowStatus(eqx.Module):
    """What happened: `success`; the last flow time reached, with the loss there and at 0; the solver's steps;
    and how far the outputs are from alpha h(w) over what rounding explains (`missed_kinks`, below 1 is right)."""

    success: Bool[Array, ""]
    time: Float[Array, ""]
    loss_start: Float[Array, ""]
    loss_last: Float[Array, ""]
    steps: Int[Array, ""]
    missed_kinks: Float[Array, ""]


class Trajectory(eqx.Module):
    """A flow at the saved flow times: `displacement` is v = alpha (w - w0), a pytree like the params with a leading
    axis T; `outputs` are alpha h(w), shape (T, n); `loss` is R of the outputs, shape (T,)."""

    times: Float[Array, " T"]
    displacement: PyTree
    outputs: Float[Array, "T n"]
    loss: Float[Array, " T"]
    alpha: Float[Array, ""]
    params0: PyTree

    @property
    def params(self) -> PyTree:
        """The parameters w = w0 + displacement / alpha, with a leading axis T."""
        return jax.tree.map(lambda w, v: w[None] + v / self.alpha, self.params0, self.displacement)

    @property
    def distance(self) -> Float[Array, " T"]:
        """The Euclidean norm of w - w0 at every time."""
        return norm_over_time(self.displacement) / self.alpha


class GapTrajectory(eqx.Module):
    """A flow and its linearization at the saved flow times, with their scaled differences, which stay O(1).

    `scaled_parameter_gap` is e = alpha^2 (w - wbar), a pytree with a leading axis T; `scaled_output_gap` is
    d = alpha (y - ybar), shape (T, n), where y = alpha h(w) (`outputs`) and ybar = alpha hbar(wbar)
    (`linearized_outputs`); `displacement` and `linearized_displacement` are v and vbar. The properties
    `parameter_gap` and `output_gap` are the plain differences w - wbar and y - ybar.
    """

    times: Float[Array, " T"]
    displacement: PyTree
    linearized_displacement: PyTree
    scaled_parameter_gap: PyTree
    outputs: Float[Array, "T n"]
    linearized_outputs: Float[Array, "T n"]
    scaled_output_gap: Float[Array, "T n"]
    loss: Float[Array, " T"]
    alpha: Float[Array, ""]
    params0: PyTree

    @property
    def parameter_gap(self) -> PyTree:
        """w - wbar = scaled_parameter_gap / alpha^2."""
        return jax.tree.map(lambda e: e / self.alpha**2, self.scaled_parameter_gap)

    @property
    def output_gap(self) -> Float[Array, "T n"]:
        """y - ybar = scaled_output_gap / alpha."""
        return self.scaled_output_gap / self.alpha

    @property
    def params(self) -> PyTree:
        """The parameters w of the flow, with a leading axis T."""
        return jax.tree.map(lambda w, v: w[None] + v / self.alpha, self.params0, self.displacement)

    @property
    def distance(self) -> Float[Array, " T"]:
        """The Euclidean norm of w - w0 at every time."""
        return norm_over_time(self.displacement) / self.alpha


def integrate(
    field: Callable[[Any], Any], start: Any, times: Array, settings: FlowSettings
) -> tuple[Any, dict[str, Array]]:
    """The states at the times, followed by the last state reached, and success, last time and steps. Never raises."""
    end = times[-1]
    # A step below the resolution of time means a blow-up: stop there instead of using up max_steps.
    controller: diffrax.AbstractStepSizeController = diffrax.PIDController(
        rtol=settings.rtol, atol=settings.atol, dtmin=1e-16 * end, force_dtmin=False
    )
    solver: diffrax.AbstractSolver = diffrax.Tsit5()
    if settings.solver == "implicit":
        # Between its steps Kvaerno's method is a cubic only, so it has to step onto the times.
        solver = diffrax.Kvaerno5()
        controller = diffrax.ClipStepSizeController(controller, step_ts=times)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, state, args: field(state)),
        solver,
        t0=0.0,
        t1=end,
        dt0=1e-5 * end,  # a guess by diffrax compiles the field twice more; the controller mends this one
        y0=start,
        saveat=diffrax.SaveAt(subs=[diffrax.SubSaveAt(ts=times), diffrax.SubSaveAt(t1=True)]),
        stepsize_controller=controller,
        max_steps=settings.max_steps,
        progress_meter=METERS[settings.progress],
        throw=False,
    )
    (saved, last), (_, last_time) = solution.ys, solution.ts
    status = {
        "success": diffrax.is_successful(solution.result),
        "time": last_time[0],
        "steps": solution.stats["num_steps"],
    }
    return jax.tree.map(lambda ys, y: jnp.concatenate([ys, y]), saved, last), status


def unraveled(model: DisplacedModel, flat: Array) -> PyTree:
    """Flat displacements (T, p) as a pytree like the params, with a leading axis T."""
    return jax.vmap(model.unravel)(flat)


def require_success(status: FlowStatus, settings: FlowSettings, alpha: Array, end: Array) -> None:
    """Raise a `FlowError` that says what happened, and when, unless the flow was followed to its end."""
    time, first, last = float(status.time), float(status.loss_start), float(status.loss_last)
    where = f"at flow time {time:.6g} of {float(end):.6g} (alpha = {float(alpha):g}, {int(status.steps)} steps)"
    if not bool(status.success):
        if not jnp.isfinite(last) or last > first + 1e-6 * abs(first) or int(status.steps) < settings.max_steps:
            raise FlowError(
                f"the flow diverged {where}: the loss went from {first:.6g} to {last:.6g} and no step is small "
                "enough; check that the loss is bounded below and the model smooth, or end before this time"
            )
        other = "implicit" if settings.solver == "explicit" else "explicit"
        raise FlowError(
            f"max_steps reached {where}, loss {last:.6g}: the problem is stiff or the time is long; try "
            f'solver="{other}", more than max_steps={settings.max_steps}, a larger rtol and atol, or shorter times'
        )
    if settings.remainder == "integral" and not float(status.missed_kinks) < 1.0:
        raise FlowError(
            f"the outputs are not alpha h(w) up to rounding {where}: off by {float(status.missed_kinks):.3g} times "
            'what is allowed; h has kinks (ReLU): use remainder="difference"'
        )
