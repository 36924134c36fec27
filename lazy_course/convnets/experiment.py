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

from lazy_course.convnets import linearized, panels, runs, scale, spectrum
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


def eigenvalues(*, preset: str = "laptop", folder: Path = DATA) -> Path:
    """Figure 7(b): the spectrum of VGG-11's tangent kernel; `laptop` is at full size too, without CIFAR-10."""
    settings = panels.chosen(spectrum.SPECTRA, preset)
    store = Store(folder / f"fig7b-{preset}.partial", {"figure": "fig7b"} | asdict(settings))
    with progress(f"fig7b ({preset})") as bar:
        task = bar.add_task("fig7b", total=None)
        found = spectrum.run(settings, store, lambda done, of: bar.update(task, completed=done, total=of))
    return written("fig7b", preset, spectrum.record(settings, found), store, folder)


def criterion(*, preset: str = "laptop", folder: Path = DATA) -> Path:
    """The inverse relative scale of the networks of this chapter, VGG-11 at full width among them."""
    settings = panels.chosen(scale.SCALES, preset)
    described = {"figure": "convnets-kappa", "groups": [asdict(group) for group in settings]}
    store = Store(folder / f"convnets-kappa-{preset}.partial", described)
    with progress(f"convnets-kappa ({preset})") as bar:
        task = bar.add_task("convnets-kappa", total=None)
        found = scale.run(settings, store, lambda done, of: bar.update(task, completed=done, total=of))
    return written("convnets-kappa", preset, scale.record(settings, found), store, folder)


def exactly(*, preset: str = "laptop", folder: Path = DATA) -> Path:
    """The linearized model of Figure 3(a) solved exactly: along its gradient flow, and at the end of it."""
    settings = panels.chosen(linearized.EXACT, preset)
    store = Store(folder / f"fig3a-exact-{preset}.partial", {"figure": "fig3a-exact"} | asdict(settings))
    with progress(f"fig3a-exact ({preset})") as bar:
        task = bar.add_task("fig3a-exact", total=None)
        found = linearized.run(settings, store, lambda done, of: bar.update(task, completed=done, total=of))
    return written("fig3a-exact", preset, linearized.record(settings, found), store, folder)


def written(name: str, preset: str, described: dict[str, Any], store: Store | None, folder: Path) -> Path:
    """Put a record in its place, and forget the unfinished parts."""
    file = folder / f"{name}-{preset}.json"
    write(file, (json.dumps({"figure": name, "preset": preset} | described) + "\n").encode())
    if store is not None:
        store.close()
    return file


REGISTRY: dict[str, Callable[..., object]] = {
    **{panel: partial(reproduce, panel) for panel in panels.PANELS},
    "fig3a-exact": exactly,
    "fig7a": losses,
    "fig7b": eigenvalues,
    "convnets-kappa": criterion,
}
