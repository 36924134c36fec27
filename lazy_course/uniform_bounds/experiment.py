r"""The longer measurements of the chapter: `lazy-course reproduce uniform-bounds`, or some of them:
`python -m lazy_course.uniform_bounds.experiment [section ...]`.

Writes measured.json beside this file: for each section its settings, its values and its wall time, and the versions
that computed it. Sections: gaps (alpha^2 sup of the parameter gap), limits (what it tends to), steps (each step of the
two proofs), pessimism (the alpha where convergence really starts), dimension (what the tangent features leave).
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from lazy_course.flows import solve_gradient_flow
from lazy_course.sections import compute
from lazy_course.trajectory import FlowSettings
from lazy_course.uniform_bounds import features, numerics
from lazy_course.uniform_bounds.numerics import Problem

FILE = Path(__file__).parent / "measured.json"
SEED = 3
ALPHAS = [3.0, 10.0, 30.0, 100.0, 1e3, 1e4, 1e5]
WEIGHTS = (0.0, 3.0)


def load(section: str) -> dict[str, Any]:
    """The committed measurements of one section."""
    return json.loads(FILE.read_text(encoding="utf-8"))[section]


def gaps() -> dict[str, Any]:
    """The scaled gaps of three models, two losses and seven alpha, with both bounds' constants."""
    values = {}
    for name, problem in numerics.problems(jax.random.key(SEED)).items():
        sweep = numerics.gap_sweep(problem, ALPHAS, weights=WEIGHTS)
        values[name] = {"parameter_gap": sweep.parameter_gap.tolist(), "output_gap": sweep.output_gap.tolist()}
    return {"settings": {"seed": SEED, "alphas": ALPHAS, "weights": WEIGHTS, "rtol": 1e-8}, "values": values}


def limits() -> dict[str, Any]:
    """sup |v1| of the first correction, the limit of the scaled gaps, for three models and two losses."""
    values = {}
    for name, problem in numerics.problems(jax.random.key(SEED)).items():
        values[name] = [numerics.limiting_gap(numerics.with_weight(problem, weight)) for weight in WEIGHTS]
    return {"settings": {"seed": SEED, "weights": WEIGHTS}, "values": values}


def steps(alpha: float = 1e4) -> dict[str, Any]:
    """Each step of both proofs, measured, for three models and two losses."""
    values = {}
    for name, problem in numerics.problems(jax.random.key(SEED)).items():
        for weight in WEIGHTS:
            case = numerics.with_weight(problem, weight)
            values[f"{name}, c = {weight:g}"] = {
                "uniform": [tuple(step) for step in numerics.uniform_steps(case, alpha)],
                "path": [tuple(step) for step in numerics.path_steps(case, alpha)],
            }
    return {"settings": {"seed": SEED, "alpha": alpha, "weights": WEIGHTS}, "values": values}


@eqx.filter_jit
def remaining_loss(problems: Problem, alphas: Array, ends: Array) -> Array:
    """R at the flow time `end` over R at 0, for stacked problems, one alpha and one end for each."""

    def one(problem: Problem, alpha: Array, end: Array) -> Array:
        settings = FlowSettings(rtol=1e-7, atol=1e-7, max_steps=20_000)
        times = jnp.stack([0.5 * end, end])
        flow, status = solve_gradient_flow(problem.h, problem.params0, problem.loss, alpha, times, settings=settings)
        return jnp.where(status.success, flow.loss[-1] / status.loss_start, jnp.inf)

    return jax.vmap(one)(problems, alphas, ends)


def onset(problems: list[Problem], *, small: float = 1e-6, horizon: float = 200.0, rounds: int = 12) -> np.ndarray:
    r"""The alpha above which R falls to `small` times R(0) by flow time `horizon`/$\sigma^2$, by bisection.

    In log alpha, between the path-length threshold times 1.5 (where convergence is proved) and $10^{-3}$ of it.
    Bisection finds one alpha at which the answer changes. The result is a (draws,) array; nan where even the lowest
    alpha converges.
    """
    certificates = [numerics.certified(problem) for problem in problems]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *problems)
    high = np.log([1.5 * c.path_threshold for c in certificates])
    low = high + np.log(1e-3)
    ends = jnp.asarray([horizon / c.sigma_min**2 for c in certificates])

    def fits(logs: np.ndarray) -> np.ndarray:
        return np.asarray(remaining_loss(stacked, jnp.exp(jnp.asarray(logs)), ends)) < small

    always, at_top = fits(low), fits(high)
    if not np.all(at_top):
        raise ArithmeticError("a flow above the proved threshold did not converge: the solver is too coarse")
    for _ in range(rounds):
        middle = 0.5 * (low + high)
        converged = fits(middle)
        low, high = np.where(converged, low, middle), np.where(converged, middle, high)
    return np.where(always, np.nan, np.exp(0.5 * (low + high)))


SHAPES = ((3, 8), (3, 16), (3, 32), (3, 64), (3, 128), (2, 32), (4, 32), (6, 32))


def pessimism(draws: int = 20, shapes: tuple[tuple[int, int], ...] = SHAPES) -> dict[str, Any]:
    """The alpha where convergence starts, against both certified thresholds; input-trained tanh, n samples, width m."""
    values = []
    for n, m in shapes:
        drawn = [numerics.input_problem(jax.random.key(1000 * n + 10 * m + j), n=n, m=m) for j in range(draws)]
        certificates = [numerics.certified(problem) for problem in drawn]
        values.append(
            {
                "n": n,
                "m": m,
                "onset": onset(drawn).tolist(),
                "path": [c.path_threshold for c in certificates],
                "uniform": [c.alpha_threshold for c in certificates],
            }
        )
        print(f"  n = {n}, m = {m}: {np.round(values[-1]['onset'], 3)}", flush=True)
    settings = {"draws": draws, "shapes": shapes, "d": 4, "small": 1e-6, "horizon": "200/sigma^2", "rounds": 12}
    return {"settings": settings, "values": values}


def dimension(draws: int = 10) -> dict[str, Any]:
    """The share of a teacher that the tangent features leave, for five dimensions and five widths; no sampling of x."""
    dims, widths = (2, 5, 10, 20, 40), (2, 4, 8, 16, 32)
    values = {
        str(d): [
            [float(features.left_over(jax.random.key(100 * d + j), d=d, m=m)) for j in range(draws)] for m in widths
        ]
        for d in dims
    }
    return {"settings": {"draws": draws, "widths": widths, "units": 3}, "values": values}


SECTIONS: dict[str, Callable[[], dict[str, Any]]] = {
    "gaps": gaps,
    "limits": limits,
    "steps": steps,
    "pessimism": pessimism,
    "dimension": dimension,
}


def main(names: list[str]) -> None:
    """Compute the named sections (all if none is named) and write them into measured.json."""
    compute(FILE, SECTIONS, names, packages=("jax", "diffrax", "numpy"))


def run() -> None:
    """Compute all sections."""
    main([])


REGISTRY: dict[str, Callable[[], object]] = {"uniform-bounds": run}


if __name__ == "__main__":
    main(sys.argv[1:])
