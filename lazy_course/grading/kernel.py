"""A student's kernel: started inside an isolation, over ipc sockets, and watched while it runs a cell."""

import contextlib
import dataclasses
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from queue import Empty
from typing import Any

import psutil
import zmq
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager
from nbval.kernel import RunningKernel

from lazy_course.grading import forkserver
from lazy_course.grading.files import fonts_in, put_fonts
from lazy_course.grading.isolation import Isolation
from lazy_course.grading.sandbox import family
from lazy_course.grading.values import MIME

MAX_MESSAGE = 32 * 2**20  # bytes; a probe's message is far smaller
WATCH = 0.5  # seconds between two looks at what a kernel uses
SILENCE = 3.0  # seconds to wait for the rest of a cell's messages after its reply


class KernelLost(Exception):
    """The kernel died, or hung until it was killed; the message is a sentence for the student."""


@dataclasses.dataclass
class Outcome:
    """What one cell did that counts: its error, if any, and the probe messages that it sent."""

    error: str = ""
    payloads: list[Any] = dataclasses.field(default_factory=list)


class _OneKernelSpec(KernelSpecManager):
    def __init__(self, command: list[str]) -> None:
        super().__init__()
        self.command = command

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(argv=self.command, display_name="student", language="python")


def environment(home: Path) -> dict[str, str]:
    """All that a student's kernel learns of the grader's environment: how to find programs, and a home of its own."""
    return {
        "PATH": os.defpath,
        "HOME": str(home),
        "TMPDIR": str(home),
        "IPYTHONDIR": str(home / ".ipython"),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),  # the course that grades, not another one installed
        "JAX_PLATFORMS": "cpu",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }


class _Manager(KernelManager):
    """A manager that hands the file with the sockets' names over to the kernel's user."""

    isolation: Isolation

    def write_connection_file(self, **keywords: Any) -> None:
        super().write_connection_file(**keywords)
        self.isolation.hand_over(Path(self.connection_file))


class IsolatedKernel(RunningKernel):
    """nbval's kernel, started by an isolation in `folder` with a clean environment.

    If `split`, it is split off from a process that has loaded JAX, where there is one and walls to enter.
    """

    def __init__(self, isolation: Isolation, folder: Path, *, split: bool, startup_timeout: float = 60.0) -> None:
        # Each kernel has a folder of its own, so that the next one begins with what was there at first.
        self.own = tempfile.TemporaryDirectory(prefix="k", dir=folder, ignore_cleanup_errors=True)
        self.folder = Path(self.own.name)
        home = self.folder / "home"
        home.mkdir()
        put_fonts(home, fonts_in(folder / "home"))
        file = str(self.folder / "c.json")
        arguments = ["-f", file, "--HistoryManager.enabled=False"]
        rights = isolation.rights() if split and forkserver.running() else None
        if rights is None:
            command = isolation.wrap([sys.executable, "-s", "-m", "ipykernel_launcher", *arguments], self.folder)
        else:
            command = isolation.wrap(forkserver.HOLDER, self.folder, first=True)
        self.isolation, self.looked = isolation, 0.0
        # A message above the size is not taken in, and neither is what that connection sends until it is made again.
        context = zmq.Context()
        context.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE)
        self.km = _Manager(
            context=context,
            kernel_spec_manager=_OneKernelSpec(command),
            transport="ipc",
            ip=str(self.folder / "k"),
            connection_file=file,
        )
        self.km.isolation = isolation
        said, says = socket.socketpair()
        with said, says:
            out = subprocess.DEVNULL if rights is None else says
            self.km.start_kernel(cwd=str(home), env=environment(home), stdout=out, stderr=subprocess.DEVNULL)
            says.close()
            self.kc = self.km.client()
            self.kc.start_channels()
            try:
                if rights is not None:
                    said.settimeout(startup_timeout)
                    if said.recv(1) != forkserver.HERE:
                        raise OSError("the walls around a kernel were not built")
                    order = {"home": str(home), "environment": environment(home), "arguments": arguments, **rights}
                    forkserver.split(self._family()[-1].pid, order, startup_timeout)
                    said.sendall(forkserver.HERE)
                self.kc.wait_for_ready(timeout=startup_timeout)
            except (RuntimeError, OSError):
                self.kill()
                raise

    def kill(self) -> None:
        """End the kernel and all that it started at once, without asking."""
        left = self._family()
        self.kc.stop_channels()
        # First what the kernel's process started: inside walls that is all that is there, and the process that built
        # them clears up after it and ends. If it went first, the rest would wait to be cleared up by the machine.
        _end(left[1:], patience=1.0)
        self.km.shutdown_kernel(now=True)
        _end(left, patience=10.0)  # the next kernel needs their place
        self.km.context.destroy(linger=0)
        self.own.cleanup()

    def _family(self) -> list[psutil.Process]:
        """The process that was started for the kernel, and all that it started."""
        process = getattr(self.km.provisioner, "pid", None)
        return family(process) if process else []

    def run(self, source: str, timeout: float) -> Outcome:
        """Run one cell; KernelLost if the kernel dies or is not done after `timeout` seconds."""
        message_id = self.execute_cell_input(source, allow_stdin=False)
        outcome, deadline = Outcome(), time.monotonic() + timeout
        replied = 0.0
        while True:
            now = time.monotonic()
            if not replied and now > deadline:
                raise KernelLost(f"your code was not done after {timeout:g} seconds and was stopped: does a loop end?")
            if now > self.looked + WATCH:
                self.looked = now
                self._watch()
            if replied and now > replied + SILENCE:
                return outcome  # a flood of output can lose the message that says "idle"
            message = self._next(0.1)
            if message is None:
                if not self.is_alive():
                    raise KernelLost("your code ended the Python process that it ran in (exit, or a crash)")
                replied = replied or (time.monotonic() if self._has_replied(message_id) else 0.0)
            elif _take(message, message_id, outcome):
                return outcome
            elif replied:
                replied = min(time.monotonic(), deadline + SILENCE)

    def _watch(self) -> None:
        """KernelLost if the kernel and what it started use too much."""
        process = getattr(self.km.provisioner, "pid", None)
        excess = self.isolation.excess(process, self.folder) if process else ""
        if excess:
            raise KernelLost(excess)

    def _next(self, timeout: float) -> dict[str, Any] | None:
        try:
            return self.get_message("iopub", timeout=timeout)
        except Empty:
            return None
        except Exception:  # a student's code can put anything on the socket, also what cannot be read
            return {}

    def _has_replied(self, message_id: str) -> bool:
        try:
            message = self.get_message("shell", timeout=0)
        except Exception:  # Empty, or not readable
            return False
        return _parent(message) == message_id


def _end(processes: list[psutil.Process], patience: float) -> None:
    """Kill processes and wait until they are gone, for `patience` seconds at most."""
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=patience)


def _parent(message: dict[str, Any]) -> Any:
    parent = message.get("parent_header")
    return parent.get("msg_id") if isinstance(parent, dict) else None


def _take(message: dict[str, Any], message_id: str, outcome: Outcome) -> bool:
    """Note what counts of one message; True if it says that the cell is done. Prints and plots are let go."""
    content = message.get("content")
    if _parent(message) != message_id or not isinstance(content, dict):
        return False
    kind = message.get("msg_type")
    if kind == "status":
        return content.get("execution_state") == "idle"
    if kind == "error":
        outcome.error = f"{str(content.get('ename'))[:80]}: {str(content.get('evalue'))[:300]}"
    elif kind == "display_data" and isinstance(content.get("data"), dict) and MIME in content["data"]:
        outcome.payloads.append(content["data"][MIME])
    return False
