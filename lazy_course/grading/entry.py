"""How a process enters the walls that bubblewrap built around another one, and what it gives up on its way in.

The walls are bubblewrap's alone. A process joins the namespaces of the first process behind them, then gives up
every right that it had outside, and looks at itself before anything of a student's may run in it.
"""

import ctypes
import fcntl
import os
import resource
from pathlib import Path

# The namespaces of users are apart from these: the one that owns the walls is joined first, the inmost one last.
_NAMESPACES = ("mnt", "pid", "net", "ipc", "uts", "cgroup")
_OWNER = 0xB701  # NS_GET_USERNS: the namespace of users that owns a namespace
_CAPABILITIES = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
_PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 4, 24, 38, 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522


def enter(process: int) -> None:
    """Join the namespaces of `process`; those of process numbers and of users hold from the next fork on.

    OSError if the system refuses. Only for a process with a single thread.
    """
    walls = Path(f"/proc/{process}/ns")
    handles = [_open(walls / name) for name in _NAMESPACES if _apart(walls / name)]
    inmost = _open(walls / "user")
    owner = fcntl.ioctl(_open(walls / "mnt"), _OWNER)
    if not _same(owner, Path("/proc/self/ns/user")):
        _join(owner)
    for handle in handles:
        _join(handle)
    if os.fstat(inmost).st_ino != os.fstat(owner).st_ino:
        _join(inmost)


def confine(user: int | None, limits: dict[str, int]) -> None:
    """Give up every right: `limits` (names as in prlimit) hold from here on, and `user`, if given, is who runs.

    PermissionError if anything is left afterwards that a student's code must not have.
    """
    for name, value in limits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name.upper()}"), (value, value))
    number = 0
    while _prctl(_PR_CAPBSET_DROP, number) == 0:  # until there is no capability of that number
        number += 1
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _demand(_libc().capset(header, (ctypes.c_uint32 * 6)()))
    _demand(_prctl(_PR_SET_NO_NEW_PRIVS, 1))
    _demand(_prctl(_PR_SET_DUMPABLE, 1))  # or its own files in /proc belong to root
    _look(user)


def _look(user: int | None) -> None:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    status = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
    kept = [name for name in _CAPABILITIES if int(status[name][0], 16)]
    if kept or status["NoNewPrivs"] != ["1"]:
        raise PermissionError(f"rights are left behind the walls: {kept or 'NoNewPrivs'}")
    if user is not None and (set(status["Uid"] + status["Gid"]) != {str(user)} or status["Groups"]):
        raise PermissionError("a user or group of outside is left behind the walls")
    if os.access("/proc/self/exe", os.W_OK):  # the one way left to a file as it is mounted outside
        raise PermissionError("the program that Python is could be written to from behind the walls")


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _apart(path: Path) -> bool:
    """Whether the system has that kind of namespace, and this process is in another one."""
    return path.exists() and os.readlink(path) != os.readlink(f"/proc/self/ns/{path.name}")


def _same(handle: int, path: Path) -> bool:
    return os.fstat(handle).st_ino == path.stat().st_ino


def _join(handle: int) -> None:
    _demand(_libc().setns(handle, 0))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _prctl(*values: int) -> int:
    return int(_libc().prctl(*[ctypes.c_ulong(value) for value in (*values, *[0] * (5 - len(values)))]))


def _demand(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
