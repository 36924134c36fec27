"""Where a long computation keeps what it has, and its record: finished parts and checkpoints, each whole or not there.

A computation has a name and presets. Its unfinished parts are in <name>-<preset>.partial/ of a chapter's folder of
data, and its record is <name>-<preset>.json beside it.
"""

import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lazy_course.files import write_atomically

Arrays = dict[str, np.ndarray]
Tell = Callable[[int, int], None]  # how much is done, of how much
T = TypeVar("T")


def quiet(done: int, of: int) -> None:
    """Say nothing."""


def chosen(presets: Mapping[str, T], preset: str) -> T:
    """The settings of a preset. Raises `ValueError` for one that does not exist."""
    if preset not in presets:
        raise ValueError(f"preset: expected one of {', '.join(presets)}, got {preset!r}")
    return presets[preset]


def load(folder: Path, name: str, preset: str) -> dict[str, Any]:
    """The record of a computation."""
    return json.loads((folder / f"{name}-{preset}.json").read_text(encoding="utf-8"))


def save(folder: Path, name: str, preset: str, described: dict[str, Any]) -> Path:
    """Put the record of a computation in its place, and remove its unfinished parts; returns the file."""
    file = folder / f"{name}-{preset}.json"
    write_atomically(file, (json.dumps({"figure": name, "preset": preset} | described) + "\n").encode())
    shutil.rmtree(folder / f"{name}-{preset}.partial", ignore_errors=True)
    return file


@contextmanager
def progress(name: str, preset: str) -> Iterator[Tell]:
    """A bar on stderr with the time gone and the time left, moved by telling it how much is done of how much."""
    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(TextColumn(f"{name} ({preset})"), *columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


class Store:
    """The folder of an unfinished computation. Another one's folder (by its settings) is emptied, not taken up."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        text = json.dumps(settings, sort_keys=True)
        mark = folder / "settings.json"
        if folder.exists() and not (mark.exists() and mark.read_text(encoding="utf-8") == text):
            shutil.rmtree(folder)
        if not mark.exists():
            write_atomically(mark, text.encode())

    def save(self, name: str, arrays: Arrays) -> None:
        """Keep arrays under a name."""
        handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".", suffix=".npz")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.folder / f"{name}.npz")
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def load(self, name: str) -> Arrays | None:
        """What was kept under a name, or None."""
        path = self.folder / f"{name}.npz"
        if not path.exists():
            return None
        with np.load(path) as found:
            return {key: found[key] for key in found.files}

    def drop(self, name: str) -> None:
        """Forget what was kept under a name."""
        (self.folder / f"{name}.npz").unlink(missing_ok=True)


def unfinished(folder: Path, name: str, preset: str, settings: object) -> Store:
    """The unfinished parts of a computation; `settings` is told apart from others by how it prints."""
    return Store(folder / f"{name}-{preset}.partial", {"name": name, "settings": repr(settings)})


def versions(*more: str) -> dict[str, str]:
    """What computed a record: Python, the machine's kind, and the packages (`more`: further ones)."""
    packages = {package: version(package) for package in ("jax", "jaxlib", "numpy", *more)}
    return {"python": platform.python_version(), "machine": platform.machine()} | packages


def digits(row: np.ndarray, count: int = 6) -> list[float]:
    """Numbers as they are committed."""
    return [float(f"{value:.{count}g}") for value in row.astype(float)]
