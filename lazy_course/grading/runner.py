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

from lazy_course.grading.files import fonts_in, put_fonts

# The worker needs nothing of the course but its grader, and the package itself would import JAX: most of a second.
# As long takes jsonschema's optional parser of IRIs, which nbformat imports and never uses: it is said to be absent.
_BOOT = (
    "import sys, types; sys.modules['rfc3987_syntax'] = None; "
    "package = types.ModuleType('lazy_course'); package.__path__ = [sys.argv[1]]; "
    "sys.modules['lazy_course'] = package; from lazy_course.grading.worker import main; main()"
)
_PACKAGE = Path(__file__).resolve().parents[1]


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
