"""Marks given by hand: a CSV in which the grader only ever adds rows, and the instructor writes points and comments.

Columns: student, problem set, question, out of, points, comment; further columns of the instructor's own are kept. The
file is the store: a regrade reads it and takes nothing back. A row with points counts, a row without waits. Whoever
writes reads the file again under a lock, changes what it must, and moves the new file into place.
"""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lazy_course.files import write_atomically
from lazy_course.grading.errors import GradingError
from lazy_course.grading.files import locked

COLUMNS = ("student", "problem set", "question", "out of", "points", "comment")
MARKED = "marked by hand"
Key = tuple[str, str, str]
Row = dict[str, str]
Rows = dict[Key, Row]
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_NUMBER = re.compile(r"[0-9]+([.,][0-9]*)?|[.,][0-9]+")


class Clash(Exception):
    """A row was changed by somebody else since it was read; `row` is how it stands now."""

    def __init__(self, row: Row) -> None:
        super().__init__("the row was changed in the file")
        self.row = row


def harmless(text: str) -> str:
    """A cell that a spreadsheet does not take for a formula, with an apostrophe more than the text has."""
    return "'" + text if text.lstrip("'").startswith(_FORMULA) else text


def _plain(text: str) -> str:
    """What `harmless` was given."""
    return text[1:] if text.startswith("'") and text.lstrip("'").startswith(_FORMULA) else text


def read(path: Path) -> Rows:
    """The rows by student, problem set and question; GradingError for a file that is no such table."""
    if not path.exists():
        return {}
    try:
        table = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True)
        names = list(table.fieldnames or ())
        missing = [name for name in COLUMNS if name not in names]
        if missing:
            raise GradingError(f"{path} has no column {missing[0]!r}; it needs {', '.join(COLUMNS)}")
        rows = list(table)
    except (csv.Error, UnicodeDecodeError) as error:
        raise GradingError(f"{path} is not a table in CSV with UTF-8 text ({error}); save it as CSV again") from error
    found: Rows = {}
    for number, row in enumerate(rows, start=2):
        key = (row["student"] or "", row["problem set"] or "", row["question"] or "")
        if None in row:  # what DictReader does with cells beyond the last column
            raise GradingError(
                f"{path}, row {number} has more cells than columns; put a comment with commas into quotes"
            )
        if key in found:
            raise GradingError(f"{path}, row {number}: {' / '.join(key)} stands there twice; keep one of the rows")
        found[key] = {name: (row[name] or "").strip() for name in names if name not in COLUMNS[:3]}
        found[key]["comment"] = _plain(found[key]["comment"].replace("\r\n", "\n"))
    return found


def number(text: str, out_of: float) -> float | None:
    """The points that a text says, None if it is empty; ValueError if they are no number from 0 to `out_of`."""
    if not text:
        return None
    value = float(text.replace(",", ".")) if _NUMBER.fullmatch(text) else float("nan")
    if not 0 <= value <= out_of:
        raise ValueError(f"points are {text!r}; give a number from 0 to {out_of:g}")
    return value


def points(path: Path, key: Key, row: Row, out_of: float) -> float | None:
    """The points of a row, None while they are empty; GradingError if they are no number from 0 to `out_of`."""
    try:
        return number(row["points"], out_of)
    except ValueError as error:
        raise GradingError(f"{path}, {' / '.join(key)}: {error}") from error


def update(path: Path, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add a row for each answer that waits and has none, and return the records with the marks of the file."""
    with locked(path):
        rows = _with_new_rows(path, records)
    return [_with_marks(path, record, rows) for record in records]


def _with_new_rows(path: Path, records: list[dict[str, Any]]) -> Rows:
    rows = read(path)
    known = {key_of(record, question): (record, question) for record, question in by_hand(records)}
    strangers = [key for key, row in rows.items() if key not in known and row["points"]]
    if strangers:
        raise GradingError(
            f"{path}, {' / '.join(strangers[0])}: there is no such answer to mark; check the spelling, or take the "
            "points out of the row"
        )
    fresh = [pair for key, pair in known.items() if key not in rows and pair[0]["marks"][pair[1]]["points"] is None]
    came = [(record, question) for record, question in fresh if record["came"]]
    for record, question in came:
        rows[key_of(record, question)] = _empty(record["marks"][question]["out_of"])
    if rows and (came or not path.exists()):
        _write(path, rows)
    return rows


def save(path: Path, key: Key, given: Row, seen: Row, out_of: float) -> None:
    """Write the points and the comment of one row; all other rows stay as the file has them now.

    ValueError for points that cannot be; `Clash` if the row is neither as it was `seen` nor as it is to be.
    """
    number(given["points"], out_of)
    with locked(path):
        rows = read(path)
        row = rows.get(key) or _empty(out_of)
        now, wanted = ({name: each[name] for name in ("points", "comment")} for each in (row, given))
        if now == wanted:
            return
        if now != {name: seen[name] for name in ("points", "comment")}:
            raise Clash(now)
        rows[key] = row | wanted
        _write(path, rows)


def _empty(out_of: float) -> Row:
    return {"out of": f"{out_of:g}", "points": "", "comment": ""}


def by_hand(records: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each record with each of its questions that are marked by hand."""
    return ((record, name) for record in records for name, mark in record["marks"].items() if mark["marking"] == "hand")


def key_of(record: dict[str, Any], question: str) -> Key:
    """How the row of an answer is found."""
    return harmless(record["student"]), record["stem"], question


def _write(path: Path, rows: Rows) -> None:
    text = io.StringIO()
    names = [*COLUMNS[3:], *dict.fromkeys(name for row in rows.values() for name in row if name not in COLUMNS)]
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*COLUMNS[:3], *names])
    for key, row in rows.items():
        cells = row | {"comment": harmless(row["comment"])}
        table.writerow([*key, *(cells.get(name, "") for name in names)])
    write_atomically(path, text.getvalue().encode())


def _with_marks(path: Path, record: dict[str, Any], rows: Rows) -> dict[str, Any]:
    marks = dict(record["marks"])
    for name, mark in record["marks"].items():
        row = rows.get(key_of(record, name)) if mark["marking"] == "hand" else None
        given = points(path, key_of(record, name), row, mark["out_of"]) if row else None
        if row and given is not None:
            marks[name] = mark | {"points": given, "cause": MARKED, "note": row["comment"]}
    total = sum(mark["points"] or 0 for mark in marks.values())
    waiting = sum(mark["out_of"] for mark in marks.values() if mark["points"] is None and record["came"])
    return record | {"marks": marks, "total": total, "waiting": waiting if record["waiting"] else 0}
