"""The long computations of the chapter: `lazy-course reproduce fig3a --preset laptop`, and so on.

Each writes data/<figure>-<preset>.json beside this file: settings, versions and wall time beside the numbers. A run
that is stopped goes on where it was (data/<figure>-<preset>.partial/). JAX takes a GPU when it finds one.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lazy_course import store
from lazy_course.convnets import linearized, panels, runs, scale, spectrum

DATA = Path(__file__).parent / "data"


def load(name: str, preset: str = "laptop", *, folder: Path = DATA) -> dict[str, Any]:
    """The record of a computation."""
    return store.load(folder, name, preset)


def reproduce(panel: str, *, preset: str = "laptop", folder: Path = DATA) -> Path:
    """Train what a panel shows, or what is missing of it, and write its record; returns the file.

    Raises `ValueError` for an unknown preset, and as `data.load` does for data that must be downloaded.
    """
    studies = store.chosen(panels.PANELS[panel], preset)
    parts = store.unfinished(folder, panel, preset, studies)
    totals = [study.jobs * study.epochs for study in studies]
    found = []
    with store.progress(panel, preset) as tell:
        for place, study in enumerate(studies):

            def tell_all(done: int, of: int, before: int = sum(totals[:place])) -> None:
                tell(before + done, sum(totals))

            prefix = f"study-{place}-"
            found.append(runs.record(study, runs.run(study, parts, prefix=prefix, tell=tell_all)))
    return store.save(folder, panel, preset, {"studies": found})


def losses(*, preset: str = "laptop", folder: Path = DATA) -> Path:
    """Figure 7(a): the losses at the end of the trainings of Figure 3(a); they run first if their record is missing."""
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
    return store.save(folder, "fig7a", preset, described)


# Presets, what computes one, and what is committed of it: the linearized model of Figure 3(a) solved exactly, the
# spectrum of VGG-11's tangent kernel (`laptop` is at full size too, without CIFAR-10), and the criterion.
MEASUREMENTS: dict[str, tuple[Mapping[str, Any], Callable[..., Any], Callable[..., dict[str, Any]]]] = {
    "fig3a-exact": (linearized.EXACT, linearized.run, linearized.record),
    "fig7b": (spectrum.SPECTRA, spectrum.run, spectrum.record),
    "convnets-kappa": (scale.SCALES, scale.run, scale.record),
}


def measure(name: str, *, preset: str = "laptop", folder: Path = DATA) -> Path:
    """Compute one of `MEASUREMENTS`, or what is missing of it, and write its record; returns the file."""
    presets, run, record = MEASUREMENTS[name]
    settings = store.chosen(presets, preset)
    parts = store.unfinished(folder, name, preset, settings)
    with store.progress(name, preset) as tell:
        found = run(settings, parts, tell)
    return store.save(folder, name, preset, record(settings, found))


REGISTRY: dict[str, Callable[..., object]] = {
    **{panel: partial(reproduce, panel) for panel in panels.PANELS},
    "fig7a": losses,
    **{name: partial(measure, name) for name in MEASUREMENTS},
}
