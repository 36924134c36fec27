"""The teaching kit: minutes add up, questions and sections exist, times suffice, and every set has its place."""

import re

import pytest

from lazy_course import teaching
from tests.house.rules import ROOT, chapters

PARTS = [(plan.name, part) for plan in teaching.plans() for session in plan.sessions for part in session.parts]


@pytest.mark.parametrize("plan", teaching.plans(), ids=lambda plan: plan.name)
def test_minutes_add_up(plan):
    assert sum(session.minutes for session in plan.sessions) == plan.minutes
    for session in plan.sessions:
        assert sum(part.minutes for part in session.parts) == session.minutes, session.title


def test_sections_and_questions_exist():
    for _, part in PARTS:
        if part.page:
            page = (ROOT / "book" / f"{part.page}.md").read_text()
            headings = re.findall(r"^#{2,3} (.*)$", page, re.M)
            assert [name for name in part.sections if name not in headings] == [], part.what
        assert [name for name in part.questions if teaching.question(part.page, name).marking != "auto"] == []
    with pytest.raises(ValueError, match="expected a question of criterion"):
        teaching.question("criterion", "nothing")


def test_points_are_those_of_the_problem_sets():
    warm_up = [part for _, part in PARTS if part.page == "preliminaries" and part.questions]
    assert {part.points for part in warm_up} == {teaching.points("preliminaries")}
    due = [stem for session in teaching.plan("three weeks").sessions for stem in session.due]
    said = float(re.search(r"hold ([\d.]+) points", teaching.total("three weeks"))[1])
    assert said == sum(question.points for stem in due for question in teaching.problem_sets()[stem].questions)


def test_what_is_solved_in_class_has_the_time_that_the_estimate_asks_for():
    rule = teaching.estimate()
    solved = [(plan, part) for plan, part in PARTS if part.questions]
    assert {plan for plan, _ in solved} == {plan.name for plan in teaching.plans()}
    for plan, part in solved:
        assert part.minutes >= len(part.questions) * rule["question"] + rule["point"] * part.points, (plan, part.what)


@pytest.mark.parametrize("stem", sorted(chapters(ROOT)))
def test_a_problem_set_says_the_time_that_the_teaching_kit_expects(stem):
    """The rule of teaching.toml is the one source: the set's introduction, the exercise and the kit agree."""
    said = re.findall(r"takes about ([\d.]+ (?:hours|minutes))", (ROOT / "solutions" / f"{stem}.md").read_text())
    assert said == [teaching.expected_time(stem)]
    assert f"| {said[0]} |" in next(row for row in teaching.sets_table().splitlines() if f"/{stem}`" in row)
    exercise = (ROOT / "exercises" / f"{stem}.ipynb").read_text()
    assert exercise.count(f"takes about {said[0]}") == 1


def test_the_long_course_uses_every_problem_set_once():
    sessions = teaching.plan("three weeks").sessions
    used = [stem for session in sessions for stem in (*session.due, *session.extra)]
    assert sorted(used) == sorted(chapters(ROOT))
    assert list(teaching.problem_sets()) == used


def test_questions_marked_by_hand_are_listed():
    named = re.findall(r"\| ([a-z0-9-]+) \| [\d.]+ \| (\d+) \|$", teaching.by_hand_table(), re.M)
    assert [name for name, _ in named] == [q.id for s in teaching.problem_sets().values() for q in s.by_hand]
    assert all(int(steps) > 0 for _, steps in named)
