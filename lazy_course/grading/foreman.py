"""The process that the workers are split off from: started once by whoever grades, and ended with it.

To load pytest, nbval and Jupyter's client takes a third of the time of a short run, so they are loaded once. Each
worker is a process of its own all the same, and what it is split off from never sees anything of a student's.
"""

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

# A worker needs nothing of the course but its grader, and the package itself would import JAX: most of a second.
# As long takes jsonschema's optional parser of IRIs, which nbformat imports and never uses: it is said to be absent.
_BOOT = (
    "import sys, types; sys.modules['rfc3987_syntax'] = None; "
    "package = types.ModuleType('lazy_course'); package.__path__ = [sys.argv[1]]; "
    "sys.modules['lazy_course'] = package; from lazy_course.grading.worker import main; main()"
)
_PACKAGE = Path(__file__).resolve().parents[1]
_ENVIRONMENT = {
    "PATH": os.defpath,
    "LANG": "C.UTF-8",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "JUPYTER_PLATFORM_DIRS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class Foreman:
    """Starts workers; used by several threads at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: tuple[int, socket.socket, subprocess.Popen[bytes]] | None = None

    def talk(self, job: bytes, folder: Path, limit: float) -> tuple[bytes, str, bool]:
        """Give a job to a new worker: what it told, what it wrote to stderr, whether `limit` seconds were enough."""
        own, other = socket.socketpair()
        with own, other, open(folder / "errors", "w+b") as errors:
            worker = self._split(folder, other.fileno(), errors.fileno())
            other.close()
            told, in_time = bytearray(), True
            try:
                with contextlib.suppress(ConnectionError):  # it went before its time: its last line will be missing
                    own.sendall(job)
                    own.shutdown(socket.SHUT_WR)
                    for part in _parts(own, time.monotonic() + limit):
                        told += part
            except TimeoutError:
                _end(worker)
                in_time = False
            except BaseException:
                _end(worker)
                raise
            errors.seek(0)
            return bytes(told), errors.read().decode("utf-8", "replace"), in_time

    def _split(self, folder: Path, *descriptors: int) -> int:
        """The number of a new worker's process; where the one it is split off from is gone, another is started."""
        with self._lock:
            for _ in range(2):
                control = self._control()
                with contextlib.suppress(OSError):
                    socket.send_fds(control, [str(folder).encode()], list(descriptors))
                    if answer := control.recv(8):
                        return int.from_bytes(answer, "big")
                self.close()
        raise ChildProcessError("the process that starts workers ended twice")

    def _control(self) -> socket.socket:
        if self._running is None or self._running[0] != os.getpid():  # none yet, or that of a process we came from
            own, other = socket.socketpair()
            with other:
                process = subprocess.Popen(
                    [sys.executable, "-I", "-c", _BOOT, str(_PACKAGE)],
                    stdin=other.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env=_ENVIRONMENT,
                    start_new_session=True,
                )
            self._running = os.getpid(), own, process
            atexit.register(self.close)
        return self._running[1]

    def close(self) -> None:
        """End the process that starts workers, and the workers with it."""
        if self._running is not None and self._running[0] == os.getpid():
            _, control, process = self._running
            control.close()
            process.kill()
            process.wait()
            self._running = None


def _parts(own: socket.socket, deadline: float) -> Iterator[bytes]:
    """What comes through a socket until the other side closes it; TimeoutError at the deadline."""
    while True:
        own.settimeout(max(deadline - time.monotonic(), 1e-3))
        part = own.recv(2**16)
        if not part:
            return
        yield part


def _end(worker: int) -> None:
    """Kill a worker and what it started."""
    for kill in (os.killpg, os.kill):  # the second for one that has no group of its own yet
        with contextlib.suppress(ProcessLookupError, PermissionError):  # gone, and its number given away
            kill(worker, signal.SIGKILL)
            return


FOREMAN = Foreman()
