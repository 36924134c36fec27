r"""The longer measurements of the chapter: `lazy-course reproduce implicit-bias`, or some of them:
`python -m lazy_course.implicit_bias.experiment [section ...]`.

Writes measured.json beside this file: for each section its settings, its values and its wall time, and the versions
that computed it. Sections: sparse (population error against alpha, for the exact limit and for gradient descent stopped
where public code stops it), samples (population error against N and alpha), recovery (where the small-alpha limit
begins to find the target, against d and k).
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

from lazy_course.implicit_bias import bounds, flow, numerics
from lazy_course.implicit_bias.curves import population_error
from lazy_course.implicit_bias.dual import row_space, solve_dual
from lazy_course.sections import compute

FILE = Path(__file__).parent / "measured.json"
SEED = 2020
D, N, K = 1000, 100, 5
ALPHAS = np.geomspace(1e-5, 1.0, 21)
# Public code that trains this network on this problem, in the units of L = ||X beta - y||^2 and w = alpha 1. One
# descends on (1/2n) of the squares in u v - u' v' with steps of 1e-3, a quarter of ours per n; it stops at a mean
# square of 1e-4 or after 1e7 steps. The other takes 1e4 steps of 1e-3 on the mean square.
TOLERANCE = 1e-4
BUDGETS = {"tolerance": (1e-3 / (4 * N), 10_000_000), "ten thousand steps": (1e-3 / N, 10_000)}


def load(section: str) -> dict[str, Any]:
    """The committed measurements of one section."""
    return json.loads(FILE.read_text(encoding="utf-8"))[section]


def problem(
    draw: int, n: int = N, d: int = D, k: int = K, noise: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Standard normal X (n, d), y = X beta* + noise, and beta*, k entries of $1/\sqrt k$: the sparse problem."""
    key_x, key_e = jax.random.split(jax.random.fold_in(jax.random.key(SEED), draw))
    x = np.asarray(jax.random.normal(key_x, (n, d), dtype=float))
    target = np.zeros(d)
    target[:k] = k**-0.5
    return x, x @ target + noise * np.asarray(jax.random.normal(key_e, (n,), dtype=float)), target


@eqx.filter_jit
def stopped_descent(
    x: Array, y: Array, alpha: Array, step: Array, most: Array, tolerance: Array
) -> tuple[Array, Array]:
    """beta and the number of steps of full gradient descent that stops at a mean square of `tolerance` or at `most`."""

    def one(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        plus, minus, residual, count = carry
        slope = 4 * step * (residual @ x)
        plus, minus = plus * (1 - slope), minus * (1 + slope)
        return plus, minus, x @ (plus**2 - minus**2) - y, count + 1

    start = jnp.full(x.shape[1], alpha)
    plus, minus, _, count = jax.lax.while_loop(
        lambda c: (jnp.sum(c[2] ** 2) > tolerance * y.size) & (c[3] < most), one, (start, start, -y, jnp.asarray(0))
    )
    return plus**2 - minus**2, count


def stopped(draw: int, noise: float, budget: str, alphas: np.ndarray) -> dict[str, list[float]]:
    """Population error, mean square on the data and steps of descent under one of the `BUDGETS`, for each alpha."""
    x, y, target = problem(draw, noise=noise)
    step, most = BUDGETS[budget]
    tolerance = TOLERANCE if budget == "tolerance" else 0.0
    rows: dict[str, list[float]] = {"error": [], "mean square": [], "steps": []}
    for alpha in alphas:
        numbers = (jnp.asarray(x), jnp.asarray(y), jnp.asarray(alpha), jnp.asarray(step))
        beta, count = stopped_descent(*numbers, jnp.asarray(most), jnp.asarray(tolerance))
        rows["error"].append(float(population_error(beta, target)))
        rows["mean square"].append(float(np.mean((x @ np.asarray(beta) - y) ** 2)))
        rows["steps"].append(int(count))
    return rows


def after_flow_time(draw: int, noise: float, end: float, alphas: np.ndarray) -> dict[str, list[float]]:
    """Population error and mean square of the flow at the time `end`: 1e7 of the small steps, without taking them."""
    x, y, target = problem(draw, noise=noise)
    rows: dict[str, list[float]] = {"error": [], "mean square": []}
    for alpha in alphas:
        found = flow.flow(x, y, float(alpha), [end], rtol=1e-8, atol=1e-8)
        rows["error"].append(float(population_error(found.beta[-1], target)))
        rows["mean square"].append(float(found.loss[-1]) / y.size)
    return rows


def exact(draw: int, noise: float, alphas: np.ndarray) -> dict[str, Any]:
    """Population errors of the exact limits, of least l2 and of least l1 norm, with the certificate value c."""
    x, y, target = problem(draw, noise=noise)
    l1 = numerics.minimum_l1(x, y)
    return {
        "error": population_error(numerics.minimum_q_interpolator(x, y, alphas), target).tolist(),
        "l2": float(population_error(numerics.minimum_l2(x, y), target)),
        "l1": float(population_error(l1.beta, target)),
        "c": l1.largest,
    }


def sparse(draws: int = 3) -> dict[str, Any]:
    """d = 1000, N = 100, k = 5, without noise and with noise of variance 0.01."""
    values: dict[str, Any] = {}
    small_step, most = BUDGETS["tolerance"]
    for noise in (0.0, 0.1):
        row: dict[str, Any] = {"exact": [exact(draw, noise, ALPHAS) for draw in range(draws)]}
        for budget in BUDGETS:
            row[budget] = stopped(0, noise, budget, ALPHAS)
            print(f"  noise {noise}, {budget}: {max(row[budget]['steps'])} steps at most", flush=True)
        row["ten million steps"] = after_flow_time(0, noise, small_step * most, ALPHAS)
        values[str(noise)] = row
    settings = {
        "seed": SEED,
        "draws of the exact limit": draws,
        "draw of the descents": 0,
        "d": D,
        "N": N,
        "k": K,
        "alphas": ALPHAS.tolist(),
        "tolerance": TOLERANCE,
        "budgets (step on L, steps)": BUDGETS,
        "ten million steps": "the flow at time 1e7 * 2.5e-6 = 25",
    }
    return {"settings": settings, "values": values}


SIZES = (5, 10, 15, 20, 25, 30, 40, 50, 70, 100, 150, 200, 300, 400, 500, 600, 700, 800, 900, 1000)
SCALES = (1e-8, 1e-6, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.2, 0.3, 0.5, 1.0, 10.0)


def errors_of_samples(draw: int, n: int, scales: tuple[float, ...] = SCALES) -> list[float]:
    """Population errors of the exact limits for the first n samples of a draw, one for each scale."""
    x, y, target = problem(draw, n=D)
    return population_error(numerics.minimum_q_interpolator(x[:n], y[:n], list(scales)), target).tolist()


def samples(draws: int = 3) -> dict[str, Any]:
    """Population error for every N and alpha, d = 1000 and k = 5, no noise."""
    values = []
    for n in SIZES:
        values.append([errors_of_samples(draw, n) for draw in range(draws)])
        print(f"  N = {n}: {np.mean(values[-1], axis=0).round(4)}", flush=True)
    settings = {"seed": SEED, "draws": draws, "d": D, "k": K, "sizes": SIZES, "alphas": SCALES}
    return {"settings": settings, "values": values}


def needed(record: dict[str, Any], level: float = 0.1) -> np.ndarray:
    """For each alpha the N at which the mean error falls below `level`, by linear interpolation in N."""
    sizes = np.asarray(record["settings"]["sizes"], dtype=float)
    error = np.mean(np.asarray(record["values"]), axis=1)
    found = []
    for column in error.T:
        after = int(np.argmax(column < level))
        share = (column[after - 1] - level) / (column[after - 1] - column[after])
        found.append(float(sizes[after - 1] + share * (sizes[after] - sizes[after - 1])))
    return np.asarray(found)


PAIRS = tuple((d, k) for d in (100, 200, 400, 800) for k in (2, 5, 10))
RATIOS = np.linspace(0.4, 1.9, 16)
SMALL = 1e-8


def successes(d: int, k: int, draws: int, chosen: slice = slice(None)) -> tuple[list[int], list[float]]:
    """For N = ratio times the statistical dimension: N, and the share of draws with an error below 1e-3 at alpha 1e-8.

    `chosen` takes a part of `RATIOS`. All N are solved at the largest, with rows of zeros behind, so that one compiled
    program serves.
    """
    sizes = [min(d, round(ratio * bounds.statistical_dimension(d, k))) for ratio in RATIOS]
    most, flat = max(sizes), jnp.zeros(d)
    sizes = sizes[chosen]
    hits = np.zeros(len(sizes))
    for draw in range(draws):
        x, _, target = problem(1000 * d + 10 * k + draw, n=most, d=d, k=k)
        for i, n in enumerate(sizes):
            space = row_space(x[:n], x[:n] @ target)
            rows = np.zeros((most, d))
            goal = np.zeros(most)
            rows[:n], goal[:n] = space.rows, space.target
            log_scales = jnp.asarray([2 * np.log(SMALL)])
            beta, _, _ = solve_dual(jnp.asarray(rows), jnp.asarray(goal), log_scales, jnp.asarray(0.0), flat, flat)
            hits[i] += population_error(beta[0], target) < 1e-3
    return sizes, (hits / draws).tolist()


def recovery(draws: int = 10) -> dict[str, Any]:
    """The share of draws in which the limit at alpha = 1e-8 is the target, for twelve pairs (d, k)."""
    values = []
    for d, k in PAIRS:
        sizes, share = successes(d, k, draws)
        values.append({"d": d, "k": k, "delta": bounds.statistical_dimension(d, k), "sizes": sizes, "share": share})
        print(f"  d = {d}, k = {k}: half at N = {half(values[-1]):.1f}, delta = {values[-1]['delta']:.1f}", flush=True)
    settings = {"seed": SEED, "draws": draws, "alpha": SMALL, "level": 1e-3, "ratios": RATIOS.tolist()}
    return {"settings": settings, "values": values}


def half(row: dict[str, Any]) -> float:
    """The N at which the share of a `recovery` row passes one half, by linear interpolation; its last crossing."""
    share, sizes = np.asarray(row["share"]), np.asarray(row["sizes"], dtype=float)
    below = np.flatnonzero(share < 0.5)
    i = int(below[-1]) if below.size else 0
    if i + 1 >= len(share):
        return float("nan")
    return float(sizes[i] + (0.5 - share[i]) / (share[i + 1] - share[i]) * (sizes[i + 1] - sizes[i]))


SECTIONS: dict[str, Callable[[], dict[str, Any]]] = {"sparse": sparse, "samples": samples, "recovery": recovery}


def main(names: list[str]) -> None:
    """Compute the named sections (all if none is named) and write them into measured.json."""
    compute(FILE, SECTIONS, names, packages=("jax", "diffrax", "numpy", "scipy"), digits=8)


def run() -> None:
    """Compute all sections."""
    main([])


REGISTRY: dict[str, Callable[[], object]] = {"implicit-bias": run}


if __name__ == "__main__":
    main(sys.argv[1:])
