"""The implicit-bias problem set: its shape, its key against other means and the chapter, and its self-checks."""

import inspect

import numpy as np
import pytest

from lazy_course.grading import notebooks, probe
from lazy_course.implicit_bias import bounds, depth, flow, numerics
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


@pytest.mark.slow
def test_a_student_can_work_through_the_exercise_from_the_first_cell_to_the_last():
    """One kernel's names for the whole notebook: no question may spoil a later one."""
    printed, asked = BOOK.work_through(independent_answers)
    assert printed.count("agree") == len(BOOK.automatic)
    assert "not yet" not in printed
    assert asked == BOOK.automatic
