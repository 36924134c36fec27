"""The long computations of the chapter: `lazy-course reproduce fig1c --preset quick`, and so on.

Each writes data/<figure>-<preset>.json beside this file: settings, versions, wall time and number of gradient
evaluations beside the numbers. A run that is stopped goes on where it was (data/<figure>-<preset>.partial/).
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lazy_course.two_layer import panels, runs
from lazy_course.two_layer.store import Store, write

DATA = Path(__file__).parent / "data"


def load(panel: str, preset: str = "paper", *, folder: Path = DATA) -> dict[str, Any]:
    """The committed record of a panel."""
    return json.loads((folder / f"{panel}-{preset}.json").read_text(encoding="utf-8"))


def reproduce(panel: str, *, preset: str = "paper", scheduler: str | None = None, folder: Path = DATA) -> Path:
    """Compute a panel, or what is missing of it, and write its record; returns the file.

    Raises `ValueError` for an unknown preset, and `ConnectionError` as `runs.on_cluster` does.
    """
    settings = panels.settings(panel, preset)
    store = Store(folder / f"{panel}-{preset}.partial", {"panel": panel} | asdict(settings))
    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(TextColumn(f"{panel} ({preset})"), *columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(panel, total=None)

        def tell(done: int, of: int) -> None:
            bar.update(task, completed=done, total=of)

        if scheduler is None:
            found = runs.here(settings, store, tell)
        else:
            found = runs.on_cluster(settings, store, scheduler, tell)
    file = folder / f"{panel}-{preset}.json"
    described = {"panel": panel, "preset": preset} | runs.record(settings, found)
    write(file, (json.dumps(described) + "\n").encode())
    store.close()
    return file


REGISTRY: dict[str, Callable[..., object]] = {panel: partial(reproduce, panel) for panel in panels.PANELS}


if __name__ == "__main__":
    print(reproduce(sys.argv[1], preset=sys.argv[2] if len(sys.argv) > 2 else "paper"))
