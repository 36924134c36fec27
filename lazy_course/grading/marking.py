"""The desk at which written answers are marked: which there are, in which order, and how far the marking is.

Answers and rubrics come from grades.json and the problem sets, marks and comments from hand_marks.csv, which is read
again each time: a spreadsheet may be open beside. What was given here is remembered while the command runs, so that a
spreadsheet that writes an old table over new marks is noticed.
"""

import dataclasses
import hashlib
import threading
from pathlib import Path
from typing import Any

from lazy_course.grading import hand, notebooks, schema, source
from lazy_course.grading.errors import GradingError
from lazy_course.grading.hand import Key, Row, Rows
from lazy_course.grading.source import ProblemSet, Question

ORDERS = ("question", "student")
_EMPTY = {"points": "", "comment": ""}


@dataclasses.dataclass(frozen=True)
class Entry:
    """One written answer: its row in the table, the question, and what the record says of it."""

    key: Key
    student: str
    problems: ProblemSet
    question: Question
    mark: dict[str, Any]

    @property
    def id(self) -> str:
        """The name of the answer in addresses, which does not say whose it is."""
        return hashlib.sha256("\n".join(self.key).encode()).hexdigest()[:12]

    @property
    def statement(self) -> str:
        """The question's text."""
        cells = self.problems.cells
        return next(cell.source for cell in cells if cell.role == "statement" and cell.question == self.question.id)

    @property
    def reference(self) -> str:
        """The solution's text."""
        return _without_marker(notebooks.answer_source(self.question, solved=True), self.question)

    @property
    def answer(self) -> str:
        """What the student wrote."""
        return _without_marker(self.mark["answer"], self.question)


def _without_marker(text: str, question: Question) -> str:
    return text.replace(notebooks.WRITTEN_MARK.format(question=question.id), "").strip()


class Desk:
    """The written answers in `out`, which `grade` wrote, in the order of marking; `folder` holds the problem sets."""

    def __init__(
        self, out: Path, folder: Path, *, stems: tuple[str, ...] = (), by: str = "question", anonymous: bool = False
    ) -> None:
        if by not in ORDERS:
            raise GradingError(f"--by is {by!r}; it is {' or '.join(ORDERS)}")
        self.path = out / "hand_marks.csv"
        self.by, self.anonymous = by, anonymous
        grades = schema.read_grades(out)
        hand.update(self.path, grades["records"])
        self.entries = self._ordered(_entries(grades["records"], hand.read(self.path), folder, stems))
        if not self.entries:
            raise GradingError(f"{out} holds no written answer; only questions with marking by hand have some")
        self.by_id = {entry.id: entry for entry in self.entries}
        self._given: dict[Key, Row] = {}
        self._lock = threading.Lock()

    def _ordered(self, entries: list[Entry]) -> list[Entry]:
        """By question or by student; without names the students come in an order that says nothing."""
        who = {entry.student: hashlib.sha256(f"order {entry.student}".encode()).hexdigest() for entry in entries}
        names = sorted(who, key=lambda name: who[name] if self.anonymous else name)
        place = {name: number for number, name in enumerate(names)}
        self.number = {name: number for number, name in enumerate(names, start=1)}
        if self.by == "student":
            return sorted(entries, key=lambda entry: place[entry.student])
        questions = list(dict.fromkeys(entry.key[1:] for entry in entries))
        return sorted(entries, key=lambda entry: (questions.index(entry.key[1:]), place[entry.student]))

    def name(self, entry: Entry) -> str:
        """Who wrote it, as far as it may be said."""
        return f"student {self.number[entry.student]}" if self.anonymous else entry.student

    def rows(self) -> Rows:
        """The table as it is now; GradingError if it cannot be read."""
        return hand.read(self.path)

    def row(self, entry: Entry, rows: Rows) -> Row:
        """Points and comment of an answer as the table has them."""
        return {name: rows.get(entry.key, _EMPTY)[name] for name in _EMPTY}

    def save(self, entry: Entry, given: Row, seen: Row) -> None:
        """Put points and comment into the table; raises what `hand.save` does."""
        with self._lock:
            hand.save(self.path, entry.key, given, seen, entry.question.points)
            self._given[entry.key] = dict(given)

    def overwritten(self, entry: Entry, rows: Rows) -> Row | None:
        """What was given here, if the table now says something else."""
        given = self._given.get(entry.key)
        return given if given is not None and given != self.row(entry, rows) else None

    def is_marked(self, entry: Entry, rows: Rows) -> bool:
        """Whether the answer has points."""
        return bool(self.row(entry, rows)["points"])

    def progress(self, entry: Entry, rows: Rows) -> list[tuple[str, int, int]]:
        """How many are marked, and of how many: of this question, of this student, of all."""
        groups = {
            "this question": [each for each in self.entries if each.key[1:] == entry.key[1:]],
            "this student": [each for each in self.entries if each.student == entry.student],
            "all": self.entries,
        }
        return [
            (words, sum(self.is_marked(each, rows) for each in group), len(group)) for words, group in groups.items()
        ]

    def next_open(self, rows: Rows, after: Entry | None = None) -> Entry | None:
        """The next answer without points, in the order of marking and from its end on at its beginning."""
        start = self.entries.index(after) + 1 if after else 0
        turned = self.entries[start:] + self.entries[:start]
        return next((entry for entry in turned if not self.is_marked(entry, rows)), None)

    def summary(self) -> str:
        """How far the marking is, in a line."""
        rows = self.rows()
        marked = sum(self.is_marked(entry, rows) for entry in self.entries)
        return f"{marked} of {len(self.entries)} written answers are marked, in {self.path}"


def _entries(records: list[dict[str, Any]], rows: Rows, folder: Path, stems: tuple[str, ...]) -> list[Entry]:
    """The answers that a hand must mark, or has marked; GradingError if their problem set is not the one graded."""
    chosen = [pair for pair in hand.by_hand(records) if not stems or pair[0]["stem"] in stems]
    found = [(record, name) for record, name in chosen if record["came"] and _is_for_hand(record, name, rows)]
    sets = {stem: _problem_set(folder, stem) for stem in sorted({record["stem"] for record, _ in found})}
    entries = []
    for record, name in found:
        problems = sets[record["stem"]]
        question = next((item for item in problems.by_hand if item.id == name), None)
        if question is None or question.points != record["marks"][name]["out_of"]:
            raise GradingError(f"{problems.stem}, {name}: the problem set was changed since it was graded; grade again")
        key = hand.key_of(record, name)
        entries.append(Entry(key, record["student"], problems, question, record["marks"][name]))
    return entries


def _problem_set(folder: Path, stem: str) -> ProblemSet:
    path = folder / f"{stem}.md"
    if not path.is_file():
        raise GradingError(f"{path} is not there; name the folder of the problem sets with --sets")
    return source.read(path)


def _is_for_hand(record: dict[str, Any], name: str, rows: Rows) -> bool:
    mark = record["marks"][name]
    return mark["points"] is None or mark["cause"] == hand.MARKED or hand.key_of(record, name) in rows
