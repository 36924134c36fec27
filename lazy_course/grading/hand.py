"""Marks given by hand: a CSV in which the grader only ever adds rows, and the instructor writes points and comments.

Columns: student, problem set, question, out of, points, comment. The file is the store: a regrade reads it and takes
nothing back. A row with points counts, a row without waits.
"""

import csv
import io
from pathlib import Path
from typing import Any

from lazy_course.grading.errors import GradingError
from lazy_course.grading.files import write_atomically

COLUMNS = ("student", "problem set", "question", "out of", "points", "comment")
Key = tuple[str, str, str]
Rows = dict[Key, dict[str, str]]


def harmless(text: str) -> str:
    """A cell that a spreadsheet does not take for a formula."""
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


def read(path: Path) -> Rows:
    """The rows by student, problem set and question; GradingError for a file that is no such table."""
    if not path.exists():
        return {}
    try:
        table = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"), newline=""), strict=True)
        missing = [name for name in COLUMNS if name not in (table.fieldnames or ())]
        if missing:
            raise GradingError(f"{path} has no column {missing[0]!r}; it needs {', '.join(COLUMNS)}")
        rows = list(table)
    except (csv.Error, UnicodeDecodeError) as error:
        raise GradingError(f"{path} is not a table in CSV with UTF-8 text ({error}); save it as CSV again") from error
    found: Rows = {}
    for number, row in enumerate(rows, start=2):
        key = (row["student"] or "", row["problem set"] or "", row["question"] or "")
        if key in found:
            raise GradingError(f"{path}, row {number}: {' / '.join(key)} stands there twice; keep one of the rows")
        found[key] = {name: (row[name] or "").strip() for name in COLUMNS[3:]}
    return found


def points(path: Path, key: Key, row: dict[str, str], out_of: float) -> float | None:
    """The points of a row, None while they are empty; GradingError if they are no number from 0 to `out_of`."""
    text = row["points"].replace(",", ".")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= out_of:
        raise GradingError(
            f"{path}, {' / '.join(key)}: points are {row['points']!r}; give a number from 0 to {out_of:g}"
        )
    return value


def update(path: Path, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add a row for each answer that waits and has none, and return the records with the marks of the file."""
    rows = read(path)
    known = {_key(record, question): (record, question) for record, question in _by_hand(records)}
    strangers = [key for key, row in rows.items() if key not in known and row["points"]]
    if strangers:
        raise GradingError(
            f"{path}, {' / '.join(strangers[0])}: there is no such answer to mark; check the spelling, or take the "
            "points out of the row"
        )
    fresh = {
        key: pair for key, pair in known.items() if key not in rows and pair[0]["marks"][pair[1]]["points"] is None
    }
    for key, (record, question) in fresh.items():
        if record["came"]:
            rows[key] = {"out of": f"{record['marks'][question]['out_of']:g}", "points": "", "comment": ""}
    if rows and (any(pair[0]["came"] for pair in fresh.values()) or not path.exists()):
        write_atomically(path, _text(rows).encode())
    return [_with_marks(path, record, rows) for record in records]


def _by_hand(records: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str]]:
    return [(record, name) for record in records for name, mark in record["marks"].items() if mark["marking"] == "hand"]


def _key(record: dict[str, Any], question: str) -> Key:
    return harmless(record["student"]), record["stem"], question


def _text(rows: Rows) -> str:
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for key, row in rows.items():
        table.writerow([*key, *(row[name] for name in COLUMNS[3:])])
    return text.getvalue()


def _with_marks(path: Path, record: dict[str, Any], rows: Rows) -> dict[str, Any]:
    marks = dict(record["marks"])
    for name, mark in record["marks"].items():
        row = rows.get(_key(record, name)) if mark["marking"] == "hand" else None
        given = points(path, _key(record, name), row, mark["out_of"]) if row else None
        if row and given is not None:
            marks[name] = mark | {"points": given, "cause": "marked by hand", "note": row["comment"]}
    total = sum(mark["points"] or 0 for mark in marks.values())
    waiting = sum(mark["out_of"] for mark in marks.values() if mark["points"] is None and record["came"])
    return record | {"marks": marks, "total": total, "waiting": waiting if record["waiting"] else 0}
