"""The finite-horizon problem set: its shape, its key against answers found by other means, and its self-checks."""

import numpy as np
import pytest

from lazy_course.finite_horizon import bounds, derivation_expansion
from tests.finite_horizon import independent_answers
from tests.grading.shared_tests import ProblemSetTests
from tests.grading.workbook import Workbook

BOOK = Workbook("finite_horizon")


class TestProblemSet(ProblemSetTests):
    book, answers = BOOK, independent_answers
    questions, automatic, points = 12, 11, 40


def test_the_constants_are_those_of_the_chapter():
    """gronwall-constants and square-loss-bounds against the bounds that the chapter proves, drawn at random."""
    rng = np.random.default_rng(3)
    A, C = rng.normal(size=(2, 3, 4))
    target, weight, radius, horizon = rng.normal(size=3), 0.8, 0.4, 1.3
    lip_dh, lip_h, first, second = BOOK.solution("gronwall-constants")["gronwall_constants"](
        A, C, target, weight, radius, horizon
    )
    energy = 0.5 * target @ target + weight * np.log(np.cosh(target)).sum()
    constants = bounds.Constants(np.linalg.norm(A, 2), lip_h, lip_dh, 1 + weight, energy, radius)
    np.testing.assert_allclose([first, second], bounds.gronwall_constants(constants, horizon), rtol=1e-12)
    alpha = 30.0
    frozen, growing = BOOK.solution("envelope")["envelope"](first / np.sqrt(horizon), second, alpha, horizon)
    np.testing.assert_allclose(alpha * frozen, bounds.general_output_bound(constants, horizon), rtol=1e-12)
    assert growing < frozen
    square = bounds.Constants(np.linalg.norm(A, 2), lip_h, lip_dh, 1.0, 0.5 * target @ target, radius)
    got = BOOK.solution("square-loss-bounds")["square_loss_bounds"](
        lip_h, lip_dh, np.linalg.norm(target), radius, alpha, horizon * lip_h**2
    )
    wanted = [
        bounds.required_alpha(square, horizon),
        bounds.square_travel_bound(square, horizon) / alpha,
        bounds.square_output_bound(square, horizon) / alpha,
        bounds.square_parameter_bound(square, horizon) / alpha**2,
    ]
    np.testing.assert_allclose(got, wanted, rtol=1e-12)


def test_the_correction_contains_the_smallest_example_of_the_chapter():
    """a = b = 1 and c = 0 is h(w) = w + w^2/2, whose v1 sympy finds in derivation_expansion."""
    target, time = 1.3, 0.7
    symbols = {derivation_expansion.TARGET: target, derivation_expansion.TIME: time}
    along, across, gap = BOOK.solution("first-correction")["first_correction"](1.0, 1.0, 0.0, target, time)
    assert along == pytest.approx(
        float(derivation_expansion.example_correction().equation.rhs.subs(symbols)), rel=1e-12
    )
    assert across == 0
    wanted = derivation_expansion.example_output_correction().equation.rhs.subs(symbols)
    assert gap == pytest.approx(float(wanted), rel=1e-12)


def test_the_gap_of_the_printed_claim_on_limits():
    """h = (w1, w1 w2), target (1, 1): the limits are 1 apart, and alpha^2 times the gap at T = 5 is 4.0067."""
    apart, close_up = BOOK.solution("two-limits")["two_limits"](1.0, 1.0, np.ones(2), 5.0)
    np.testing.assert_allclose([apart, close_up], [1.0, 4.0 + np.exp(-5.0)], rtol=1e-12)
