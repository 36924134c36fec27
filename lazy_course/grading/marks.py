"""The mark of one question: full points for an explicit pass, else 0 and the cause."""

from typing import Any

from lazy_course.grading.compare import NO_ANSWER
from lazy_course.grading.source import Question
from lazy_course.grading.submissions import Answer

NOT_WRITTEN = "nothing was written"


def mark(question: Question, right: bool, cause: str, answer: Answer) -> dict[str, Any]:
    """What the record says of a question that was judged `right` or not for `cause`."""
    base = {"out_of": question.points, "marking": question.marking, "note": answer.note, "written": answer.written}
    base["answer"] = answer.source or ""
    if question.marking == "hand":
        return base | _by_hand(question, answer)
    if right:
        return base | {"points": question.points, "cause": "", "written": True}
    if cause == NO_ANSWER:
        base["written"] = False
    return base | {"points": 0, "cause": "; ".join(filter(None, (cause, answer.note)))}


def _by_hand(question: Question, answer: Answer) -> dict[str, Any]:
    """No points yet, or 0 where nothing was written: such an answer need not be opened."""
    if answer.source is not None and not answer.written:
        return {"points": 0, "cause": NOT_WRITTEN}
    waits = f"to be marked by hand ({question.points:g} points)"
    return {"points": None, "cause": f"{answer.cause}; {waits}" if answer.cause else waits}
