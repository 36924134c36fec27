"""Expected values for feedback, where the instructor asks for them: in no record, made anew from the solution."""

from collections.abc import Callable
from typing import Any

import numpy as np

from lazy_course.grading.values import decode

_CHARACTERS = 4_000
Texts = dict[tuple[str, str], dict[str, str]]  # by student and problem set, then by question


def lost(record: dict[str, Any]) -> list[str]:
    """The questions of a record that the grader marked, and where something was written that was not right."""
    marks = record["marks"].items()
    return [name for name, mark in marks if mark["marking"] == "auto" and mark["written"] and mark["points"] == 0]


def texts(
    records: list[dict[str, Any]], key: dict[str, Any], references: Callable[[list[int]], list[dict[str, Any]]]
) -> Texts:
    """For each lost question of the records that hold `key` what the solution gives; `references` runs it for seeds.

    A record of another attempt, or of another state of the set, was judged by other values.
    """
    wanted = [record for record in records if key.items() <= record.items() and record["came"] and lost(record)]
    if not wanted:
        return {}
    known = references([record["seed"] for record in wanted])
    return {
        (record["student"], record["stem"]): {name: _text(values[name]["payload"]) for name in lost(record)}
        for record, values in zip(wanted, known, strict=True)
    }


def _text(payload: dict[str, Any]) -> str:
    lines = [f"case {number}: {_value(decode(case))}" for number, case in enumerate(payload["cases"], start=1)]
    text = "\n".join(lines)
    return text if len(text) <= _CHARACTERS else text[:_CHARACTERS] + "\n[...]"


def _value(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return np.array2string(value, precision=6, threshold=60, separator=", ", max_line_width=100)
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_value(item)}" for key, item in value.items()) + "}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
