"""One page on the whole class: a histogram of the totals and of each question, and what cost most marks."""

import math
from collections import Counter
from html import escape
from typing import Any

from lazy_course.grading.compare import NO_ANSWER
from lazy_course.grading.marks import NOT_WRITTEN
from lazy_course.grading.page import histogram, page
from lazy_course.grading.source import ProblemSet, Question

_BINS = 10
_CAUSES = 3


def class_page(sets: dict[str, ProblemSet], records: list[dict[str, Any]]) -> str:
    """The page as HTML; no student's name stands in it, so that it can be shown to the class."""
    parts = [
        _of_set(problems, [r for r in records if r["stem"] == stem and r["came"]]) for stem, problems in sets.items()
    ]
    return page("The class", "".join(parts))


def _of_set(problems: ProblemSet, records: list[dict[str, Any]]) -> str:
    head = f"<h2>{escape(problems.stem)}</h2>\n<p>{len(records)} submissions.</p>\n"
    if not records:
        return head
    tallies = [(question, _tally(question, records)) for question in problems.questions]
    rows = "".join(_row(question, tally) for question, tally in tallies)
    return (
        f"{head}{_totals(problems, records)}{_hardest(tallies)}<table><caption>Questions</caption>\n<thead><tr>"
        '<th scope="col">Question</th><th scope="col">Points given</th><th scope="col">How many students</th>'
        f'<th scope="col">Most frequent causes</th></tr></thead>\n<tbody>{rows}</tbody></table>\n'
    )


def _hardest(tallies: list[tuple[Question, dict[str, Any]]]) -> str:
    """The questions that cost most of their points, and why most often; "" if none cost any."""
    hardest = sorted((pair for pair in tallies if pair[1]["right"] < 1), key=lambda pair: pair[1]["right"])[:_CAUSES]
    items = ""
    for question, tally in hardest:
        cause = f"; most often: {tally['causes'][0][0]} ({tally['causes'][0][1]})" if tally["causes"] else ""
        items += f"<li>{escape(question.id)}: {tally['right']:.0%} of the points{escape(cause)}</li>\n"
    return f"<h3>Hardest questions</h3>\n<ol>{items}</ol>\n" if items else ""


def _tally(question: Question, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Numbers of students by points, those who wrote nothing, those of whom nothing could be read, share and causes."""
    marks = [record["marks"][question.id] for record in records if question.id in record["marks"]]
    given = [float(mark["points"]) for mark in marks if mark["points"] is not None]
    lost = [mark for mark in marks if mark["points"] is not None and mark["points"] < question.points]
    causes = Counter(
        mark["cause"].partition(": ")[2] or mark["cause"]
        for mark in lost
        if mark["written"] and mark["marking"] == "auto"
    )
    return {
        "counts": _bins(question, given) | ({"open": len(marks) - len(given)} if len(given) < len(marks) else {}),
        "blank": sum(map(_is_blank, lost)),
        "unread": sum(not mark["written"] and not _is_blank(mark) for mark in lost),
        "right": sum(given) / len(given) / question.points if given else 1.0,
        "causes": causes.most_common(_CAUSES),
    }


def _is_blank(mark: dict[str, Any]) -> bool:
    """Whether nothing was written, as opposed to a file or a cell that could not be read or is not there."""
    return NO_ANSWER in mark["cause"] or NOT_WRITTEN in mark["cause"]


def _bins(question: Question, given: list[float]) -> dict[str, int]:
    """How many students got how many points: none or all from the grader, by hand each number up to all."""
    if question.marking == "auto":
        return {"all": sum(points > 0 for points in given), "none": sum(points == 0 for points in given)}
    whole = min(math.ceil(question.points), _BINS)
    step = question.points / whole
    counts = Counter(min(int(points / step), whole) for points in given)
    return {f"{step * i:g}": counts[i] for i in range(whole, -1, -1)}


def _row(question: Question, tally: dict[str, Any]) -> str:
    causes = "<br>".join(f"{count} &times; {escape(cause)}" for cause, count in tally["causes"])
    parts = [f"{tally['blank']} of them wrote nothing"] if tally["blank"] else []
    parts += [f"of {tally['unread']} no answer could be read"] if tally["unread"] else []
    blank = ", ".join(parts)
    return (
        f'<tr><th scope="row">{escape(question.id)}</th><td class="points">{tally["right"]:.0%} of '
        f"{question.points:g}</td><td>{histogram(tally['counts'])}{blank}</td><td>{causes}</td></tr>\n"
    )


def _totals(problems: ProblemSet, records: list[dict[str, Any]]) -> str:
    """A histogram of the totals in ten bins."""
    out_of = sum(question.points for question in problems.questions)
    counts = Counter(min(int(_BINS * record["total"] / out_of), _BINS - 1) for record in records)
    bins = {f"{out_of * i / _BINS:g} to {out_of * (i + 1) / _BINS:g}": counts[i] for i in range(_BINS)}
    return f"<h3>Totals (points: students)</h3>\n{histogram(bins)}\n"
