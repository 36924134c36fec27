r"""Steps that are not small: gradient descent with large steps and with mini-batches, against the flow.

A step multiplies $w_\pm$ by $1 \mp e$ with $e = \eta g$, where g is twice the (mini-batch) gradient of L with respect
to $\beta$. So $a = w_+ \circ w_-$ shrinks by $1 - e^2$, and $\mathrm{arsinh}(\beta/2a) = -2\sum\mathrm{artanh}\,e$,
which leaves the row space of X at third order only.
"""

from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from lazy_course.displacement import FlowError
from lazy_course.implicit_bias import depth, flow
from lazy_course.implicit_bias.bounds import stiffness
from lazy_course.implicit_bias.numerics import minimum_q_interpolator
from lazy_course.models import AnyKey, Scalar


class SparseProblem(NamedTuple):
    """Gaussian data X (N, d) of variance 1/N, the `target` (d,) with few entries, and y = X target."""

    X: Float[np.ndarray, "N d"]
    y: Float[np.ndarray, " N"]
    target: Float[np.ndarray, " d"]


def sparse_problem(key: AnyKey, n: int = 20, d: int = 50) -> SparseProblem:
    """A draw with the target (1, -0.7, 0.5, 0, ..., 0)."""
    x = np.asarray(jax.random.normal(key, (n, d))) / n**0.5
    target = np.zeros(d)
    target[:3] = 1.0, -0.7, 0.5
    return SparseProblem(x, x @ target, target)


class Finished(NamedTuple):
    r"""Ends of descents, one row for each of K step sizes.

    `fractions` of the largest stable step; `beta`, nan where the descent left the finite numbers; `scale`, the product
    $w_+ \circ w_-$ at the end; `residual`, the largest entry of $X\beta - y$; `predicted`, where the flow from
    $w_\pm = \sqrt{\mathrm{scale}}$ would end.
    """

    fractions: Float[np.ndarray, " K"]
    beta: Float[np.ndarray, "K d"]
    scale: Float[np.ndarray, "K d"]
    residual: Float[np.ndarray, " K"]
    predicted: Float[np.ndarray, "K d"]


def finished(
    problem: SparseProblem,
    alpha: Scalar,
    fractions: list[float],
    *,
    flow_time: float,
    batch: int | None = None,
    key: AnyKey | None = None,
) -> Finished:
    r"""Gradient descent up to `flow_time` = $\eta k$ for step sizes that are `fractions` of the largest stable one.

    That is $2/\lambda_{\max}$ at the end of the flow (`bounds.stiffness`): larger steps cannot settle there, but they
    may settle elsewhere. `batch` samples a step as in `flow.descent`.
    """
    x, y, _ = problem
    limit = minimum_q_interpolator(x, y, alpha)
    largest = stiffness(x, limit, alpha).largest_step
    rows = [_one(problem, alpha, f * largest, round(flow_time / (f * largest)), batch, key) for f in fractions]
    return Finished(np.asarray(fractions), *(np.stack(column) for column in zip(*rows, strict=True)))


def _one(
    problem: SparseProblem, alpha: Scalar, step: float, count: int, batch: int | None, key: AnyKey | None
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    x, y, _ = problem
    try:
        path = flow.descent(x, y, alpha, step_size=step, save_at=[count], batch=batch, key=key).path
    except FlowError:
        lost = np.full(x.shape[1], np.nan)
        return lost, lost, float(np.inf), lost
    beta, scale = np.asarray(path.beta[-1]), np.asarray(path.product[-1])
    # A factor 1 - e^2 below 0 turns the sign of a product; its size is what counts as a scale.
    start = np.sqrt(np.maximum(np.abs(scale), 1e-300))
    return (
        beta,
        scale,
        float(np.max(np.abs(x @ beta - y))),
        np.asarray(depth.minimum_interpolator(x, y, 1.0, shape=start)),
    )
