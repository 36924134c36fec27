"""The tests that every problem set shares; a chapter's test_problem_set.py says what its set is, and adds its own."""

import inspect
from types import ModuleType
from typing import Any, ClassVar

import pytest

from lazy_course.grading import notebooks, probe
from lazy_course.grading.source import Question
from tests.grading.workbook import Workbook


class SelfChecks:
    """The self-check of each question: yes to the solution, waiting at a stub, no to each planted mistake."""

    book: ClassVar[Workbook]
    questions: ClassVar[int]
    automatic: ClassVar[int]
    points: ClassVar[int]

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Each test with an argument `name` runs for each question that the grader marks."""
        if "name" in metafunc.fixturenames:
            metafunc.parametrize("name", self.book.automatic)

    def test_the_set_has_its_questions_and_points(self):
        assert len(self.book.problems.questions) == self.questions
        assert len(self.book.automatic) == self.automatic > 0
        assert sum(question.points for question in self.book.problems.questions) == self.points

    def test_the_self_check_says_yes_to_the_solution_and_waits_for_an_answer(self, name):
        question = self.book.questions[name]
        said = self.book.said(name, notebooks.answer_source(question, solved=True))
        assert "agree" in said
        assert "not yet" not in said
        said = self.book.said(name, notebooks.answer_source(question, solved=False))
        assert f"Write your answer to {name} here" in said
        assert "agree" not in said

    def test_the_self_check_says_no_to_every_planted_wrong_answer(self, name):
        assert len(self.book.questions[name].wrongs) >= 2
        for wrong in self.book.questions[name].wrongs:
            said = self.book.said(name, wrong.source)
            assert "not yet: " in said, wrong.mistake
            assert "agree" not in said, wrong.mistake


class ProblemSetTests(SelfChecks):
    """A whole set: its text, its rubrics, its key against answers found by other means, and a student's way through."""

    answers: ClassVar[ModuleType]

    @pytest.fixture
    def seed_again(self):
        yield
        probe.set_seed(0)

    def far(self, question: Question) -> dict[str, float]:
        """A tolerance that no planted mistake may meet: thirty times the question's, and one in a thousand more."""
        return {"rtol": 30 * question.rtol + 1e-3, "atol": 30 * question.atol}

    def test_the_table_and_the_titles_say_the_points(self):
        table, headings = self.book.points_in_text()
        assert [number for number, _ in headings] == list(range(1, self.questions + 1))
        assert [points for _, points in headings] == table == [item.points for item in self.book.problems.questions]
        assert f"| **sum** | **{self.points}** |" in self.book.problems.cells[0].source

    def test_the_rubrics_add_up(self):
        assert len(self.book.problems.by_hand) == self.questions - self.automatic > 0
        for written in self.book.problems.by_hand:
            assert sum(int(line.split(":")[0]) for line in written.rubric) == written.points

    def test_answers_found_by_other_means_agree_with_the_key(self, name, seed_again):
        question = self.book.questions[name]
        other = inspect.getsource(getattr(self.answers, self.book.function(name)))
        probe.set_seed(17, 1)
        assert self.book.differences(name, [other], rtol=question.rtol, atol=question.atol) == [None]

    @pytest.mark.parametrize("seed", range(3))
    def test_planted_wrong_answers_are_far_outside_the_tolerance(self, name, seed, seed_again):
        probe.set_seed(seed)
        assert self.book.unnoticed(name, **self.far(self.book.questions[name])) == []

    @pytest.mark.slow
    def test_a_student_can_work_through_the_exercise_from_the_first_cell_to_the_last(self):
        """One kernel's names for the whole notebook: no question may spoil a later one."""
        printed, asked = self.book.work_through(self.answers)
        assert printed.count("agree") == len(self.book.automatic)
        assert "not yet" not in printed
        assert asked == self.book.automatic
