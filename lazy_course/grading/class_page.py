"""One page on the whole class: totals, each question's share of right answers, and what cost most marks."""

from collections import Counter
from html import escape
from typing import Any

from lazy_course.grading.compare import NO_ANSWER
from lazy_course.grading.page import bar, page
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
    hardest = sorted((pair for pair in tallies if pair[1]["right"] < 1), key=lambda pair: pair[1]["right"])[:_CAUSES]
    worst = "; ".join(f"{escape(question.id)} ({tally['right']:.0%} of the points)" for question, tally in hardest)
    failed = f"<p>Hardest: {worst}.</p>\n" if worst else ""
    rows = "".join(_row(question, tally) for question, tally in tallies)
    return (
        f"{head}{_totals(problems, records)}{failed}<table><caption>Questions</caption>\n<thead><tr>"
        '<th scope="col">Question</th><th scope="col">Points</th><th scope="col">How many</th>'
        f'<th scope="col">Most frequent causes</th></tr></thead>\n<tbody>{rows}</tbody></table>\n'
    )


def _tally(question: Question, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Numbers of students by share of the points, those without an answer, those who wait, and causes of losses."""
    marks = [record["marks"][question.id] for record in records if question.id in record["marks"]]
    given = [mark["points"] / question.points for mark in marks if mark["points"] is not None]
    lost = [mark for mark in marks if mark["points"] is not None and mark["points"] < question.points]
    causes = Counter(mark["cause"].partition(": ")[2] or mark["cause"] for mark in lost if mark["written"])
    return {
        "full": sum(share == 1 for share in given),
        "part": sum(0 < share < 1 for share in given),
        "none": sum(share == 0 for share in given),
        "blank": sum(NO_ANSWER in mark["cause"] or not mark["written"] for mark in lost),
        "waiting": len(marks) - len(given),
        "right": sum(given) / len(given) if given else 1.0,
        "causes": causes.most_common(_CAUSES),
    }


def _row(question: Question, tally: dict[str, Any]) -> str:
    names = {"full": "all points", "part": "some", "none": "none", "waiting": "waiting"}
    counts = {words: tally[key] for key, words in names.items() if tally[key]}
    causes = "<br>".join(f"{count} &times; {escape(cause)}" for cause, count in tally["causes"])
    blank = f"<br>{tally['blank']} of them wrote nothing" if tally["blank"] else ""
    return (
        f'<tr><th scope="row">{escape(question.id)}</th><td class="points">{tally["right"]:.0%} of '
        f"{question.points:g}</td><td>{bar(counts)}{blank}</td><td>{causes}</td></tr>\n"
    )


def _totals(problems: ProblemSet, records: list[dict[str, Any]]) -> str:
    """A histogram of the totals in ten bins, as a table that needs no script."""
    out_of = sum(question.points for question in problems.questions)
    counts = Counter(min(int(_BINS * record["total"] / out_of), _BINS - 1) for record in records)
    most = max(counts.values())
    rows = "".join(
        f'<tr><th scope="row">{out_of * i / _BINS:g} to {out_of * (i + 1) / _BINS:g}</th>'
        f'<td><span class="bar" style="width:{20 * counts[i] / most:.2f}rem"></span> {counts[i]}</td></tr>\n'
        for i in range(_BINS)
    )
    return (
        '<table><caption>Totals</caption>\n<thead><tr><th scope="col">Points</th><th scope="col">Students</th></tr>'
        f"</thead>\n<tbody>{rows}</tbody></table>\n"
    )
