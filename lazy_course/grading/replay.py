"""Run many variants of a problem set in one fresh Python process, for the authors' tools; never for marks.

Each variant is a seed and a list of cells, run in a namespace of its own. Reads a list of variants as JSON on stdin,
writes for each the payloads by question as JSON on stdout.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
from typing import Any

from lazy_course.grading import notebooks, probe
from lazy_course.grading.errors import GradingError
from lazy_course.grading.source import ProblemSet


def cells(problems: ProblemSet, answers: dict[str, str], *, probes_from: str = "") -> list[str]:
    """The code of a set in order, with `answers` in place of the solutions (of which those not named stay).

    Probes before the question `probes_from` are left out: they ran before its answer, so they show the same without.
    """
    solved = {item.id: notebooks.answer_source(item, solved=True) for item in problems.automatic} | answers
    chosen, reached = [], not probes_from
    for cell in problems.cells:
        reached = reached or (cell.role == "answer" and cell.question == probes_from)
        if cell.kind == "code" and cell.role not in ("check", "wrong") and (reached or cell.role != "probe"):
            chosen.append(solved[cell.question] if cell.role == "answer" else cell.source)
    return chosen


def replay(variants: list[dict[str, Any]], timeout: float = 1200.0) -> list[dict[str, Any]]:
    """Run variants {"seed": int, "cells": [source, ...]}; return for each {question: payload}."""
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
    answer: list[dict[str, Any]] = json.loads(done.stdout)
    return answer


def _run(variant: dict[str, Any]) -> dict[str, Any]:
    probe.set_seed(variant["seed"])
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with probe.collecting() as payloads, contextlib.redirect_stdout(io.StringIO()):
        for number, source in enumerate(variant["cells"]):
            lines = ["" if line.startswith(("%", "!")) else line for line in source.splitlines()]
            # A cell that stops leaves its question's probe to say what is missing, as in a notebook.
            with contextlib.suppress(Exception):
                exec(compile("\n".join(lines), f"<cell {number}>", "exec"), namespace)
    return {payload["question"]: payload for payload in payloads}


if __name__ == "__main__":
    json.dump([_run(variant) for variant in json.load(sys.stdin)], sys.stdout)
