"""Run many variants of a problem set in one fresh Python process, for the authors' tools; never for marks.

Each variant is a seed and a list of cells, run in a namespace of its own. Reads a list of variants as JSON on stdin,
writes for each the payloads by question, and what was printed, as JSON on stdout.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
from typing import Any, NamedTuple

from lazy_course.grading import notebooks, probe
from lazy_course.grading.errors import GradingError
from lazy_course.grading.source import ProblemSet


class Replayed(NamedTuple):
    """What one variant showed: the payloads of its probes by question, and the text that its cells printed."""

    payloads: dict[str, Any]
    printed: str


def cells(
    problems: ProblemSet, answers: dict[str, str], *, probes_from: str = "", selfchecks: bool = False
) -> list[str]:
    """The code of a set in order, with `answers` in place of the solutions (of which those not named stay).

    Probes before the question `probes_from` are left out: they ran before its answer, so they show the same without.
    Self-checks are left out as well, unless `selfchecks`.
    """
    left_out = ("wrong",) if selfchecks else ("check", "wrong")
    solved = {item.id: notebooks.answer_source(item, solved=True) for item in problems.automatic} | answers
    chosen, reached = [], not probes_from
    for cell in problems.cells:
        reached = reached or (cell.role == "answer" and cell.question == probes_from)
        if cell.kind == "code" and cell.role not in left_out and (reached or cell.role != "probe"):
            chosen.append(solved[cell.question] if cell.role == "answer" else cell.source)
    return chosen


def replay(variants: list[dict[str, Any]], timeout: float = 1200.0) -> list[Replayed]:
    """Run variants {"seed": int, "cells": [source, ...]} one after the other."""
    done = subprocess.run(
        [sys.executable, "-m", "lazy_course.grading.replay"],
        input=json.dumps(variants),
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu")},
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise GradingError(f"the cells could not be replayed: {last}")
    return [Replayed(*shown) for shown in json.loads(done.stdout)]


def _run(variant: dict[str, Any]) -> Replayed:
    probe.set_seed(variant["seed"])
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with probe.collecting() as payloads, contextlib.redirect_stdout(io.StringIO()) as printed:
        for number, source in enumerate(variant["cells"]):
            lines = ["" if line.startswith(("%", "!")) else line for line in source.splitlines()]
            # A cell that stops leaves its question's probe to say what is missing, as in a notebook.
            with contextlib.suppress(Exception):
                exec(compile("\n".join(lines), f"<cell {number}>", "exec"), namespace)
    return Replayed({payload["question"]: payload for payload in payloads}, printed.getvalue())


if __name__ == "__main__":
    json.dump([_run(variant) for variant in json.load(sys.stdin)], sys.stdout)
