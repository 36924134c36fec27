"""Students' kernels, split off from a process that has loaded JAX and IPython: to load them takes most of a short run.

That process is started afresh, reads nothing that a student or an instructor wrote, and hears only that a kernel is
wanted. The process that is split off reads where. It enters the walls that stand already around a holder, a process
that does nothing but wait for the kernel's end, gives up its rights, and becomes the kernel. When the holder ends, the
system ends all that is left behind the walls.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy

from lazy_course.grading import entry

# Loaded once. Not lazy_course: to load it changes JAX's precision, which is up to each problem set.
_LOADED = (
    *("IPython.core.completer", "ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell"),
    *("jax", "jax.numpy", "scipy.integrate", "scipy.optimize"),
)
_COURSE = Path(__file__).resolve().parents[1]
_BOOT = (
    "import sys, types; del sys.path[0]; package = types.ModuleType('lazy_course'); package.__path__ = [sys.argv[1]]; "
    "sys.modules['lazy_course'] = package; from lazy_course.grading.forkserver import serve; serve()"
)
HERE = b"."  # what the holder says when the walls stand, and hears when the kernel is behind them
_KERNEL = 3  # its number there: 1 is the holder, 2 who splits the kernel off and leaves it to 1
_HOLD = f"""
import os, select, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.write(1, {HERE!r})
if os.read(1, 1):
    kernel = select.poll()
    kernel.register(os.pidfd_open({_KERNEL}), select.POLLIN)
    kernel.poll()
"""
HOLDER = (sys.executable, "-I", "-S", "-c", _HOLD)
_DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux
_running: tuple[socket.socket, subprocess.Popen[bytes]] | None = None


def start(environment: dict[str, str]) -> None:
    """Start the process that kernels are split off from, for this process and those split off from it."""
    global _running
    own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with other:
        process = subprocess.Popen(
            [sys.executable, "-s", "-c", _BOOT, str(_COURSE)],
            stdin=other.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=environment | {"OPENBLAS_NUM_THREADS": "1"},  # its threads would not survive a fork
        )
    _running = own, process


def stop() -> None:
    """End the process that kernels are split off from; those that were stay."""
    global _running
    if _running is not None:
        control, process = _running
        control.close()
        process.wait()
        _running = None


def running() -> bool:
    """Whether kernels can be split off here."""
    return _running is not None


def split(holder: int, order: dict[str, Any], timeout: float) -> None:
    """Have a kernel split off that enters the walls of the process `holder` and follows `order` (see `_become`).

    OSError if it did not get in; then nothing runs.
    """
    assert _running is not None
    own, other = socket.socketpair()
    with own:
        with other:
            socket.send_fds(_running[0], [b"."], [other.fileno()])
        own.settimeout(timeout)
        own.sendall(json.dumps({"holder": holder, **order}).encode())
        own.shutdown(socket.SHUT_WR)
        answer = own.recv(4096).decode("utf-8", "replace")
    if answer != "ready":
        raise OSError(f"a kernel could not enter its walls: {answer or 'it ended without a word'}")


def serve() -> None:
    """Wait for orders on the socket that stdin is, until it is closed, and split a process off for each."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    control = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the processes that go in between
    for name in _LOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.collect()
    gc.freeze()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        if not os.fork():
            control.close()
            _go_between(socket.socket(fileno=descriptors[0]))
            return
        os.close(descriptors[0])


def _go_between(through: socket.socket) -> None:
    """Enter the walls; only what is split off from there on is inside, and returns as the kernel."""
    try:
        with through.makefile("rb") as content:
            order = json.load(content)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        entry.enter(order["holder"])
        if between := os.fork():
            os.waitpid(between, 0)
            os._exit(0)
        if os.fork():  # a parent outside would leave it to the machine
            os._exit(0)
        if os.getpid() != _KERNEL:
            raise OSError("another process was there before")
        entry.confine(order["user"], order["limits"])
        _become(order)
        through.sendall(b"ready")
    except BaseException as error:
        with contextlib.suppress(OSError):
            through.sendall(f"{type(error).__name__}: {error}"[:4000].encode())
        os._exit(1)
    through.close()
    os.closerange(3, 256)  # the handles of the namespaces among them
    from ipykernel import kernelapp

    kernelapp.launch_new_instance(argv=order["arguments"])


def _become(order: dict[str, Any]) -> None:
    """Take on the folder, the environment and the modules of a process that was started for the kernel alone."""
    os.setsid()
    os.chdir(order["home"])
    os.environ.clear()
    os.environ.update(order["environment"], PWD=order["home"])
    for name in [name for name in sys.modules if name.partition(".")[0] == "lazy_course"]:
        del sys.modules[name]  # only a part of it was loaded
    numpy.random.seed()  # noqa: NPY002  or all kernels would draw the same numbers
    sys.argv = ["ipykernel_launcher", *order["arguments"]]
