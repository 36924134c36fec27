"""Finite steps: the shrinking product exactly, the end of a descent by the flow from a smaller start, and the noise."""

import jax
import numpy as np
import pytest

from lazy_course.implicit_bias import derivation_bounds, flow, numerics, steps

FRACTIONS = [0.02, 0.04, 0.2]


@pytest.fixture(scope="module")
def problem():
    return steps.sparse_problem(jax.random.key(0))


@pytest.fixture(scope="module")
def ends(problem):
    """Full batches and single samples, at two small fractions of the largest step and a larger one."""
    full = steps.finished(problem, 0.3, FRACTIONS, flow_time=150.0)
    noisy = steps.finished(problem, 0.3, FRACTIONS, flow_time=150.0, batch=1, key=jax.random.key(1))
    return full, noisy


def test_the_product_shrinks_by_one_minus_the_square(problem):
    """Step by step against w+ w- of the descent, and arsinh(beta/2a) = X^T nu - delta with its bound."""
    assert derivation_bounds.large_steps().holds
    step, count = 0.05, 40
    path = flow.descent(problem.X, problem.y, 0.3, step_size=step, save_at=list(range(count + 1))).path
    beta = np.asarray(path.beta)
    moves = step * 4 * (beta[:-1] @ problem.X.T - problem.y) @ problem.X
    assert 0.05 < np.max(np.abs(moves)) < 1
    scale = 0.3**2 * np.cumprod(1 - moves**2, axis=0)
    assert np.asarray(path.product)[1:] == pytest.approx(scale, rel=1e-10)
    delta = 2 * np.sum(np.arctanh(moves) - moves, axis=0)
    left = np.arcsinh(beta[-1] / 2 / scale[-1])
    assert left == pytest.approx(-2 * np.sum(moves, axis=0) - delta, abs=1e-10)
    assert np.all(np.abs(delta) <= 2 / 3 * np.sum(np.abs(moves) ** 3 / (1 - moves**2), axis=0) + 1e-15)


def test_descents_fit_and_end_where_a_smaller_start_would(problem, ends):
    """The distance to the flow from sqrt(w+ w-) is of second order in the step; that to the flow from 0.3 of first."""
    limit = np.asarray(numerics.minimum_q_interpolator(problem.X, problem.y, 0.3))
    full, noisy = ends
    assert np.max(full.residual) < 1e-8
    assert np.max(noisy.residual) < 1e-8
    predicted = np.linalg.norm(full.beta - full.predicted, axis=1)
    moved = np.linalg.norm(full.beta - limit, axis=1)
    assert np.log2(predicted[1] / predicted[0]) == pytest.approx(2.0, abs=0.2)
    assert np.log2(moved[1] / moved[0]) == pytest.approx(1.0, abs=0.1)
    assert np.all(predicted < 0.25 * moved)
    assert np.linalg.norm(noisy.beta[0] - noisy.predicted[0]) < 0.25 * np.linalg.norm(noisy.beta[0] - limit)


def test_noise_helps_and_large_full_steps_do_not(problem, ends):
    """One instance, measured: single samples shrink every product and lower the error, full steps raise it."""
    limit = np.asarray(numerics.minimum_q_interpolator(problem.X, problem.y, 0.3))
    before = np.linalg.norm(limit - problem.target)
    full, noisy = (np.linalg.norm(end.beta - problem.target, axis=1) for end in ends)
    assert full[-1] > before
    assert noisy[-1] < 0.8 * before
    assert np.median(ends[1].scale[-1]) < 0.3 * np.median(ends[0].scale[-1])


def test_a_descent_that_blows_up_is_nan(problem):
    lost = steps.finished(problem, 0.3, [30.0], flow_time=500.0)
    assert np.all(np.isnan(lost.beta))
    assert np.isinf(lost.residual[0])
