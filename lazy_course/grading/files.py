"""Where the course lies on disk, and files that are either whole or not there."""

import contextlib
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from lazy_course.grading.errors import GradingError

_FONTS = ".cache/matplotlib"


def course_root(folder: Path | None = None) -> Path:
    """The folder that holds `solutions/`: `folder`, else the working folder, else the one of this installation."""
    candidates = [folder] if folder else [Path.cwd(), Path(__file__).resolve().parents[2]]
    for candidate in candidates:
        if (candidate / "solutions").is_dir():
            return candidate.resolve()
    raise FileNotFoundError(
        f"no problem sets in {candidates[0]}: it has no folder solutions/; name the course's folder with --course"
    )


def sets_folder(root: Path, sets: Path | None = None) -> Path:
    """The folder with the sources <stem>.md of the problem sets: an instructor's own, `sets`, or the course's.

    GradingError if `sets` is not a folder, holds no source, or lies in the package, which students get.
    """
    if sets is None:
        return root / "solutions"
    if not sets.is_dir():
        raise GradingError(f"--sets {sets} is not a folder; it should hold a source <stem>.md for each problem set")
    if not any(sets.glob("*.md")):
        raise GradingError(f"--sets {sets} holds no <stem>.md; `lazy-course variant` makes some to begin with")
    outside_the_package(sets)
    return sets


def outside_the_package(folder: Path) -> None:
    """GradingError if `folder` lies in the installed package: students get it, and their code can read it."""
    if folder.resolve().is_relative_to(Path(__file__).resolve().parents[1]):
        raise GradingError(f"{folder} lies in the package, which students get; choose a folder outside the course")


def sources(folder: Path, stems: list[str] | None = None) -> list[Path]:
    """The source files in a folder of problem sets, all or those named; GradingError if there are none."""
    found = sorted(folder.glob("*.md"))
    wanted = [path for path in found if not stems or path.stem in stems]
    missing = set(stems or []) - {path.stem for path in found}
    if missing or not wanted:
        names = ", ".join(sorted(missing)) or "any problem set"
        raise GradingError(f"{folder} does not hold {names}; it holds {[path.stem for path in found]}")
    return wanted


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Only one process at a time: whoever reads `path` and writes it again does so in here. The system ends a lock
    with its process; the empty file beside `path` may stay."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f"{path.name}.lock"), "a") as stream:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(stream.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def file_name(student: str) -> str:
    """A student's name as a file name: plain letters, and a fingerprint where something had to be replaced."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", student)[:80]
    return plain if plain == student else f"{plain}-{hashlib.sha256(student.encode()).hexdigest()[:8]}"


def fonts_in(home: Path) -> dict[str, bytes]:
    """Matplotlib's lists of fonts in a home, by file name: what each new home would have to make again."""
    return {path.name: path.read_bytes() for path in home.glob(f"{_FONTS}/fontlist-*.json")}


def put_fonts(home: Path, fonts: dict[str, bytes]) -> None:
    """Put lists of fonts into a home."""
    for name, content in fonts.items():
        (home / _FONTS).mkdir(parents=True, exist_ok=True)
        (home / _FONTS / name).write_bytes(content)
