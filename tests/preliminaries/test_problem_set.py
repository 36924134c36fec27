"""The warm-up set: its self-checks say yes to the solution, wait for an answer, and catch every planted mistake."""

import contextlib
import io
from pathlib import Path

import pytest

from lazy_course.grading import notebooks, source

PROBLEMS = source.read(Path(__file__).parents[2] / "solutions" / "preliminaries.md")
QUESTIONS = {question.id: question for question in PROBLEMS.questions}
SETUP = "\n".join(cell.source for cell in PROBLEMS.cells if cell.kind == "code" and not cell.role)
CHECKS = {cell.question: cell.source for cell in PROBLEMS.cells if cell.role == "check"}


def said_of(name, answer):
    """What the self-check of a question prints after an answer cell."""
    namespace, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in (SETUP, answer, CHECKS[name]):
            exec(cell, namespace)
    return printed.getvalue()


def test_three_questions_for_five_points():
    assert len(QUESTIONS) == 3
    assert sum(question.points for question in PROBLEMS.questions) == 5


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_the_self_check_agrees_with_the_solution(name):
    said = said_of(name, notebooks.answer_source(QUESTIONS[name], solved=True))
    assert "agree" in said
    assert "not yet" not in said


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_the_self_check_waits_for_an_answer(name):
    assert f"Write your answer to {name} here" in said_of(name, notebooks.answer_source(QUESTIONS[name], solved=False))


@pytest.mark.parametrize("name", sorted(QUESTIONS))
def test_the_self_check_catches_every_planted_mistake(name):
    assert len(QUESTIONS[name].wrongs) >= 2
    for wrong in QUESTIONS[name].wrongs:
        said = said_of(name, wrong.source)
        assert "not yet" in said, wrong.mistake
        assert "agree" not in said, wrong.mistake
