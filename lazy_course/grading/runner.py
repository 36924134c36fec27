"""Start a worker for one notebook and gather what it tells, whatever becomes of it."""

import json
import tempfile
from pathlib import Path
from typing import Any

from lazy_course.grading.files import fonts_in, put_fonts
from lazy_course.grading.foreman import FOREMAN


def run(
    notebook: bytes,
    isolation: str,
    *,
    timeout: float,
    references: dict[str, Any] | None = None,
    fonts: dict[str, bytes] | None = None,
) -> tuple[list[dict[str, Any]], str, dict[str, bytes]]:
    """Run a rebuilt notebook under nbval, with plain arguments and results, so that another machine can do it.

    Returns the lines that the worker told, what went wrong outside it, and matplotlib's lists of fonts, if the run
    can be trusted (the solution's, which has no references). `timeout` is for one cell, in seconds. `fonts` are the
    lists of another run, so that not every kernel has to make them.
    """
    cells = len(json.loads(notebook)["cells"])
    with tempfile.TemporaryDirectory(prefix="lc") as temporary:
        own, student = Path(temporary) / "grader", Path(temporary) / "s"
        own.mkdir(mode=0o700)
        (student / "home").mkdir(parents=True)
        (own / "graded.ipynb").write_bytes(notebook)
        (own / "pytest.ini").write_text("[pytest]\n")
        put_fonts(student / "home", fonts or {})
        job = {
            "notebook": str(own / "graded.ipynb"),
            "folder": str(student),
            "isolation": isolation,
            "timeout": timeout,
            "references": references,
        }
        lines, trouble = _talk(json.dumps(job).encode(), own, limit=120.0 + 2 * cells * timeout)
        return lines, trouble, fonts_in(student / "home") if references is None else {}


def _talk(job: bytes, folder: Path, *, limit: float) -> tuple[list[dict[str, Any]], str]:
    told, errors, in_time = FOREMAN.talk(job, folder, limit)
    lines = [json.loads(line) for line in told.decode().splitlines() if line.endswith("}")]
    if not in_time:
        return lines, f"grading was not done after {limit:g} seconds"
    if any(line.get("done") in (0, 1) for line in lines):  # 1: some cell failed
        return lines, ""
    last = errors.strip().splitlines()
    return lines, f"the grading process ended early ({last[-1][:200] if last else 'no message'})"
