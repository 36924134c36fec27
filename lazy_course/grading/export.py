"""Marks for an LMS: the file that its import of grades expects, made from grades.json and a list of the students.

The list, the roster, comes from the LMS itself: for Canvas the gradebook as it is exported, for Moodle the table of
participants or a grade export. One of its columns holds the names of the folders that were graded. Only students with a
mark get a line, so an import takes no mark away.
"""

import csv
import dataclasses
import io
import re
from pathlib import Path
from typing import Any

from lazy_course.files import write_atomically
from lazy_course.grading import hand, schema
from lazy_course.grading.errors import GradingError
from lazy_course.grading.hand import harmless

STUDENT_COLUMN = {"canvas": "SIS Login ID", "moodle": "Email address"}
_CANVAS_NAMES = ("Student", "LastName", "FirstName")  # one name, or two, as the gradebook was exported
_CANVAS_IDS = ("ID", "SIS User ID", "SIS Login ID", "Integration ID", "Root Account")
_CANVAS_KEEPS = (*_CANVAS_NAMES, *_CANVAS_IDS, "Section")  # in this order, before the assignments
_CANVAS_NEEDS = ("ID", "SIS Login ID", "Section")
_TEST_STUDENT = "Student, Test"
# Canvas takes a column for one of its own sums if its title holds such words, and does not import it.
_CANVAS_RESERVED = re.compile("(Current|Final) (Score|Points|Grade)|Override (Score|Grade|Status)")
_WITH_ID = re.compile(r"(.*) \([0-9]+\)")
_NUMBER = re.compile(r"-?[0-9]+([.,][0-9]+)?%?")


@dataclasses.dataclass(frozen=True)
class Roster:
    """A table of students as an LMS gives it: names of columns, rows, and the lines of Canvas that are no student."""

    path: Path
    names: list[str]
    rows: list[dict[str, str]]
    possible: dict[str, str]

    def by(self, column: str) -> dict[str, dict[str, str]]:
        """The rows by the entry of a column; GradingError if there is no such column or an entry stands twice."""
        if column not in self.names:
            raise GradingError(f"{self.path} has no column {column!r}; it has {', '.join(self.names)}")
        found: dict[str, dict[str, str]] = {}
        for row in self.rows:
            name = row[column].strip()
            if name in found and name:
                raise GradingError(f"{self.path}: {name!r} stands twice in the column {column!r}")
            found[name] = row
        found.pop("", None)
        return found


def read_roster(path: Path) -> Roster:
    """Read a CSV with commas, semicolons or tabs; GradingError if it is no table of students."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise GradingError(f"{path} is not text in UTF-8; download it again as CSV (UTF-8)") from error
    head = text.partition("\n")[0]
    delimiter = max(",;\t", key=head.count)
    try:
        table = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, restval="")
        names = list(table.fieldnames or ())
        rows = [{name: row[name] for name in names} for row in table if any(str(cell).strip() for cell in row.values())]
    except csv.Error as error:
        raise GradingError(f"{path} is not a table in CSV ({error}); download it again") from error
    if len(names) < 2 or len(set(names)) != len(names) or not rows:
        raise GradingError(f"{path} is not a table of students: it needs a head with distinct names, and rows")
    points = [row for row in rows if "Points Possible" in row[names[0]]]
    notes = [row for row in rows if not row[names[0]].strip() and "Manual Posting" in "".join(row.values())]
    nobody = [*points, *notes, *(row for row in rows if row[names[0]].strip() == _TEST_STUDENT)]
    return Roster(path, names, [row for row in rows if row not in nobody], points[0] if points else {})


@dataclasses.dataclass(frozen=True)
class Marks:
    """What is exported: by student and problem set the total, and what each set is worth."""

    totals: dict[str, dict[str, float]]
    worth: dict[str, float]


def read_marks(folder: Path, stems: tuple[str, ...] = (), *, unfinished: bool = False) -> Marks:
    """The totals in a folder that `grade` wrote; GradingError if marks by hand are missing or were not taken over.

    With `unfinished`, an answer that waits counts nothing so far.
    """
    grades = schema.read_grades(folder)
    unknown = sorted(set(stems) - set(grades["problem_sets"]))
    if unknown:
        raise GradingError(f"{folder} holds no marks of {unknown[0]}; it holds {', '.join(grades['problem_sets'])}")
    worth = {
        stem: sum(question["points"] for question in questions.values())
        for stem, questions in grades["problem_sets"].items()
        if not stems or stem in stems
    }
    records = [record for record in grades["records"] if record["stem"] in worth and record["came"]]
    _demand_taken_over(folder / "hand_marks.csv", records)
    open_answers = [
        f"{record['student']} ({record['stem']}/{name})"
        for record, name in hand.by_hand(records)
        if record["marks"][name]["points"] is None
    ]
    if open_answers and not unfinished:
        raise GradingError(
            f"written answers without a mark: {_some(open_answers)}; `lazy-course mark {folder}` "
            "shows them, --unfinished exports what there is"
        )
    totals: dict[str, dict[str, float]] = {}
    for record in records:
        totals.setdefault(record["student"], {})[record["stem"]] = record["total"]
    return Marks(totals, worth)


def _demand_taken_over(path: Path, records: list[dict[str, Any]]) -> None:
    """GradingError if the table of hand marks says something that the last run of `grade` did not know."""
    rows = hand.read(path)
    for record, name in hand.by_hand(records):
        key, mark = hand.key_of(record, name), record["marks"][name]
        given = hand.points(path, key, rows[key], mark["out_of"]) if key in rows else None
        if given is not None and given != mark["points"]:
            raise GradingError(f"{path} has marks that grades.json does not have yet ({' / '.join(key)}); grade again")


def _some(names: list[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def matched(marks: Marks, roster: Roster, column: str) -> tuple[dict[str, dict[str, str]], list[str]]:
    """For each graded student the row of the roster, in its order, and the entries of the roster without a mark.

    GradingError, with all their names, if a graded student is not in the column.
    """
    rows = roster.by(column)
    missing = sorted(set(marks.totals) - set(rows))
    if missing:
        hits = {name: sum(row[name].strip() in marks.totals for row in roster.rows) for name in roster.names}
        best = max(roster.names, key=lambda name: hits[name])
        hint = f"; the column {best!r} holds {hits[best]} of them: --student-column {best!r}" if hits[best] else ""
        raise GradingError(
            f"{len(missing)} of {len(marks.totals)} graded students are not in the column {column!r} of {roster.path}: "
            f"{_some(missing)}{hint if best != column else ''}"
        )
    return {name: row for name, row in rows.items() if name in marks.totals}, [n for n in rows if n not in marks.totals]


def canvas(marks: Marks, roster: Roster, column: str, titles: dict[str, str]) -> str:
    """The file for Canvas: who it is, a line with the points possible, and one column for each problem set.

    A set goes into the assignment of the gradebook that has its title, with or without the number that Canvas adds;
    without one Canvas asks whether to make it. Where a student has no mark of a set, or is excused ("EX"), the cell
    stays as it was.
    """
    missing = [name for name in _CANVAS_NEEDS if name not in roster.names]
    if missing or roster.names[0] not in _CANVAS_NAMES:
        lacks = missing[0] if missing else "Student"
        raise GradingError(
            f"{roster.path} has no column {lacks!r} in its place; give the gradebook as Canvas exports it"
        )
    rows, _ = matched(marks, roster, column)
    kept = [name for name in _CANVAS_KEEPS if name in roster.names]
    heads = {stem: _canvas_head(roster, titles.get(stem, stem), worth) for stem, worth in marks.worth.items()}
    lines = [[*kept, *heads.values()]]
    lines.append(["    Points Possible", *[""] * (len(kept) - 1), *(f"{worth:g}" for worth in marks.worth.values())])
    for name, row in rows.items():
        who = [_copied(row[each], each if each in _CANVAS_IDS else "", roster) for each in kept]
        totals = marks.totals[name]
        lines.append([*who, *(_canvas_cell(row.get(head, ""), totals.get(stem)) for stem, head in heads.items())])
    return _csv(lines)


def _canvas_head(roster: Roster, title: str, worth: float) -> str:
    """The head of a set's column: that of the assignment in the gradebook, or the title."""
    if _CANVAS_RESERVED.search(title):
        raise GradingError(f"Canvas does not import a column with the title {title!r}; choose another assignment title")
    same = [name for name in roster.names if name == title or ((m := _WITH_ID.fullmatch(name)) and m[1] == title)]
    if len(same) > 1:
        raise GradingError(
            f"{roster.path} has {len(same)} assignments {title!r}; give the one with its number, {same[0]!r}"
        )
    if not same:
        return title
    possible = roster.possible.get(same[0], "").strip().replace(",", ".")
    if possible and _NUMBER.fullmatch(possible) and float(possible.strip("%")) != worth:
        raise GradingError(f"{same[0]!r} is worth {possible} points in Canvas and {worth:g} here; change it in Canvas")
    return same[0]


def _canvas_cell(old: str, total: float | None) -> str:
    return old if total is None or old.strip().upper() == "EX" else _points(total)


def moodle(marks: Marks, roster: Roster, column: str, stem: str) -> str:
    """The file for one grade item of Moodle: the columns that identify a user, and the points.

    Moodle takes an empty cell for "no grade", so a student without a mark of the set has no line.
    """
    rows, _ = matched(marks, roster, column)
    kept = [name for name in roster.names if name in (column, "First name", "Last name", "ID number", "Email address")]
    lines = [[*kept, f"{stem} ({marks.worth[stem]:g} points)"]]
    for name, row in rows.items():
        if stem in marks.totals[name]:
            cells = [_copied(row[each], each if each == column else "", roster) for each in kept]
            lines.append([*cells, _points(marks.totals[name][stem])])
    return _csv(lines)


def _points(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")


def _copied(cell: str, identity: str, roster: Roster) -> str:
    """A cell of the roster, made harmless; GradingError for an `identity` that would have to be changed for that."""
    text = cell.strip()
    if _NUMBER.fullmatch(text) or harmless(text) == text:
        return text
    if identity:
        raise GradingError(
            f"{roster.path}: {identity} {text!r} begins like a formula; an import would not find it again"
        )
    return harmless(text)


def _csv(lines: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()


def export(
    lms: str,
    folder: Path,
    roster_path: Path,
    *,
    stems: tuple[str, ...] = (),
    column: str | None = None,
    titles: dict[str, str] | None = None,
    unfinished: bool = False,
) -> tuple[list[Path], list[str]]:
    """Write the files for an LMS into `folder`; return their paths, and who of the roster has no mark."""
    marks, roster = read_marks(folder, stems, unfinished=unfinished), read_roster(roster_path)
    column, titles = column or STUDENT_COLUMN[lms], titles or {}
    unknown = sorted(set(titles) - set(marks.worth))
    if unknown:
        raise GradingError(f"--title names {unknown[0]!r}; there are marks of {', '.join(marks.worth)}")
    _, without = matched(marks, roster, column)
    if lms == "canvas":
        texts = {folder / "canvas.csv": canvas(marks, roster, column, titles)}
    else:
        texts = {folder / f"moodle-{stem}.csv": moodle(marks, roster, column, stem) for stem in marks.worth}
    for path, text in texts.items():
        write_atomically(path, text.encode())
    return list(texts), without
