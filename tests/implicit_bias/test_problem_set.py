"""The implicit-bias problem set: its shape, its key against other means and the chapter, and its self-checks."""

import numpy as np
import pytest

from lazy_course.implicit_bias import bounds, depth, flow, numerics
from tests.grading.shared_tests import ProblemSetTests
from tests.grading.workbook import Workbook
from tests.implicit_bias import independent_answers

BOOK = Workbook("implicit_bias")


class TestProblemSet(ProblemSetTests):
    book, answers = BOOK, independent_answers
    questions, automatic, points = 13, 12, 46


def test_the_proved_rate_is_never_above_the_exact_one():
    rng = np.random.default_rng(4)
    rates = BOOK.solution("two-rates")["two_rates"]
    for _ in range(20):
        proved, exact = rates(rng.normal(size=(3, 7)), rng.uniform(0.05, 2.0), rng.normal(size=7))
        assert proved <= exact
    X = rng.normal(size=(3, 7))
    np.testing.assert_allclose(*rates(X, 0.7, np.zeros(7)), rtol=1e-12)  # and they meet for a predictor near zero


def test_the_smallest_example_of_the_slow_limit():
    """X = (1, x), y = 1: the excess is (1 - x) alpha^(2 (1 - x)); slope 1 for x = 1/2."""
    speed = BOOK.solution("speed-of-sparsity")["speed_of_sparsity"]
    np.testing.assert_allclose(speed(np.array([[1.0, 0.5]]), np.array([1.0, 0.0])), [1.0, 0.5], rtol=1e-12)
    np.testing.assert_allclose(speed(np.array([[1.0, 0.992]]), np.array([1.0, 0.0])), [0.016, 0.008], rtol=1e-12)


def test_depth_two_is_the_limit_of_the_deep_potential_at_a_small_vector():
    """Near zero q_D(z) is (D - 2) / (4 D) z^2, a parabola like the one of two layers."""
    deep = BOOK.solution("depth-potential")["depth_potential"]
    for layers in (3, 5):
        slope, value, _ = deep(1e-3, np.zeros(1), layers)
        np.testing.assert_allclose([slope / 1e-3, value / 1e-6], (layers - 2) / layers / np.array([2, 4]), rtol=1e-5)


def test_newton_steps_end_where_the_chapter_says():
    """Also at alpha = 1e-12, which no training run reaches."""
    rng = np.random.default_rng(8)
    X, y = rng.normal(size=(2, 4)), rng.normal(size=2)
    step = BOOK.solution("newton-step")["newton_step"]
    alphas = (1e3, 1.0, 1e-6, 1e-12)
    wanted = numerics.minimum_q_interpolator(X, y, np.array(alphas))
    for alpha, other in zip(alphas, wanted, strict=True):
        nu = np.zeros(2)
        for _ in range(80):
            nu = step(X, y, alpha, nu, 2.0)
        np.testing.assert_allclose(2 * alpha**2 * np.sinh(X.T @ nu), other, rtol=1e-9, atol=1e-11)


def test_the_potentials_and_the_rates_are_those_of_the_chapter():
    rng = np.random.default_rng(9)
    X, beta, alpha = rng.normal(size=(2, 4)), rng.normal(size=4), 0.6
    value, _, _ = BOOK.solution("potential")["potential"](X, X @ beta, alpha, beta)
    assert value == pytest.approx(float(numerics.potential(beta, alpha)), rel=1e-12)
    np.testing.assert_allclose(
        BOOK.solution("two-rates")["two_rates"](X, alpha, beta),
        [flow.loss_rate(X, alpha), 2 * bounds.stiffness(X, beta, alpha).slowest],
        rtol=1e-9,
    )


def test_the_deep_potential_is_that_of_the_chapter():
    deep = BOOK.solution("depth-potential")["depth_potential"]
    for layers in (3, 5):
        got = [deep(z, np.zeros(1), layers)[:2] for z in (0.3, -40.0)]
        z = np.array([0.3, -40.0])
        wanted = np.stack([depth.inverse_link(z, layers), depth.q(z, layers)], axis=1)
        np.testing.assert_allclose(got, wanted, rtol=1e-9)


def test_the_excess_of_the_chapter_goes_where_the_set_says():
    """Data with as many nonzeros as samples: the exponent and the coefficient, at alpha from 1e-3 to 1e-10."""
    X, beta = np.array([[0.2, 1.0, 0.1, 0.3], [-0.3, 0.1, 0.2, 1.1]]), np.array([0.0, -1.4, 0.0, 0.7])
    power, coefficient = BOOK.solution("speed-of-sparsity")["speed_of_sparsity"](X, beta)
    l1 = numerics.minimum_l1(X, X @ beta)
    np.testing.assert_allclose(l1.beta, beta, atol=1e-12)
    assert power == pytest.approx(2 * (1 - l1.largest), rel=1e-12)
    alphas = np.array([1e-3, 1e-5, 1e-7, 1e-10])  # as many as above: compiled once
    excess = numerics.excess(numerics.minimum_q_interpolator(X, X @ beta, alphas), l1)
    ratios = np.asarray(excess) / (coefficient * alphas**power)
    assert np.all(np.diff(np.abs(ratios - 1)) < 0)
    np.testing.assert_allclose(ratios[2:], 1.0, rtol=1e-4)
