"""The implicit-bias problem set: its shape, its key against answers found by other means, and its self-checks."""

import inspect

import numpy as np
import pytest

from lazy_course.grading import notebooks, probe
from tests.grading.workbook import Workbook
from tests.implicit_bias import independent_answers

BOOK = Workbook("implicit_bias")


@pytest.fixture
def seed_again():
    yield
    probe.set_seed(0)


def test_the_set_has_the_seven_questions_in_steps_and_ours():
    assert len(BOOK.problems.questions) == 13
    assert len(BOOK.automatic) == 12
    assert sum(question.points for question in BOOK.problems.questions) == 46


def test_the_table_and_the_titles_say_the_points():
    table, headings = BOOK.points_in_text()
    assert [number for number, _ in headings] == list(range(1, 14))
    assert [points for _, points in headings] == table == [item.points for item in BOOK.problems.questions]
    assert "| **sum** | **46** |" in BOOK.problems.cells[0].source


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
    for depth in (3, 5):
        slope, value, _ = deep(1e-3, np.zeros(1), depth)
        np.testing.assert_allclose([slope / 1e-3, value / 1e-6], (depth - 2) / depth / np.array([2, 4]), rtol=1e-5)


def test_newton_steps_reach_starts_that_no_training_run_reaches():
    """Some sixty limited steps for alpha = 1e-12; stationarity is exact by construction, feasibility is measured."""
    rng = np.random.default_rng(8)
    X, y = rng.normal(size=(4, 9)), rng.normal(size=4)
    step = BOOK.solution("newton-step")["newton_step"]
    for alpha in (1e3, 1.0, 1e-6, 1e-12):
        nu = np.zeros(4)
        for _ in range(80):
            nu = step(X, y, alpha, nu, 2.0)
        np.testing.assert_allclose(X @ (2 * alpha**2 * np.sinh(X.T @ nu)), y, atol=1e-10)


@pytest.mark.slow
def test_a_student_can_work_through_the_exercise_from_the_first_cell_to_the_last():
    """One kernel's names for the whole notebook: no question may spoil a later one."""
    printed, asked = BOOK.work_through(independent_answers)
    assert printed.count("agree") == len(BOOK.automatic)
    assert "not yet" not in printed
    assert asked == BOOK.automatic
