"""One run of nbval in a process of its own: the job comes in on stdin, one line of JSON a verdict goes out on stdout.

The pipes are the only way in and out. Stdout is moved away before anything else runs, so that neither pytest nor a
kernel can write to it. pytest gets no conftest, no plugin of the machine, no cache and the grader's own settings.
"""

import json
import os
import sys
from typing import Any

from lazy_course.grading.nbval_plugin import Graded, Job


def main() -> None:
    """Read the job, run pytest on its notebook, and say "done" last."""
    import pytest

    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    job = Job(**json.loads(sys.stdin.buffer.read()))

    def tell(line: dict[str, Any]) -> None:
        report.write(json.dumps(line) + "\n")
        report.flush()

    folder = os.path.dirname(job.notebook)
    status = pytest.main(
        [
            job.notebook,
            "--nbval",
            *("-p", "nbval.plugin", "-p", "no:cacheprovider", "--noconftest"),
            *("-c", os.path.join(folder, "pytest.ini"), "--rootdir", folder, "--confcutdir", folder),
            *("-q", "--tb=line", "--capture=no", "--color=no"),
        ],
        plugins=[Graded(job, tell)],
    )
    tell({"done": int(status)})
