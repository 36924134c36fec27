"""The criterion problem set: its shape, its key against answers found by other means, and its self-checks."""

import inspect

import numpy as np
import pytest

from lazy_course.grading import notebooks, probe
from tests.criterion import independent_answers
from tests.grading.workbook import Workbook

BOOK = Workbook("criterion")


@pytest.fixture
def seed_again():
    yield
    probe.set_seed(0)


def test_the_set_has_the_six_questions_and_ours():
    assert len(BOOK.problems.questions) == 13
    assert len(BOOK.automatic) == 12
    assert sum(question.points for question in BOOK.problems.questions) == 40


def test_the_table_and_the_titles_say_the_points():
    table, headings = BOOK.points_in_text()
    assert [number for number, _ in headings] == list(range(1, 14))
    assert [points for _, points in headings] == table == [item.points for item in BOOK.problems.questions]
    assert "| **sum** | **40** |" in BOOK.problems.cells[0].source


def test_the_written_proof_has_a_rubric_that_adds_up():
    (written,) = BOOK.problems.by_hand
    assert sum(int(line.split(":")[0]) for line in written.rubric) == written.points


def test_the_counterexample_of_the_statement():
    """kappa = 0.01 and right / left = 5 for h = (10 w1, 0.01 w2 + w2^2 / 2) and residual (0, -1)."""
    np.testing.assert_allclose(
        BOOK.solution("misled-model")["misled_model"](10.0, 1.0, 0.01, 5.0), [0.01, 1.0], rtol=1e-12
    )


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
    for wrong in BOOK.questions[name].wrongs:
        said = BOOK.said(name, wrong.source)
        assert "not yet: " in said, wrong.mistake
        assert "agree" not in said, wrong.mistake


def test_the_self_check_of_the_layers_compares_outputs_that_are_not_zero():
    """With dead ReLUs every answer would agree: an answer that returns 0 must fail in each of the four cases."""
    said = BOOK.said("rescaled-layers", "def rescaled_layers(output, factors, s):\n    return 0 * output")
    assert said.count("not yet: ") == 4


@pytest.mark.parametrize("name", [name for name in BOOK.automatic if name != "network-kappa"])
@pytest.mark.parametrize("seed", range(3))
def test_planted_wrong_answers_are_far_outside_the_tolerance(name, seed, seed_again):
    """Thirty times the tolerance would still refuse them (network-kappa, below, draws harder cases)."""
    question = BOOK.questions[name]
    probe.set_seed(seed)
    assert BOOK.unnoticed(name, rtol=30 * question.rtol + 1e-3, atol=30 * question.atol) == []


@pytest.mark.parametrize("seed", range(3))
def test_wrong_network_norms_are_far_outside_the_tolerance(seed, seed_again):
    question = BOOK.questions["network-kappa"]
    probe.set_seed(seed)
    assert BOOK.unnoticed("network-kappa", rtol=30 * question.rtol, atol=0.0) == []


@pytest.mark.slow
def test_a_student_can_work_through_the_exercise_from_the_first_cell_to_the_last():
    """One kernel's names for the whole notebook: no question may spoil a later one."""
    printed, asked = BOOK.work_through(independent_answers)
    assert printed.count("agree") == len(BOOK.automatic)
    assert "not yet" not in printed
    assert asked == BOOK.automatic
