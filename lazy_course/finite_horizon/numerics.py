"""What the chapter measures: both flows and their scaled gap for many problems, beside the bounds.

One solver is compiled for each kind of model, with the numbers of the problem, alpha and the times as arguments. To
compile takes seconds and to run takes milliseconds, so many problems run one after the other.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from lazy_course import expansion, flows
from lazy_course.finite_horizon import bounds, cases
from lazy_course.finite_horizon.cases import Problem
from lazy_course.models import RealArray

TIMES = 65
ALPHAS = 10.0 ** np.arange(1, 8)


@eqx.filter_jit
def _solve_gap(problem: Problem, alpha: Array, times: Array) -> Any:
    return flows.solve_flow_gap(problem.h, problem.params0, problem.loss, alpha, times)


@eqx.filter_jit
def _solve_correction(problem: Problem, times: Array) -> Any:
    offset = jnp.zeros_like(problem.loss.target)
    return expansion.solve_first_correction(problem.h, problem.params0, problem.loss, times, offset)


def _checked(result: Any, status: flows.FlowStatus) -> Any:
    """The result as NumPy arrays; raises `FlowError` unless the flow was followed to its end."""
    if not bool(status.success) or bool(status.missed_kinks >= 1):
        raise flows.FlowError(f"the flow stopped at time {float(status.time):g}: follow it alone with flows.flow_gap")
    return jax.tree.map(np.asarray, result)


def repeated(problem: Problem, count: int) -> Problem:
    """The same problem `count` times, with a leading axis."""
    arrays = eqx.filter(problem, eqx.is_array)
    spread = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (count, *np.shape(leaf))), arrays)
    return eqx.combine(spread, problem)


class Measured(eqx.Module):
    """Scaled norms along N pairs of flows at T times: what the bounds of `bounds` promise to exceed.

    `travel` is alpha ||w - w0||, `output_gap` alpha ||y - ybar||, `parameter_gap` alpha^2 ||w - wbar||, each (N, T);
    `gap` holds the trajectories themselves, with a leading axis N.
    """

    alphas: Float[RealArray, " N"]
    times: Float[RealArray, "N T"]
    travel: Float[RealArray, "N T"]
    output_gap: Float[RealArray, "N T"]
    parameter_gap: Float[RealArray, "N T"]
    gap: Any


def measure(problems: Problem, alphas: Float[RealArray, " N"], horizons: Float[RealArray, " N"]) -> Measured:
    """Follow N problems, each at its alpha up to its horizon (flow time), saved at `TIMES` equal steps from 0."""
    times = np.linspace(0.0, 1.0, TIMES)[None] * np.asarray(horizons, dtype=float)[:, None]
    scales = np.asarray(alphas, dtype=float)
    arrays, rest = eqx.partition(problems, eqx.is_array)
    arrays = jax.tree.map(np.asarray, arrays)
    pieces = []
    for i, alpha in enumerate(scales):
        problem = eqx.combine(jax.tree.map(lambda leaf: jnp.asarray(leaf[i]), arrays), rest)  # noqa: B023
        pieces.append(_checked(*_solve_gap(problem, jnp.asarray(alpha), jnp.asarray(times[i]))))
    gap = jax.tree.map(lambda *leaves: np.stack(leaves), *pieces)
    return Measured(
        alphas=scales,
        times=times,
        travel=_norms(gap.displacement),
        output_gap=_norms(gap.scaled_output_gap),
        parameter_gap=_norms(gap.scaled_parameter_gap),
        gap=gap,
    )


def _norms(tree: PyTree) -> np.ndarray:
    """Euclidean norm over all parameters (or outputs), for leaves with two leading axes: flow and time."""
    squares = [np.sum(np.reshape(leaf, (*leaf.shape[:2], -1)) ** 2, axis=-1) for leaf in jax.tree.leaves(tree)]
    return np.sqrt(sum(squares))


def sweep(problem: Problem, alphas: Float[RealArray, " N"] = ALPHAS, *, horizon: float = 2.0) -> Measured:
    """The same problem at several alpha, up to one horizon (flow time)."""
    return measure(repeated(problem, len(alphas)), alphas, np.full(len(alphas), horizon))


def rates(measured: Measured) -> dict[str, Float[RealArray, " N"]]:
    """The three quantities of Theorem 2.2, unscaled: sup over time for every alpha."""
    alpha = measured.alphas
    return {
        "travel": measured.travel.max(1) / alpha,
        "parameter gap": measured.parameter_gap.max(1) / alpha**2,
        "output gap": measured.output_gap.max(1) / alpha,
    }


def slopes(measured: Measured) -> dict[str, float]:
    """Least-squares slope of log(quantity) against log(alpha), for the three quantities of `rates`."""
    x = np.log(measured.alphas)
    return {name: float(np.polyfit(x, np.log(values), 1)[0]) for name, values in rates(measured).items()}


def first_correction(problem: Problem, *, horizon: float = 2.0) -> Any:
    """v0, v1 and the output correction of one problem at the times of `sweep` (expansion.Expansion)."""
    return _checked(*_solve_correction(problem, jnp.linspace(0.0, horizon, TIMES)))


def exact_constants(problem: Problem, alpha: float = 1e4, *, horizon: float = 2.0) -> dict[str, float]:
    r"""Both scaled gaps, sup over time: measured at alpha, and predicted by the first correction."""
    measured, limit = sweep(problem, np.array([alpha]), horizon=horizon), first_correction(problem, horizon=horizon)
    return {
        "parameters measured": float(measured.parameter_gap.max()),
        "parameters predicted": float(flows.norm_over_time(limit.correction).max()),
        "outputs measured": float(measured.output_gap.max()),
        "outputs predicted": float(np.linalg.norm(limit.output_correction, axis=1).max()),
    }


def envelope(
    problem: Problem, lipschitz: Callable[..., Array], alpha: float, *, horizon: float
) -> dict[str, RealArray]:
    r"""The scaled output gap at every time beside the Gronwall envelope and the convex bound (square or log-cosh loss).

    The ball has the radius $\sqrt{T E_0}/\alpha$ that the energy bound allows.
    """
    energy = float(problem.loss(problem.h(problem.params0)))
    radius = (horizon * energy) ** 0.5 / alpha
    c = cases.constants(problem, lipschitz(problem, radius), radius)
    run = sweep(problem, np.array([alpha]), horizon=horizon)
    t = run.times[0]
    return {
        "times": t,
        "measured": run.output_gap[0],
        "convex": bounds.convex_output_bound(c, t),
        "gronwall": bounds.general_output_bound(c, t),
    }
