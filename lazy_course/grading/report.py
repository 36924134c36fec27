"""What comes out of grading: gradebook.csv, grades.json, class.html, and one page of feedback a student."""

import csv
import importlib.metadata
import io
import json
import platform
from html import escape
from pathlib import Path
from typing import Any

from lazy_course.files import write_atomically
from lazy_course.grading import schema
from lazy_course.grading.class_page import class_page
from lazy_course.grading.expected import Texts
from lazy_course.grading.files import file_name
from lazy_course.grading.hand import harmless
from lazy_course.grading.page import page
from lazy_course.grading.source import ProblemSet, Question

_PACKAGES = ("ipykernel", "jax", "jupyter_client", "lazy-course", "nbval", "numpy", "pytest")
_SHOWN = 20_000  # characters of an answer on the page of feedback


def summary(record: dict[str, Any]) -> str:
    """One record in one line."""
    out_of = sum(mark["out_of"] for mark in record["marks"].values() if mark["marking"] == "auto")
    line = f"{record['total']:g} of {out_of:g}"
    if record["waiting"]:
        line += f", {record['waiting']:g} to be marked by hand"
    said = {name: mark["cause"] or mark["note"] for name, mark in record["marks"].items() if mark["marking"] == "auto"}
    lost = [f"{name}: {words}" for name, words in said.items() if words]
    return line + (f" ({record['trouble']})" if record["trouble"] else "".join(f"; {item}" for item in lost))


def write(
    out: Path,
    sets: dict[str, ProblemSet],
    records: list[dict[str, Any]],
    about: dict[str, Any],
    expected: Texts | None = None,
) -> None:
    """Write all of it, each file in one move; `expected` are the values that feedback may show, None for none."""
    by_student: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_student.setdefault(record["student"], []).append(record)
    write_atomically(out / "gradebook.csv", gradebook(sets, by_student).encode())
    write_atomically(out / "grades.json", (grades(sets, records, about) + "\n").encode())
    write_atomically(out / "class.html", class_page(sets, records).encode())
    for student, own in by_student.items():
        write_atomically(
            out / "feedback" / f"{file_name(student)}.html", feedback(student, own, sets, expected).encode()
        )


def gradebook(sets: dict[str, ProblemSet], by_student: dict[str, list[dict[str, Any]]]) -> str:
    """The table as CSV: student, one column a question, the total of what was marked, and what all sets are worth.

    Empty cells: a question marked by hand until a mark is given (it counts nothing in the total), and each question
    of a set of which no file came; without any file the total is empty too. "out of" is the sum of all points of the
    sets in the table, those to be given by hand among them. A late set counts with its factor in the total; where
    there is a factor other than 1, a column says it.
    """
    columns = [(stem, question) for stem, problems in sets.items() for question in problems.questions]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    heads = [f"{stem}/{q.id} ({q.points:g}{', by hand' if q.marking == 'hand' else ''})" for stem, q in columns]
    late = [stem for stem in sets if any(_factor(own, stem) != 1 for own in by_student.values())]
    table.writerow(["student", *heads, *(f"{stem} late factor" for stem in late), "total", "out of"])
    out_of = sum(question.points for _, question in columns)
    for student, own in by_student.items():
        marks = {record["stem"]: record["marks"] for record in own}
        given = [marks.get(stem, {}).get(question.id, {}).get("points") for stem, question in columns]
        cells = ["" if points is None else f"{points:g}" for points in given]
        total = f"{sum(record['total'] for record in own):g}" if any(record["came"] for record in own) else ""
        factors = [f"{_factor(own, stem):g}" for stem in late]
        table.writerow([harmless(student), *cells, *factors, total, f"{out_of:g}"])
    return text.getvalue()


def _factor(own: list[dict[str, Any]], stem: str) -> float:
    return next((record["late"]["factor"] for record in own if record["stem"] == stem), 1.0)


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
        "schema": schema.NAME,
        "settings": about,
        "versions": versions | {"python": platform.python_version()},
        "problem_sets": questions,
        "records": records,
    }
    return json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)


def feedback(
    student: str, records: list[dict[str, Any]], sets: dict[str, ProblemSet], expected: Texts | None = None
) -> str:
    """One student's page: marks, the reason for each lost mark, and a hint where an answer was written.

    It holds no question of a set of which no file came, and no expected value unless `expected` has it.
    """
    said = "<p>Your instructor lets this page show expected values.</p>\n" if expected is not None else ""
    tables = (_table(record, sets[record["stem"]], expected) for record in records)
    return page(f"Feedback for {student}", said + "".join(tables))


def _table(record: dict[str, Any], problems: ProblemSet, expected: Texts | None) -> str:
    if not record["came"]:
        return f"<h2>{escape(problems.stem)}</h2>\n<p>no file came ({escape(record['trouble'])})</p>\n"
    known = (expected or {}).get((record["student"], record["stem"]), {})
    rows = []
    for question in problems.questions:
        mark = record["marks"].get(question.id)
        if mark is None:
            continue
        points = "open," if mark["points"] is None else f"{mark['points']:g}"
        shown = _expected(record, question, known[question.id]) if question.id in known else ""
        if expected is not None and question.marking == "hand" and mark["points"] is not None:
            shown = _folded("What the points are for", "\n".join(question.rubric))
        rows.append(
            f'<tr><th scope="row">{escape(question.id)}</th><td class="points">{points} of {question.points:g}</td>'
            f"<td>{_words(question, mark)}{shown}{_own_cell(mark)}</td></tr>\n"
        )
    trouble = f"<p>{escape(record['trouble'])}</p>\n" if record["trouble"] else ""
    days, factor = record["late"]["days"], record["late"]["factor"]
    late = f" It came {days:g} days late and counts {factor:g} times its points." if factor != 1 else ""
    waiting = f" {record['waiting']:g} points wait for a mark by hand." if record["waiting"] else ""
    return (
        f"<h2>{escape(problems.stem)}</h2>\n{trouble}<table><caption>Marks</caption>\n"
        '<thead><tr><th scope="col">Question</th><th scope="col">Points</th><th scope="col">Why</th></tr></thead>\n'
        f"<tbody>{''.join(rows)}</tbody></table>\n<p>Total: {record['total']:g}.{late}{waiting} "
        f"Isolation: {escape(record['isolation'])}.</p>\n"
    )


def _words(question: Question, mark: dict[str, Any]) -> str:
    """Why the points are what they are; with a hint where an answer of the student's was judged and is not right."""
    words = [mark["cause"] or "right"] + ([mark["note"]] if mark["note"] not in mark["cause"] else [])
    if mark["cause"] and mark["written"] and question.marking == "auto":
        words.append(f"Hint: {question.hint}")
    return "".join(f'<p class="why">{escape(word)}</p>' for word in words if word)


def _expected(record: dict[str, Any], question: Question, text: str) -> str:
    again = f"probe.set_seed({record['seed']}, {record['attempt']})"
    among_others = "One right answer among others:\n" if question.predicate else ""
    return _folded(
        "Expected values",
        f"{among_others}{text}\n\nYour own values for the same inputs: run {again} in a cell of your notebook, "
        "then the probe.",
    )


def _folded(summary: str, text: str) -> str:
    return f"<details><summary>{escape(summary)}</summary><pre>{escape(text)}</pre></details>"


def _own_cell(mark: dict[str, Any]) -> str:
    """What the student wrote, to be opened; "" where nothing was."""
    if not mark["written"] or not mark["answer"]:
        return ""
    text = mark["answer"][:_SHOWN] + ("\n[...]" if len(mark["answer"]) > _SHOWN else "")
    return _folded("Your answer", text)
