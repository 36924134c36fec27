"""The records of `experiment` against the theory: an ensemble against mean and covariance, suprema against width."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from lazy_course.ntk import experiment
from lazy_course.ntk.prediction import Prediction, kernel_blocks, predict


def predicted(angles: Any) -> Prediction:
    """Mean and covariance of the ensemble's networks at infinite width, at these angles and the saved steps.

    The descent's steps stand at flow times step * k; the last one counts as the end of training, t = infinity.
    """
    e = experiment.ENSEMBLE
    blocks = kernel_blocks(
        experiment.on_circle(e.train_angles),
        experiment.on_circle(angles),
        activation=e.activation,
        depth=2,
        sigma_w=e.sigma_w,
        sigma_b=e.sigma_b,
    )
    times = [*(e.step * k for k in e.saved[:-1]), np.inf]
    return predict(blocks, experiment.circle_target(e.train_angles), times)


class Check(NamedTuple):
    r"""One width and time: flow time; the largest standardized error of the mean, $|\hat\mu - \mu|/(\sigma/\sqrt N)$;
    $N(\hat\mu - \mu)^\top\Sigma^{-1}(\hat\mu - \mu)$ and its p-value under chi-square with q degrees of freedom;
    $\mathrm{tr}(\Sigma^{-1}S)/q$ and its two-sided p-value under chi-square with q(N - 1) degrees, over q(N - 1)."""

    time: float
    largest: float
    mean: float
    mean_p: float
    variance: float
    variance_p: float


def check(mean: Any, covariance: Any, mu: Any, sigma: Any, draws: int, time: float) -> Check:
    """The two statistics of one sample of `draws` vectors with this mean and covariance, against N(mu, sigma)."""
    mean, covariance, mu, sigma = (np.asarray(value) for value in (mean, covariance, mu, sigma))
    q, off = mu.size, mean - mu
    statistic = draws * off @ np.linalg.solve(sigma, off)
    ratio, degrees = np.trace(np.linalg.solve(sigma, covariance)) / q, q * (draws - 1)
    below = stats.chi2.cdf(ratio * degrees, degrees)
    return Check(
        time=time,
        largest=float(np.max(np.abs(off) / np.sqrt(np.diag(sigma) / draws))),
        mean=float(statistic),
        mean_p=float(stats.chi2.sf(statistic, q)),
        variance=float(ratio),
        variance_p=float(2 * min(below, 1 - below)),
    )


def ensemble_checks(record: dict[str, Any], m: int) -> list[Check]:
    """The statistics of the ensemble of width m, one row for every saved step."""
    e, kept = experiment.ENSEMBLE, record["values"][str(m)]
    theory = predicted(e.check_angles)
    times = [*(e.step * k for k in e.saved[:-1]), np.inf]
    rows = zip(kept["mean"], kept["covariance"], theory.mean, theory.covariance, times, strict=True)
    return [check(*row[:4], e.draws, row[4]) for row in rows]


def ensemble_table(record: dict[str, Any]) -> str:
    """All statistics as a Markdown table."""
    lines = [
        "| width | time | largest standardized error | chi-square of the mean (p) | variance ratio (p) |",
        "| --- | --- | --- | --- | --- |",
    ]
    for m in experiment.ENSEMBLE.widths:
        for row in ensemble_checks(record, m):
            lines.append(
                f"| {m} | {'end' if np.isinf(row.time) else f'{row.time:g}'} | {row.largest:.2f} "
                f"| {row.mean:.1f} ({row.mean_p:.2g}) | {row.variance:.3f} ({row.variance_p:.2g}) |"
            )
    return "\n".join(lines)


# What the theorems divide by: powers of the initial residual R_0.
RESIDUAL_POWERS = {"gap": 2, "test_gap": 2, "displacement": 1, "drift": 1, "test_drift": 1}


def scaled(record: dict[str, Any], kind: str, name: str) -> Float[np.ndarray, "widths draws"]:
    """One supremum over the power of the initial residual with which it grows in the theorems."""
    rows = [record["values"][f"{kind}, {m}"] for m in record["settings"]["widths"]]
    return np.array([np.asarray(row[name]) / np.asarray(row["residual"]) ** RESIDUAL_POWERS[name] for row in rows])


class Slope(NamedTuple):
    """The slope of log(geometric mean over draws) against log(width), and its standard error from the draws."""

    slope: float
    error: float


def slope(record: dict[str, Any], kind: str, name: str) -> Slope:
    """The slope of a supremum in the width, by least squares through the means of its logarithm."""
    widths = np.log(np.asarray(record["settings"]["widths"], dtype=float))
    logs = np.log(scaled(record, kind, name))
    off = widths - widths.mean()
    weights = off / np.sum(off**2)
    error = np.sqrt(np.sum(weights**2 * logs.var(axis=1, ddof=1) / logs.shape[1]))
    return Slope(float(weights @ logs.mean(axis=1)), float(error))


def slope_table(record: dict[str, Any], kinds: tuple[str, ...]) -> str:
    """Slopes with standard errors as a Markdown table, one row a supremum."""
    names = {
        "gap": "outputs, training points",
        "test_gap": "outputs, test points",
        "displacement": "parameters",
        "drift": "kernel, training points",
        "test_drift": "kernel, test against training points",
    }
    lines = ["| supremum of | " + " | ".join(kinds) + " |", "| --- |" + " --- |" * len(kinds)]
    for name, words in names.items():
        cells = (slope(record, kind, name) for kind in kinds)
        lines.append(f"| {words} | " + " | ".join(f"{cell.slope:.2f} ± {cell.error:.2f}" for cell in cells) + " |")
    return "\n".join(lines)
