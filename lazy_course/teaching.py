"""The teaching kit: syllabuses, problem sets in numbers and questions marked by hand, as text for the book.

The syllabuses stand in teaching.toml. Points are those of the problem sets, read when they are asked for.
"""

import functools
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from lazy_course.grading import source
from lazy_course.grading.files import course_root
from lazy_course.grading.source import ProblemSet, Question


@dataclass(frozen=True)
class Part:
    """One item of a session. Without a page it is a break; with `questions` students solve these."""

    minutes: int
    what: str
    page: str = ""
    sections: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()

    @property
    def points(self) -> float:
        """What the questions are worth together, by their problem set; 0 without questions."""
        return float(sum(question(self.page, name).points for name in self.questions))


@dataclass(frozen=True)
class Session:
    """A meeting: its parts, the problem sets that are due after it, and those that are there for who wants more."""

    title: str
    minutes: int
    parts: tuple[Part, ...]
    week: int | None = None
    due: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A syllabus by its name, with the minutes of all its sessions."""

    name: str
    minutes: int
    sessions: tuple[Session, ...]


@functools.cache
def _content() -> dict[str, Any]:
    return tomllib.loads(files("lazy_course").joinpath("teaching.toml").read_text(encoding="utf-8"))


@functools.cache
def problem_sets() -> dict[str, ProblemSet]:
    """All problem sets by stem, in the order of the course: as they come in the first syllabus, then the others.

    FileNotFoundError where there is no solutions/, as in the students' archive.
    """
    found = {path.stem: source.read(path) for path in sorted((course_root() / "solutions").glob("*.md"))}
    taught = [stem for session in plans()[0].sessions for stem in (*session.due, *session.extra)]
    return {stem: found[stem] for stem in dict.fromkeys([*taught, *found])}


def question(stem: str, name: str) -> Question:
    """A question of a problem set; ValueError if there is none of that name."""
    found = {item.id: item for item in problem_sets()[stem].questions}
    if name not in found:
        raise ValueError(f"name: expected a question of {stem}, one of {', '.join(found)}; got {name!r}")
    return found[name]


def points(stem: str) -> float:
    """What a problem set is worth."""
    return sum(item.points for item in problem_sets()[stem].questions)


def estimate() -> dict[str, int]:
    """The rule for expected times: minutes for a question, for each of its points, and for each point of a proof."""
    return dict(_content()["estimate"])


def expected_minutes(stem: str) -> float:
    """The expected time of a problem set by the rule of `estimate`, in minutes. Nobody was timed."""
    rule, problems = estimate(), problem_sets()[stem]
    run = sum(rule["question"] + rule["point"] * item.points for item in problems.automatic)
    return run + sum(rule["written_point"] * item.points for item in problems.by_hand)


def expected_time(stem: str) -> str:
    """The expected time of a problem set in words, as its own introduction says it too: "4.5 hours"."""
    return _hours(expected_minutes(stem))


def plans() -> tuple[Plan, ...]:
    """The syllabuses of teaching.toml."""
    return tuple(
        Plan(plan["name"], plan["minutes"], tuple(_session(session) for session in plan["session"]))
        for plan in _content()["plan"]
    )


def plan(name: str) -> Plan:
    """A syllabus by its name; ValueError if there is none."""
    found = {item.name: item for item in plans()}
    if name not in found:
        raise ValueError(f"name: expected one of {', '.join(found)}, got {name!r}")
    return found[name]


def _session(row: dict[str, Any]) -> Session:
    rows: list[dict[str, Any]] = [
        {key: tuple(value) if isinstance(value, list) else value for key, value in part.items()}
        for part in row["parts"]
    ]
    parts = tuple(Part(**part) for part in rows)
    lists = {key: tuple(row.get(key, ())) for key in ("due", "extra")}
    return Session(row["title"], row["minutes"], parts, row.get("week"), **lists)


def syllabus(name: str) -> str:
    """A syllabus as MyST text: a table for each session, and what is due after it."""
    return "\n\n".join(_table(session) for session in plan(name).sessions)


def _table(session: Session) -> str:
    week = f"Week {session.week}. " if session.week else ""
    lines = [f"**{week}{session.title}** ({session.minutes} minutes)", ""]
    lines += ["| minutes | what | where | points |", "| ---: | --- | --- | ---: |"]
    for part in session.parts:
        worth = f"{part.points:g}" if part.questions else ""
        lines.append(f"| {part.minutes} | {part.what} | {_where(part)} | {worth} |")
    after = [f"Due: {_set(stem)}." for stem in session.due] + [
        f"For who wants more: {_set(stem)}." for stem in session.extra
    ]
    return "\n".join([*lines, "", " ".join(after)]).rstrip()


def _where(part: Part) -> str:
    if part.questions:
        return f"{{doc}}`/exercises/{part.page}`: {', '.join(part.questions)}"
    if part.page:
        return f"{{doc}}`{part.page}`" + (f": {'; '.join(part.sections)}" if part.sections else "")
    return ""


def _set(stem: str) -> str:
    return f"{{doc}}`/exercises/{stem}`, {points(stem):g} points, about {expected_time(stem)}"


def _hours(minutes: float) -> str:
    return f"{round(minutes / 5) * 5:g} minutes" if minutes < 90 else f"{round(minutes / 30) / 2:g} hours"


def total(name: str) -> str:
    """The sums of a syllabus in one sentence: minutes in class, points and expected time of what is due."""
    chosen = plan(name)
    sessions = [part for session in chosen.sessions for part in session.parts]
    solved = sum(part.points for part in sessions)
    due = [stem for session in chosen.sessions for stem in session.due]
    text = f"Together {chosen.minutes} minutes ({chosen.minutes / 60:g} hours)"
    text += f", with questions worth {solved:g} points solved in class" if solved else ""
    if not due:
        return text + "."
    time = sum(map(expected_minutes, due))
    return text + f"; the sets that are due hold {sum(map(points, due)):g} points and take about {_hours(time)}."


def sets_table() -> str:
    """Each problem set in numbers, as MyST text: questions, points, those marked by hand, expected time."""
    lines = [
        "| problem set | questions | points | of these by hand | expected time |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for stem, problems in problem_sets().items():
        by_hand = sum(item.points for item in problems.by_hand)
        lines.append(
            f"| {{doc}}`/exercises/{stem}` | {len(problems.questions)} | {points(stem):g} | {by_hand:g} | "
            f"{expected_time(stem)} |"
        )
    return "\n".join(lines)


def by_hand_table() -> str:
    """The questions that are marked by hand, as MyST text, from the metadata of the problem sets."""
    lines = ["| problem set | question | points | steps of its rubric |", "| --- | --- | ---: | ---: |"]
    for stem, problems in problem_sets().items():
        lines += [
            f"| {{doc}}`/exercises/{stem}` | {item.id} | {item.points:g} | {len(item.rubric)} |"
            for item in problems.by_hand
        ]
    return "\n".join(lines)


def decks() -> str:
    """Links to the slides of the chapters, as MyST text; the decks are made when the book is built."""
    links = [f'- {{doc}}`{stem}`: <a href="../slides/{stem}.html">slides</a>' for stem in problem_sets()]
    return "\n".join(links)
