"""What the grader's tests share: a tiny problem set, and notebooks made from its exercise."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lazy_course.grading import grade, isolation, notebooks, source

DATA = Path(__file__).parent / "data"
TINY = DATA / "tiny.md"
QUESTIONS = ("double", "gradient", "is-lazy")


def problems() -> source.ProblemSet:
    return source.read(TINY)


def solved() -> dict[str, str]:
    return {item.id: notebooks.answer_source(item, solved=True) for item in problems().questions}


def submission(answers: dict[str, str] | None = None, change: Callable[[dict[str, Any]], Any] | None = None) -> bytes:
    """The exercise as a student hands it in, with `answers` by question; `change` may break the notebook."""
    notebook = json.loads(notebooks.to_bytes(notebooks.exercise(problems())))
    for cell in notebook["cells"]:
        course = cell["metadata"].get("lazy_course", {})
        if course.get("role") in ("answer", "written") and course["question"] in (answers or {}):
            cell["source"] = (answers or {})[course["question"]]
    if change:
        change(notebook)
    return json.dumps(notebook).encode()


def settings(root: Path, **changes: Any) -> grade.Settings:
    """How a course below `root` is graded without a sandbox; `changes` are fields of the settings."""
    base: dict[str, Any] = {
        "course": root / "course",
        "submissions": root / "submissions",
        "out": root / "out",
        "isolation": isolation.Unprotected(),
        "seed_file": root / "seed",
        "workers": 2,
        "timeout": 6.0,
    }
    return grade.Settings(**(base | changes))
