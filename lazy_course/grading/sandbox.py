"""The walls around a student's kernel on Linux: bubblewrap, and limits on what it may use.

Inside there is a read-only system, the Python that grades with its packages, `lazy_course`, and one folder to write
to. There is no network, no process of the grader, no solution, no other submission and no environment of the grader.
Limits that a process keeps to itself (address space, processor time, size of a file, number of processes and open
files) are set by the kernel of the system; what only a look from outside can tell (memory of all processes together,
size of the folder) is watched while a cell runs.
"""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SETTINGS = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/alternatives", "/etc/fonts", "/etc/localtime")
_APART = ("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try")
_FIRST_USER = 700_000  # above every user of a machine; a worker takes the one that its own process id leads to
MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What one kernel may use; sizes in bytes, times in seconds."""

    address_space: int = 4096 * MIB + 256 * MIB * (os.cpu_count() or 1)  # threads reserve far more than they use
    memory: int = 3072 * MIB
    folder: int = 256 * MIB
    file: int = 64 * MIB
    files: int = 20_000
    open_files: int = 1024
    processes: int = 128 + 16 * (os.cpu_count() or 1)  # threads count
    processor: int = 3600

    def kept(self) -> dict[str, int]:
        """Those that the system keeps, under their names in prlimit."""
        return {
            "as": self.address_space,
            "cpu": self.processor,
            "fsize": self.file,
            "nofile": self.open_files,
            "nproc": self.processes,
            "core": 0,
        }


class Bubblewrap:
    """bubblewrap's walls, for root and for ordinary users alike.

    Root's processes escape the limit on their number, so where root grades, the kernel runs as a user of its own that
    owns nothing but its folder. An ordinary user's kernel runs in a namespace of users, where the limit holds.
    """

    name = "bubblewrap (no network, read-only system, limits on memory, time, processes and files)"
    limits = Limits()

    def wrap(self, command: Sequence[str], folder: Path, *, first: bool = False) -> list[str]:
        """The command that runs `command` behind the walls; `folder` is handed over to its user.

        With `first` it is process 1 there: none inside can end it, and what loses its parent is its own. Where root
        grades it stays root, without a capability, for a process that changed its user would outlive bubblewrap.
        """
        limited = ["prlimit", *(f"--{name}={value}" for name, value in self.limits.kept().items()), "--"]
        if os.geteuid() == 0:
            user = str(self.user())
            needed = () if first else ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP")
            walls = ["--cap-drop", "ALL", *_each("--cap-add", *needed)]
            identity = [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
            limited += ["setpriv", *identity, "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
            folder.chmod(0o755)  # bubblewrap, which gave up root's right to pass anywhere, has to enter it
            for path in (folder, *folder.rglob("*")):
                self.hand_over(path)
        else:
            walls = ["--unshare-user"]
        inside = ["--proc", "/proc", "--dev", "/dev", *_way_to(folder), "--bind", str(folder), str(folder)]
        closed = ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", str(folder / "home")]
        # A kernel that looks for its parent does not see it through the walls, and would end.
        kept = ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--unsetenv", "JPY_PARENT_PID"]
        kept += ["--as-pid-1"] * first
        behind = command if first else [*limited, *command]
        return ["bwrap", *walls, *_APART, *kept, *_mounts(), *inside, *closed, "--", *behind]

    def rights(self) -> dict[str, Any]:
        """What a process keeps that enters the walls: the keywords of `entry.confine`."""
        return {"user": self.user() if os.geteuid() == 0 else None, "limits": self.limits.kept()}

    def hand_over(self, path: Path) -> None:
        """Give a file to the user that the kernel runs as."""
        if os.geteuid() == 0:
            os.chown(path, self.user(), self.user(), follow_symlinks=False)

    def user(self) -> int:
        """A user for this worker's kernels only, so that no other worker's processes count towards its limit."""
        return _FIRST_USER + os.getpid() % 1_000_000

    def excess(self, process: int, folder: Path) -> str:
        """What the kernel that `process` started uses too much of, as words for the student; "" if nothing."""
        if _memory(process) > self.limits.memory:
            return f"your code used more than {self.limits.memory // MIB} MB of memory and was stopped"
        size, count = _content(folder, self.limits.files)
        if size > self.limits.folder or count > self.limits.files:
            return f"your code wrote more than {self.limits.folder // MIB} MB or {self.limits.files} files"
        return ""


def _each(option: str, *values: str) -> Iterator[str]:
    for value in values:
        yield from (option, value)


@functools.cache
def readable() -> tuple[Path, ...]:
    """The folders of this machine that a student's code can read: the system, Python, its packages, lazy_course."""
    own = [Path(sys.prefix), Path(sys.base_prefix), Path(__file__).resolve().parents[1]]
    own.append(Path(os.path.realpath(sys.executable)).parent.parent)
    return tuple(dict.fromkeys([*map(Path, _SYSTEM), *own]))


def sees(path: Path) -> bool:
    """Whether a student's code could read `path`, because it lies in a folder that is shown to it."""
    real = path.resolve()
    return any(real.is_relative_to(shown.resolve()) for shown in readable())


@functools.cache
def _mounts() -> tuple[str, ...]:
    options: list[str] = []
    for path in (*readable(), *map(Path, _SETTINGS)):
        if path.is_symlink() and str(path) in _SYSTEM:
            options += ["--symlink", os.readlink(path), str(path)]
        elif path.exists():
            options += [*_way_to(path), "--ro-bind", str(path), str(path)]
    return tuple(options)


def _way_to(path: Path) -> Iterator[str]:
    """Make the folders above `path` such that every user can pass through; bubblewrap itself makes them private."""
    for folder in list(path.parents)[-2::-1]:
        yield from ("--perms", "0755", "--dir", str(folder))


def _memory(process: int) -> int:
    """Bytes of memory of a process and all that it started; what several of them share counts once (PSS)."""
    return sum(map(_share, family(process)))


def family(process: int) -> list[psutil.Process]:
    """A process and all that it started, directly or not; [] if it is gone."""
    try:
        return [psutil.Process(process), *psutil.Process(process).children(recursive=True)]
    except psutil.Error:
        return []


def _share(member: psutil.Process) -> int:
    try:
        return int(member.memory_full_info().pss)
    except psutil.Error:  # it ended between two looks
        return 0


def _content(folder: Path, most: int) -> tuple[int, int]:
    """Bytes and number of files below `folder`, counted until there are more than `most`; links are not followed."""
    size, count, waiting = 0, 0, [folder]
    while waiting and count <= most:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    count += 1
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    if count > most:
                        break
        except OSError:  # removed, or closed by its owner
            continue
    return size, count


def trouble() -> str:
    """Why there is no sandbox on this machine, and what to do; "" if there is one."""
    if not sys.platform.startswith("linux"):
        return (
            "there is no sandbox on this system (bubblewrap needs Linux), so students' code would run with your "
            "rights; grade in a Linux container or virtual machine (on Windows, WSL 2), or accept the risk with "
            "--no-sandbox"
        )
    for program, package in (("bwrap", "bubblewrap"), ("prlimit", "util-linux"), ("setpriv", "util-linux")):
        if shutil.which(program) is None:
            return (
                f"{program} is not installed, and without it students' code would run with your rights; install the "
                f"package {package} (Debian, Ubuntu: apt-get install {package}), or accept the risk with --no-sandbox"
            )
    return _probed()


@functools.cache
def _probed() -> str:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="lc") as temporary:
        folder = Path(temporary) / "s"
        (folder / "home").mkdir(parents=True)
        command = Bubblewrap().wrap(["true"], folder)
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    said = " ".join(done.stderr.split())[:200] or f"status {done.returncode}"
    return (
        f"bubblewrap does not work here ({said}); on Ubuntu 24.04 and later ordinary users need an AppArmor profile "
        "that allows user namespaces to bwrap (package apparmor-profiles), in a container --privileged or a seccomp "
        "profile that allows them; or accept the risk with --no-sandbox"
    )
