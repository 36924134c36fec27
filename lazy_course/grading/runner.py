"""Start a worker for one notebook and gather what it tells, whatever becomes of it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nbformat

from lazy_course.grading.files import carry_fonts
from lazy_course.grading.isolation import Isolation
from lazy_course.grading.notebooks import to_bytes

# The worker needs nothing of the course but its grader, and the package itself would import JAX: most of a second.
_BOOT = (
    "import sys, types; package = types.ModuleType('lazy_course'); package.__path__ = [sys.argv[1]]; "
    "sys.modules['lazy_course'] = package; from lazy_course.grading.worker import main; main()"
)
_PACKAGE = Path(__file__).resolve().parents[1]


def run(
    notebook: nbformat.NotebookNode,
    isolation: Isolation,
    *,
    timeout: float,
    references: dict[str, Any] | None = None,
    fonts: Path | None = None,
) -> tuple[list[dict[str, Any]], str]:
    """Run a rebuilt notebook under nbval; return the lines that the worker told, and what went wrong outside it.

    `timeout` is for one cell, in seconds. `fonts` keeps matplotlib's list of fonts between runs, so that not every
    kernel has to make it.
    """
    cells = len(notebook.cells)
    with tempfile.TemporaryDirectory(prefix="lc") as temporary:
        own, student = Path(temporary) / "grader", Path(temporary) / "s"
        own.mkdir(mode=0o700)
        (student / "home").mkdir(parents=True)
        (own / "graded.ipynb").write_bytes(to_bytes(notebook))
        (own / "pytest.ini").write_text("[pytest]\n")
        carry_fonts(fonts, student / "home")
        job = {
            "notebook": str(own / "graded.ipynb"),
            "folder": str(student),
            "isolation": isolation.name,
            "timeout": timeout,
            "references": references,
        }
        lines, trouble = _talk(json.dumps(job).encode(), own, limit=120.0 + 2 * cells * timeout)
        if references is None:
            carry_fonts(student / "home", fonts)
    return lines, trouble


def _talk(job: bytes, folder: Path, *, limit: float) -> tuple[list[dict[str, Any]], str]:
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", _BOOT, str(_PACKAGE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )
    trouble = ""
    try:
        told, errors = process.communicate(job, timeout=limit)
    except subprocess.TimeoutExpired:
        _end(process)
        told, errors = process.communicate()
        trouble = f"grading was not done after {limit:g} seconds"
    except BaseException:
        _end(process)
        raise
    lines = [json.loads(line) for line in told.decode().splitlines() if line.endswith("}")]
    if not any(line.get("done") in (0, 1) for line in lines) and not trouble:  # 1: some cell failed
        last = errors.decode("utf-8", "replace").strip().splitlines()
        trouble = f"the grading process ended early ({last[-1][:200] if last else 'no message'})"
    return lines, trouble


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
