"""The finite-horizon problem set: its shape, its key against answers found by other means, and its self-checks."""

import inspect

import numpy as np
import pytest

from lazy_course.finite_horizon import bounds, derivation_expansion
from lazy_course.grading import notebooks, probe
from tests.finite_horizon import independent_answers
from tests.grading.workbook import Workbook

BOOK = Workbook("finite_horizon")


@pytest.fixture
def seed_again():
    yield
    probe.set_seed(0)


def test_the_set_has_the_three_questions_in_steps_and_ours():
    assert len(BOOK.problems.questions) == 12
    assert len(BOOK.automatic) == 11
    assert sum(question.points for question in BOOK.problems.questions) == 40


def test_the_table_and_the_titles_say_the_points():
    table, headings = BOOK.points_in_text()
    assert [number for number, _ in headings] == list(range(1, 13))
    assert [points for _, points in headings] == table == [item.points for item in BOOK.problems.questions]
    assert "| **sum** | **40** |" in BOOK.problems.cells[0].source


def test_the_written_proof_has_a_rubric_that_adds_up():
    (written,) = BOOK.problems.by_hand
    assert sum(int(line.split(":")[0]) for line in written.rubric) == written.points


@pytest.mark.parametrize("name", BOOK.automatic)
def test_answers_found_by_other_means_agree_with_the_key(name, seed_again):
    question = BOOK.questions[name]
    other = inspect.getsource(getattr(independent_answers, BOOK.function(name)))
    probe.set_seed(17, 1)
    assert BOOK.differences(name, [other], rtol=question.rtol, atol=question.atol) == [None]


@pytest.mark.parametrize("name", BOOK.automatic)
def test_the_self_check_says_yes_to_the_solution_and_waits_for_an_answer(name):
    solved, blank = (notebooks.answer_source(BOOK.questions[name], solved=solved) for solved in (True, False))
    said = BOOK.said(name, solved)
    assert "agree" in said
    assert "not yet" not in said
    said = BOOK.said(name, blank)
    assert f"Write your answer to {name} here" in said
    assert "agree" not in said


@pytest.mark.parametrize("name", BOOK.automatic)
def test_the_self_check_says_no_to_every_planted_wrong_answer(name):
    assert len(BOOK.questions[name].wrongs) >= 2
    for wrong in BOOK.questions[name].wrongs:
        said = BOOK.said(name, wrong.source)
        assert "not yet: " in said, wrong.mistake
        assert "agree" not in said, wrong.mistake


@pytest.mark.parametrize("name", BOOK.automatic)
@pytest.mark.parametrize("seed", range(3))
def test_planted_wrong_answers_are_far_outside_the_tolerance(name, seed, seed_again):
    """Thirty times the tolerance and one in a thousand more would still refuse them."""
    question = BOOK.questions[name]
    probe.set_seed(seed)
    assert BOOK.unnoticed(name, rtol=30 * question.rtol + 1e-3, atol=30 * question.atol) == []


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


@pytest.mark.slow
def test_a_student_can_work_through_the_exercise_from_the_first_cell_to_the_last():
    """One kernel's names for the whole notebook: no question may spoil a later one."""
    printed, asked = BOOK.work_through(independent_answers)
    assert printed.count("agree") == len(BOOK.automatic)
    assert "not yet" not in printed
    assert asked == BOOK.automatic
