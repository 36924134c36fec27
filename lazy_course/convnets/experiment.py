"""The long computations of the chapter: `lazy-course reproduce fig3a --preset laptop`, and so on.

Each writes data/<figure>-<preset>.json beside this file: settings, versions and wall time beside the numbers. A run
that is stopped goes on where it was (data/<figure>-<preset>.partial/). JAX takes a GPU when it finds one.
"""

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from lazy_course.convnets import panels, runs
from lazy_course.store import Store, write

DATA = Path(__file__).parent / "data"


def load(name: str, preset: str = "laptop", *, folder: Path = DATA) -> dict[str, Any]:
    """The record of a computation."""
    return json.loads((folder / f"{name}-{preset}.json").read_text(encoding="utf-8"))


def reproduce(panel: str, *, preset: str = "laptop", folder: Path = DATA) -> Path:
    """Train what a panel shows, or what is missing of it, and write its record; returns the file.

    Raises `ValueError` for an unknown preset, and as `data.load` does for data that must be downloaded.
    """
    studies = panels.chosen(panels.PANELS[panel], preset)
    store = Store(folder / f"{panel}-{preset}.partial", {"panel": panel, "studies": [asdict(s) for s in studies]})
    totals = [study.jobs * study.epochs for study in studies]
    found = []
    with progress(f"{panel} ({preset})") as bar:
        task = bar.add_task(panel, total=sum(totals))
        for place, study in enumerate(studies):

            def tell(done: int, of: int, before: int = sum(totals[:place])) -> None:
                bar.update(task, completed=before + done)

            parts = runs.run(study, store, prefix=f"study-{place}-", tell=tell)
            found.append(runs.record(study, parts))
    return written(panel, preset, {"studies": found}, store, folder)


def progress(title: str) -> Progress:
    """A bar on stderr with the time gone and the time left."""
    columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    return Progress(TextColumn(title), *columns, console=Console(stderr=True))


def losses(*, preset: str = "laptop", folder: Path = DATA) -> Path:
    """Figure 7(a): the losses at the end of the trainings of Figure 3(a); they run first if their record is missing."""
    panels.chosen(panels.PANELS["fig3a"], preset)
    if not (folder / f"fig3a-{preset}.json").exists():
        reproduce("fig3a", preset=preset, folder=folder)
    (study,) = load("fig3a", preset, folder=folder)["studies"]
    rows = [
        {
            "alpha": alpha,
            "run": job["run"],
            "train": job["train_loss"][r][-1],
            "test": job["test_loss"][r][-1],
        }
        for job in study["jobs"]
        for r, alpha in enumerate(job["alphas"] or ["linearized"])
    ]
    described = {"from": f"fig3a-{preset}", "settings": study["settings"], "versions": study["versions"], "rows": rows}
    return written("fig7a", preset, described, None, folder)


def written(name: str, preset: str, described: dict[str, Any], store: Store | None, folder: Path) -> Path:
    """Put a record in its place, and forget the unfinished parts."""
    file = folder / f"{name}-{preset}.json"
    write(file, (json.dumps({"figure": name, "preset": preset} | described) + "\n").encode())
    if store is not None:
        store.close()
    return file


REGISTRY: dict[str, Callable[..., object]] = {
    **{panel: partial(reproduce, panel) for panel in panels.PANELS},
    "fig7a": losses,
}
