"""The uniform-bounds problem set: its shape, its key against answers found by other means, and its self-checks."""

import numpy as np
import pytest

from lazy_course.uniform_bounds import derivation, path_length
from tests.grading.shared_tests import ProblemSetTests
from tests.grading.workbook import Workbook
from tests.uniform_bounds import independent_answers

BOOK = Workbook("uniform_bounds")
CONSTANTS = {"big": 1.7, "sigma": 0.8, "lip": 0.6, "distance": 1.3, "smooth": 2.1, "convex": 0.7}
SYMBOLS = {
    derivation.S: CONSTANTS["big"],
    derivation.SIGMA: CONSTANTS["sigma"],
    derivation.L: CONSTANTS["lip"],
    derivation.D: CONSTANTS["distance"],
    derivation.SMOOTH: CONSTANTS["smooth"],
    derivation.CONVEX: CONSTANTS["convex"],
    derivation.ALPHA: 37.0,
}


class TestProblemSet(ProblemSetTests):
    book, answers = BOOK, independent_answers
    questions, automatic, points = 15, 14, 49


def proved(expression, **more):
    """A formula of the chapter at the constants above."""
    values = SYMBOLS | {derivation.TIME: more.get("t", 0.0)}
    return float(derivation.spelled(expression).subs(values))


def test_the_steps_have_the_constants_that_the_chapter_proves():
    """no-exit, forcing and output-gap against the sympy derivations, and the ball against Weyl's."""
    radius, travel, least = BOOK.solution("no-exit")["no_exit"](**CONSTANTS)
    assert radius == pytest.approx(proved(derivation.R0), rel=1e-12)
    assert travel / 37.0 == pytest.approx(proved(derivation.travel().equation.rhs, t=1e6), rel=1e-12)
    assert least == pytest.approx(0.375 * proved(derivation.D / derivation.C0), rel=1e-12)

    k, when, largest = BOOK.solution("forcing")["forcing"](**CONSTANTS, alpha=37.0)
    assert k == pytest.approx(proved(derivation.forcing_constant()), rel=1e-12)
    assert largest == pytest.approx(proved(derivation.forcing().equation.rhs, t=when), rel=1e-12)
    assert largest > proved(derivation.forcing().equation.rhs, t=1.01 * when)
    assert largest > proved(derivation.forcing().equation.rhs, t=0.99 * when)

    rate = CONSTANTS["convex"] * CONSTANTS["sigma"] ** 2 / 4
    gap, _, level = BOOK.solution("output-gap")["output_gap"](rate, k, CONSTANTS["sigma"], 37.0, 2.0)
    assert level * np.exp(-rate * 2.0) == pytest.approx(proved(derivation.discrepancy().equation.rhs, t=2.0), rel=1e-12)
    assert gap < level * np.exp(-rate * 2.0)


def test_the_solved_model_is_the_sharp_example_of_the_chapter():
    """true-threshold against the path-length theorem, whose threshold, path and rate it attains."""
    sigma, lip, distance, alpha = 0.8, 0.6, 1.3, 7.0
    threshold, _, limit, rate = BOOK.solution("true-threshold")["true_threshold"](sigma, lip, distance, alpha)
    numbers = {derivation.SIGMA: sigma, derivation.L: lip, path_length.E: distance, derivation.ALPHA: alpha}
    omega = float(path_length.omega().subs(numbers))
    assert limit == pytest.approx(
        float(path_length.path().subs(numbers | {path_length.OMEGA: omega})) / alpha, rel=1e-12
    )
    assert rate == pytest.approx((omega * sigma) ** 2, rel=1e-12)
    sharp = path_length.sharp_example().equation.rhs.subs(numbers | {derivation.D: distance})
    assert threshold == pytest.approx(float(sharp), rel=1e-12)


def test_the_counterexample_of_the_false_step():
    """h = w + w^2/2 at w = -1/2: Sigma is 1/4 where the false inequality claims 3/4."""
    np.testing.assert_allclose(BOOK.solution("false-step")["false_step"](1.0, 1.0, 0.5), [-0.5, 0.25, 0.75], rtol=1e-12)


def test_the_limits_of_the_printed_counterexample_are_one_apart():
    """epsilon = 0, target (1, 1): the flow ends at (1/alpha, 1), the linearized flow at (1/alpha, 0)."""
    assert BOOK.solution("singular-limit")["singular_limit"](np.ones(2), 0.5, 9.0)[4] == 1.0


def test_the_written_solution_names_a_function_that_keeps_both_facts_and_the_logarithm():
    """min(B/alpha, C exp(-a t)) has the least bound of cost-of-logarithm as its integral, above the promised one."""
    level, crude, rate, alpha = 0.9, 1.4, 0.6, 400.0
    times = np.linspace(0.0, 60.0 / rate, 2_000_001)
    integral = np.trapezoid(np.minimum(level / alpha, crude * np.exp(-rate * times)), times)
    _, _, least = BOOK.solution("cost-of-logarithm")["cost_of_logarithm"](level, crude, rate, alpha)
    assert integral == pytest.approx(least, rel=1e-6)
    assert integral > level * np.log(alpha) / (2 * rate * alpha)
