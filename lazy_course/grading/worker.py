"""Runs of nbval, each in a process of its own: a job comes in through a socket, one line of JSON a verdict goes out.

The process that is started first only loads what every run needs, and splits off a new process for each job. It
reads nothing that a student wrote. The sockets are the only way in and out: stdin and stdout are closed before
anything else runs. pytest gets no conftest, no plugin of the machine, no cache and the grader's own settings.
"""

import ctypes
import gc
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from lazy_course.grading import forkserver
from lazy_course.grading.kernel import environment
from lazy_course.grading.nbval_plugin import Graded, Job

# Two of pytest's own plugins are left out that search all memory for lost errors before they end.
_PLUGINS = ("-p", "nbval.plugin", "-p", "no:cacheprovider", "-p", "no:unraisableexception", "-p", "no:threadexception")
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux


def main() -> None:
    """Wait for jobs on the socket that stdin is, until it is closed; answer each with the number of its process."""
    control = socket.socket(fileno=os.dup(0))
    silence = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1):
        os.dup2(silence, stream)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes: their sockets tell the end
    if sys.platform == "linux":
        forkserver.start(environment(Path("/")))
    pytest.main(["--markers", "-c", os.devnull, *_PLUGINS])  # loads the rest of pytest
    gc.freeze()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 4096, 2)
        if not message:
            return
        process = os.fork()
        if not process:
            control.close()
            _begin(message.decode(), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(process.to_bytes(8, "big"))


def _begin(folder: str, own: int, errors: int) -> None:
    """The life of a process that was split off: one job."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if sys.platform == "linux":  # what the grader started ends with it, however it ends
            ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
        os.setsid()
        os.chdir(folder)
        os.environ["HOME"] = folder
        os.dup2(errors, 2)
        for descriptor in (own, errors):
            os.set_inheritable(descriptor, False)
        with socket.socket(fileno=own) as through:
            _work(through)
        status = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def _work(through: socket.socket) -> None:
    """Read the job, run pytest on its notebook, and say "done" last."""
    with through.makefile("rb") as content:
        job = Job(**json.load(content))

    def tell(line: dict[str, Any]) -> None:
        through.sendall(json.dumps(line).encode() + b"\n")

    folder = os.path.dirname(job.notebook)
    status = pytest.main(
        [
            job.notebook,
            "--nbval",
            *_PLUGINS,
            "--noconftest",
            *("-c", os.path.join(folder, "pytest.ini"), "--rootdir", folder, "--confcutdir", folder),
            *("-q", "--tb=line", "--capture=no", "--color=no"),
        ],
        plugins=[Graded(job, tell)],
    )
    tell({"done": int(status)})
