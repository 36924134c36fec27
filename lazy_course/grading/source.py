"""The one source of a problem set: `solutions/<stem>.md`, read into a typed `ProblemSet`.

Roles stand in cell metadata under "lazy_course". A question marked by the grader has one cell each of the roles
statement, answer, check and probe, and two or more of the role wrong (planted wrong answers). A question marked by
hand (`"marking": "hand"`) has a statement with a rubric and a markdown cell of the role written. Every mistake in
the source is a `SourceError` that names the file and the question.
"""

import dataclasses
import re
from collections import Counter
from pathlib import Path
from typing import Any, TypedDict

import jupytext
import nbformat

from lazy_course.grading import predicates
from lazy_course.grading.errors import GradingError

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
WRITTEN_BEGIN, WRITTEN_END = "<!-- BEGIN SOLUTION -->", "<!-- END SOLUTION -->"
ROLES = ("statement", "answer", "check", "probe", "wrong", "written")
QUESTION_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Rule(TypedDict):
    """Tolerances, and the name of a predicate or ""."""

    rtol: float
    atol: float
    predicate: str


class SourceError(GradingError):
    """A problem set's source that cannot be used, with the file and what to mend."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One cell of the source. `role` and `question` are empty for a cell that belongs to no question."""

    kind: str  # "code" or "markdown"
    source: str
    role: str
    question: str
    metadata: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Wrong:
    """A planted wrong answer: the cell's source, and the mistake that it makes."""

    mistake: str
    source: str


@dataclasses.dataclass(frozen=True)
class Question:
    """What the statement's metadata says, and the sources of the question's cells."""

    id: str
    points: float
    rtol: float
    atol: float
    hint: str
    marking: str  # "auto" or "hand"
    rubric: tuple[str, ...]
    answer: str  # with its markers; of a question marked by hand, the written cell
    probe: str
    wrongs: tuple[Wrong, ...]
    predicate: str = ""

    @property
    def rule(self) -> Rule:
        """How a value is compared with the solution's: the keywords of `compare.payload_difference`."""
        return {"rtol": self.rtol, "atol": self.atol, "predicate": self.predicate}


@dataclasses.dataclass(frozen=True)
class ProblemSet:
    """A problem set: its stem, its cells in order, and its questions in order."""

    stem: str
    cells: tuple[Cell, ...]
    questions: tuple[Question, ...]

    @property
    def automatic(self) -> tuple[Question, ...]:
        """The questions that the grader marks."""
        return tuple(question for question in self.questions if question.marking == "auto")

    @property
    def by_hand(self) -> tuple[Question, ...]:
        """The questions that wait for a reader."""
        return tuple(question for question in self.questions if question.marking == "hand")


def read(path: Path) -> ProblemSet:
    """Read and check one source file."""
    return parse(path.read_text(encoding="utf-8"), stem=path.stem)


def parse(text: str, *, stem: str) -> ProblemSet:
    """Read and check the text of a source; `stem` names it in messages and in the notebooks."""
    return of_notebook(jupytext.reads(text, fmt="md:myst"), stem=stem)


def of_notebook(notebook: nbformat.NotebookNode, *, stem: str) -> ProblemSet:
    """Check a source that jupytext has read."""
    cells = tuple(_cell(cell, stem) for cell in notebook.cells)
    names = list(dict.fromkeys(cell.question for cell in cells if cell.question))
    if not names:
        raise SourceError(f'{stem}: no question found; give each question a cell with the role "statement"')
    return ProblemSet(stem, cells, tuple(_question(name, cells, stem) for name in names))


def _cell(cell: nbformat.NotebookNode, stem: str) -> Cell:
    metadata = {key: value for key, value in cell.metadata.items() if key != "lazy_course"}
    course = cell.metadata.get("lazy_course", {})
    role, question = str(course.get("role", "")), str(course.get("question", ""))
    if course and (role not in ROLES or not QUESTION_ID.fullmatch(question) or len(question) > 50):
        raise SourceError(
            f"{stem}: a cell has role {role!r} and question {question!r}; a role is one of {', '.join(ROLES)}, "
            "a question is named in small letters, digits and dashes"
        )
    if role and (cell.cell_type == "markdown") != (role in ("statement", "written")):
        raise SourceError(f"{stem}, question {question}: the role {role} stands on a {cell.cell_type} cell")
    return Cell(cell.cell_type, cell.source, role, question, metadata | {"lazy_course": dict(course)})


def _question(name: str, cells: tuple[Cell, ...], stem: str) -> Question:
    own = [cell for cell in cells if cell.question == name]
    where = f"{stem}, question {name}"
    count = Counter(cell.role for cell in own)
    if count["statement"] != 1:
        raise SourceError(f"{where}: {count['statement']} cells have the role statement, one is needed")
    statement = next(cell for cell in own if cell.role == "statement").metadata["lazy_course"]
    marking = statement.get("marking", "auto")
    if marking not in ("auto", "hand"):
        raise SourceError(f'{where}: marking is {marking!r}; it is "auto" or "hand"')
    needed = ("answer", "check", "probe") if marking == "auto" else ("written",)
    _demand_roles(where, count, needed)
    sources = {cell.role: cell.source for cell in own}
    answer = sources["answer" if marking == "auto" else "written"]
    cut(answer, where, "")  # raises when a marker is missing
    wrongs = tuple(_wrong(cell, where) for cell in own if cell.role == "wrong")
    if marking == "auto":
        _demand_automatic(where, name, wrongs, sources["probe"], statement)
    else:
        _demand_written(where, answer, statement)
    return Question(
        id=name,
        points=_number(statement, "points", where, above=0.0),
        rtol=_number(statement, "rtol", where, default=1e-6),
        atol=_number(statement, "atol", where, default=1e-9),
        hint=str(statement.get("hint", "")),
        marking=marking,
        rubric=_texts(statement.get("rubric")),
        answer=answer,
        probe=sources.get("probe", ""),
        wrongs=wrongs,
        predicate=_predicate(statement, where),
    )


def _predicate(statement: dict[str, Any], where: str) -> str:
    name = statement.get("predicate", "")
    if name and name not in predicates.NAMES:
        raise SourceError(f"{where}: predicate is {name!r}; it is one of {', '.join(predicates.NAMES)}")
    return str(name)


def _demand_roles(where: str, count: Counter[str], needed: tuple[str, ...]) -> None:
    for role in needed:
        if count[role] == 0:
            raise SourceError(f"{where}: no cell has the role {role}")
        if count[role] > 1:
            raise SourceError(f"{where}: {count[role]} cells have the role {role}; is the question's name used twice?")
    for role in count:
        if role not in (*needed, "statement", "wrong"):
            raise SourceError(f"{where}: a cell has the role {role}, which this kind of question does not have")


def _demand_automatic(where: str, name: str, wrongs: tuple[Wrong, ...], probe: str, statement: dict[str, Any]) -> None:
    if len(wrongs) < 2:
        raise SourceError(f"{where}: {len(wrongs)} planted wrong answers (role wrong); at least two are needed")
    if f'probe.show("{name}"' not in probe and f"probe.show('{name}'" not in probe:
        raise SourceError(f'{where}: its probe cell does not call probe.show("{name}", ...)')
    if not str(statement.get("hint", "")).strip():
        raise SourceError(f"{where}: no hint, the sentence that a student reads when the mark is lost")


def _demand_written(where: str, answer: str, statement: dict[str, Any]) -> None:
    if not _texts(statement.get("rubric")):
        raise SourceError(f'{where}: marked by hand, so it needs a rubric: ["2: ...", "1: ..."]')
    after = answer.rpartition(WRITTEN_END)[2].strip()
    if after:  # a student who replaces the cell would lose it
        raise SourceError(f"{where}: {after[:50]!r} follows the solution in its cell; begin a new cell there with +++")


def _wrong(cell: Cell, where: str) -> Wrong:
    mistake = str(cell.metadata["lazy_course"].get("mistake", "")).strip()
    if not mistake:
        raise SourceError(f'{where}: a planted wrong answer does not say its "mistake"')
    return Wrong(mistake, cell.source)


def _number(
    statement: dict[str, Any],
    key: str,
    where: str,
    *,
    default: float | None = None,
    above: float | None = None,
) -> float:
    value = statement.get(key, default)
    try:
        number = float("nan") if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = float("nan")
    if not (0.0 <= number < float("inf")) or (above is not None and number <= above):
        raise SourceError(f"{where}: {key} is {value!r}; give a number {'> 0' if above is not None else '>= 0'}")
    return number


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def cut(source: str, where: str, replacement: str | None) -> str:
    """Replace what stands between each pair of markers; None keeps it and takes away the markers alone.

    `replacement` gets the indentation of its BEGIN marker.
    """
    kept: list[str] = []
    inside, pairs = False, 0
    for line in source.splitlines():
        word = line.strip()
        if word in (BEGIN, WRITTEN_BEGIN):
            if inside:
                raise SourceError(f"{where}: a second BEGIN SOLUTION before END SOLUTION")
            inside, pairs = True, pairs + 1
            if replacement:
                kept.append(line[: len(line) - len(line.lstrip())] + replacement)
        elif word in (END, WRITTEN_END):
            if not inside:
                raise SourceError(f"{where}: END SOLUTION without BEGIN SOLUTION")
            inside = False
        elif not inside or replacement is None:
            kept.append(line)
    if inside or not pairs:
        raise SourceError(f"{where}: its answer needs its solution between {BEGIN} and {END}")
    return "\n".join(kept)
