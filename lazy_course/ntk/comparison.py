"""The records of `experiment` against the theory: an ensemble against mean and covariance, suprema against width."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy import stats

from lazy_course.ntk import experiment
from lazy_course.ntk.dynamics import linearized_dynamics
from lazy_course.ntk.prediction import Prediction, kernel_blocks


def predicted(angles: Any) -> Prediction:
    r"""Mean and covariance of the ensemble's networks at infinite width, at these angles, after the saved steps.

    For descent, not for the flow: $(I - \eta\Theta)^k$ takes the place of $e^{-\Theta t}$. With $A = \Theta_{xX}L_k$,
    the response to each target, the mean is $Ay$ and the covariance $K_{xx} - AK_{Xx} - K_{xX}A^\top + AK_{XX}A^\top$.
    """
    e = experiment.ENSEMBLE
    x, points = experiment.on_circle(e.train_angles), experiment.on_circle(angles)
    options: Any = {"activation": e.activation, "depth": 2, "sigma_w": e.sigma_w, "sigma_b": e.sigma_b}
    blocks = kernel_blocks(x, points, **options)
    n, targets = x.shape[0], jnp.eye(x.shape[0])
    training = linearized_dynamics(blocks.ntk_train)
    response = training.descent_test_outputs(
        jnp.zeros((points.shape[0], n)),
        blocks.ntk_test_train,
        jnp.zeros((n, n)),
        targets,
        np.asarray(e.saved),
        step_size=e.step,
    )
    cross = response @ jnp.asarray(blocks.nngp_test_train).T
    own = response @ jnp.asarray(blocks.nngp_train) @ jnp.swapaxes(response, 1, 2)
    covariance = jnp.asarray(blocks.nngp_test)[None] - cross - jnp.swapaxes(cross, 1, 2) + own
    return Prediction(response @ experiment.circle_target(e.train_angles), covariance)


class Check(NamedTuple):
    r"""One width after `steps` steps, N networks, q points: the sample against the theory.

    `largest` is the largest standardized error of the mean, $|\hat\mu - \mu|/(\sigma/\sqrt N)$; `mean` is
    $N(\hat\mu - \mu)^\top\Sigma^{-1}(\hat\mu - \mu)$, with its p-value under chi-square with q degrees of freedom;
    `variance` is $\mathrm{tr}(\Sigma^{-1}S)/q$, with its two-sided p-value under chi-square with q(N - 1) degrees, over
    q(N - 1).
    """

    steps: int
    largest: float
    mean: float
    mean_p: float
    variance: float
    variance_p: float


def check(mean: Any, covariance: Any, mu: Any, sigma: Any, draws: int, steps: int) -> Check:
    """The two statistics of one sample of `draws` vectors with this mean and covariance, against N(mu, sigma)."""
    mean, covariance, mu, sigma = (np.asarray(value) for value in (mean, covariance, mu, sigma))
    q, off = mu.size, mean - mu
    statistic = draws * off @ np.linalg.solve(sigma, off)
    ratio, degrees = np.trace(np.linalg.solve(sigma, covariance)) / q, q * (draws - 1)
    below = stats.chi2.cdf(ratio * degrees, degrees)
    return Check(
        steps=steps,
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
    rows = zip(kept["mean"], kept["covariance"], theory.mean, theory.covariance, e.saved, strict=True)
    return [check(*row[:4], e.draws, row[4]) for row in rows]


def ensemble_table(record: dict[str, Any]) -> str:
    """All statistics as a Markdown table."""
    lines = [
        "| width | steps | largest standardized error | chi-square of the mean (p) | variance ratio (p) |",
        "| --- | --- | --- | --- | --- |",
    ]
    for m in experiment.ENSEMBLE.widths:
        for row in ensemble_checks(record, m):
            lines.append(
                f"| {m} | {row.steps} | {row.largest:.2f} "
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
