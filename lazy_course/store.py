"""Where a long computation keeps what it has: finished parts and the last checkpoint, each written whole or not."""

import json
import os
import platform
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def write(path: Path, content: bytes) -> None:
    """Put a file in its place in one step: whoever reads it finds the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


class Store:
    """The folder of an unfinished computation. Another one's folder (by its settings) is emptied, not taken up."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self.folder = folder
        text = json.dumps(settings, sort_keys=True)
        mark = folder / "settings.json"
        if folder.exists() and not (mark.exists() and mark.read_text(encoding="utf-8") == text):
            shutil.rmtree(folder)
        if not mark.exists():
            write(mark, text.encode())

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

    def close(self) -> None:
        """Remove the folder: the computation is finished and recorded."""
        shutil.rmtree(self.folder, ignore_errors=True)


def versions(*more: str) -> dict[str, str]:
    """What computed a record: Python, the machine's kind, and the packages (`more`: further ones)."""
    packages = {package: version(package) for package in ("jax", "jaxlib", "numpy", *more)}
    return {"python": platform.python_version(), "machine": platform.machine()} | packages


def digits(row: np.ndarray, count: int = 6) -> list[float]:
    """Numbers as they are committed."""
    return [float(f"{value:.{count}g}") for value in row.astype(float)]
