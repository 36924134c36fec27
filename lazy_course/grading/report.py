"""What comes out of grading: gradebook.csv, grades.json, and one page of feedback a student."""

import csv
import importlib.metadata
import io
import json
import platform
from html import escape
from pathlib import Path
from typing import Any

from lazy_course.grading.files import file_name, write_atomically
from lazy_course.grading.source import ProblemSet

_PACKAGES = ("ipykernel", "jax", "jupyter_client", "lazy-course", "nbval", "numpy", "pytest")
_STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;
border-bottom:1px solid #999}caption{text-align:left;font-weight:bold;padding:.4rem 0}td.points{white-space:nowrap}"""


def summary(record: dict[str, Any]) -> str:
    """One record in one line."""
    out_of = sum(mark["out_of"] for mark in record["marks"].values() if mark["marking"] == "auto")
    line = f"{record['total']:g} of {out_of:g}"
    if record["waiting"]:
        line += f", {record['waiting']:g} to be marked by hand"
    said = {name: mark["cause"] or mark["note"] for name, mark in record["marks"].items() if mark["marking"] == "auto"}
    lost = [f"{name}: {words}" for name, words in said.items() if words]
    return line + (f" ({record['trouble']})" if record["trouble"] else "".join(f"; {item}" for item in lost))


def write(out: Path, sets: dict[str, ProblemSet], records: list[dict[str, Any]], about: dict[str, Any]) -> None:
    """Write all three, each file in one move."""
    by_student: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_student.setdefault(record["student"], []).append(record)
    write_atomically(out / "gradebook.csv", gradebook(sets, by_student).encode())
    write_atomically(out / "grades.json", (grades(sets, records, about) + "\n").encode())
    for student, own in by_student.items():
        page = feedback(student, own, sets)
        write_atomically(out / "feedback" / f"{file_name(student)}.html", page.encode())


def gradebook(sets: dict[str, ProblemSet], by_student: dict[str, list[dict[str, Any]]]) -> str:
    """The table as CSV: student, one column a question, the total of what was marked, and what all sets are worth.

    Empty cells: a question marked by hand until a mark is given (it counts nothing in the total), and each question
    of a set of which no file came; without any file the total is empty too. "out of" is the sum of all points of the
    sets in the table, those to be given by hand among them.
    """
    columns = [(stem, question) for stem, problems in sets.items() for question in problems.questions]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    heads = [f"{stem}/{q.id} ({q.points:g}{', by hand' if q.marking == 'hand' else ''})" for stem, q in columns]
    table.writerow(["student", *heads, "total", "out of"])
    out_of = sum(question.points for _, question in columns)
    for student, own in by_student.items():
        marks = {record["stem"]: record["marks"] for record in own}
        given = [marks.get(stem, {}).get(question.id, {}).get("points") for stem, question in columns]
        cells = ["" if points is None else f"{points:g}" for points in given]
        total = f"{sum(points or 0 for points in given):g}" if any(record["came"] for record in own) else ""
        table.writerow([harmless(student), *cells, total, f"{out_of:g}"])
    return text.getvalue()


def harmless(text: str) -> str:
    """A cell that a spreadsheet does not take for a formula."""
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else text


def grades(sets: dict[str, ProblemSet], records: list[dict[str, Any]], about: dict[str, Any]) -> str:
    """Everything that a regrade or a question by a student needs, as JSON; no time and no path in it."""
    versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
    questions = {
        stem: {
            question.id: {"points": question.points, "marking": question.marking, "rubric": list(question.rubric)}
            for question in problems.questions
        }
        for stem, problems in sets.items()
    }
    content = {
        "format": 2,
        "settings": about,
        "versions": versions | {"python": platform.python_version()},
        "problem_sets": questions,
        "records": records,
    }
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)


def feedback(student: str, records: list[dict[str, Any]], sets: dict[str, ProblemSet]) -> str:
    """One student's page: marks, the reason for each lost mark, and a hint where an answer was written.

    It holds no expected value, and no question of a set of which no file came.
    """
    tables = "".join(_table(record, sets[record["stem"]]) for record in records)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>Feedback for {escape(student)}</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>Feedback for {escape(student)}</h1>\n{tables}</body></html>\n"
    )


def _table(record: dict[str, Any], problems: ProblemSet) -> str:
    if not record["came"]:
        return f"<h2>{escape(problems.stem)}</h2>\n<p>no file came ({escape(record['trouble'])})</p>\n"
    rows = []
    for question in problems.questions:
        mark = record["marks"].get(question.id)
        if mark is None:
            continue
        points = "open," if mark["points"] is None else f"{mark['points']:g}"
        words = [mark["cause"] or "right"] + ([mark["note"]] if mark["note"] not in mark["cause"] else [])
        if mark["cause"] and mark["written"] and question.marking == "auto":
            words.append(f"Hint: {question.hint}")
        said = "<br>".join(escape(word) for word in words if word)
        rows.append(
            f'<tr><th scope="row">{escape(question.id)}</th><td class="points">{points} of {question.points:g}</td>'
            f"<td>{said}</td></tr>\n"
        )
    trouble = f"<p>{escape(record['trouble'])}</p>\n" if record["trouble"] else ""
    waiting = f" {record['waiting']:g} points wait for a mark by hand." if record["waiting"] else ""
    return (
        f"<h2>{escape(problems.stem)}</h2>\n{trouble}<table><caption>Marks</caption>\n"
        '<thead><tr><th scope="col">Question</th><th scope="col">Points</th><th scope="col">Why</th></tr></thead>\n'
        f"<tbody>{''.join(rows)}</tbody></table>\n<p>Total: {record['total']:g}.{waiting} "
        f"Isolation: {escape(record['isolation'])}.</p>\n"
    )
