"""What the records say: the drop, the onset beside kappa, the table of Figure 3(b) with the published numbers."""

from typing import Any, NamedTuple

import numpy as np

from lazy_course.convnets.figures import finite, lazy_end

Record = dict[str, Any]
# Train and test accuracy in percent on CIFAR-10, Figure 3(b) of the paper; None where it gives none.
PUBLISHED: dict[str, tuple[float | None, float]] = {
    "ResNet wide, linearized": (55.0, 56.7),
    "VGG-11 wide, linearized": (61.0, 61.7),
    "prior features": (None, 82.3),
    "random features": (None, 84.2),
    "VGG-11 wide, standard": (99.9, 89.7),
    "ResNet wide, standard": (99.4, 91.0),
}


class Drop(NamedTuple):
    """Mean accuracies over the repetitions: the smallest scale, the linearized model, and their difference."""

    standard: float
    linearized: float
    difference: float


def drop(record: Record, name: str = "test_accuracy") -> Drop:
    """Figure 3(a) in three numbers: accuracy at the smallest alpha, of the linearized model, and what is lost."""
    (study,) = record["studies"]
    standard = float(finite(study, name)[1][:, 0].mean())
    linearized = float(lazy_end(study, name).mean())
    return Drop(standard, linearized, standard - linearized)


def crossing(alphas: np.ndarray, values: np.ndarray, level: float) -> float:
    """The scale at which a quantity falls through a level, by a straight line between logarithms.

    Raises `ValueError` if it does not fall through it.
    """
    below = np.flatnonzero(values < level)
    if len(below) == 0 or below[0] == 0:
        raise ValueError(f"level: expected one between the first value and the least one, got {level}")
    i = int(below[0])
    x, y = np.log(alphas[i - 1 : i + 1]), np.log(values[i - 1 : i + 1])
    return float(np.exp(x[0] + (np.log(level) - y[0]) / (y[1] - y[0]) * (x[1] - x[0])))


def slope(study: Record, name: str, low: float, high: float) -> float:
    """The slope in log-log of a quantity's mean over repetitions, between two scales."""
    alphas, rows = finite(study, name)
    chosen = (alphas >= low) & (alphas <= high)
    return float(np.polyfit(np.log(alphas[chosen]), np.log(rows.mean(axis=0)[chosen]), 1)[0])


class Onset(NamedTuple):
    """Where laziness begins: the scale at which the trained network is half, and a tenth, off its linearization.

    `kappa` is the bracket of the inverse relative scale of the same networks at alpha = 1.
    """

    half: float
    tenth: float
    kappa: tuple[float, float]


def onset(trained: Record, measured: Record, samples: int = 100) -> Onset:
    """The measured onset on Figure 3(a) beside kappa of its networks, means over repetitions."""
    (study,) = trained["studies"]
    alphas, values = finite(study, "remainder")
    half, tenth = (float(np.mean([crossing(alphas, row, level) for row in values])) for level in (0.5, 0.1))
    width = study["settings"]["widths"][0]
    rows = [
        row["kappa"]
        for row in measured["rows"]
        if (row["network"], row["width"], row["n"], row["sharpness"]) == ("sequence", width, samples, 0.0)
    ]
    low, high = np.mean(rows, axis=0)
    return Onset(half, tenth, (float(low), float(high)))


def of_width(study: Record, width: float) -> Record:
    """The part of a study that has networks of one width."""
    return study | {"jobs": [job for job in study["jobs"] if job["width"] == width]}


def onsets(trained: Record, others: Record, measured: Record, samples: int = 100) -> str:
    """The onset at several widths beside kappa, as a table in Markdown; means over repetitions."""
    lines = [
        "| channels | $\\kappa$, lower to upper | half off at $\\alpha$ | a tenth off at $\\alpha$ | "
        "test, $\\alpha = 1$ | test, linearized |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    studies = [
        of_width(study, width)
        for record in (trained, others)
        for study in record["studies"]
        for width in study["settings"]["widths"]
    ]
    groups = _groups(measured)
    for study in sorted(studies, key=lambda part: part["jobs"][0]["width"]):
        width = study["jobs"][0]["width"]
        alphas, values = finite(study, "remainder")
        places = [np.mean([crossing(alphas, row, level) for row in values]) for level in (0.5, 0.1)]
        kappa = np.mean([row["kappa"] for row in groups["sequence", width, "mnist1d", samples, 0.0]], axis=0)
        tests = 100 * finite(study, "test_accuracy")[1][:, 0].mean(), 100 * lazy_end(study, "test_accuracy").mean()
        lines.append(
            f"| {width:g} | {kappa[0]:.2g} to {kappa[1]:.2g} | {places[0]:.2g} | {places[1]:.2g} | "
            f"{tests[0]:.0f} % | {tests[1]:.0f} % |"
        )
    return "\n".join(lines)


def table(record: Record) -> str:
    """Figure 3(b) as a table in Markdown: the published rows on CIFAR-10, then ours, labelled with data and preset."""
    lines = ["| network | data, preset | train, % | test, % |", "| --- | --- | ---: | ---: |"]
    for name, (train, test) in PUBLISHED.items():
        lines.append(f"| {name} | CIFAR-10, published | {'' if train is None else train} | {test} |")
    for study in record["studies"]:
        settings = study["settings"]
        label = f"{settings['data']}, {record['preset']}"
        for width in settings["widths"]:
            for is_lazy, kind in ((True, "linearized"), (False, "standard")):
                jobs = [job for job in study["jobs"] if (job["width"], job["linearized"]) == (width, is_lazy)]
                ends = [100 * np.mean([job[f"{part}_accuracy"][0][-1] for job in jobs]) for part in ("train", "test")]
                name = f"{settings['network']}, width {width:g}, {kind}"
                lines.append(f"| {name} | {label} | {ends[0]:.1f} | {ends[1]:.1f} |")
        features = np.mean(study["baselines"]["random_features"], axis=0)
        lines.append(f"| random features | {label} | {100 * features[0]:.1f} | {100 * features[1]:.1f} |")
    return "\n".join(lines)


def kappas(record: Record) -> str:
    """The criterion's numbers as a table in Markdown, one row a network: means over repetitions of both ends."""
    lines = [
        "| network | inputs | parameters | $\\lVert Dh\\rVert$ | $\\lVert D^2h\\rVert$ | $\\kappa$ |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for key, rows in _groups(record).items():
        network, width, data, n, sharpness = key
        name = f"1-D net, {width:g} channels" if network == "sequence" else f"VGG-11, width {_factor(width)}"
        name += f", softplus {sharpness:g}" if sharpness else ""
        first = np.mean([row["jacobian"] for row in rows])
        second, kappa = (np.mean([row[part] for row in rows], axis=0) for part in ("hessian", "kappa"))
        lines.append(
            f"| {name} | {n} {INPUTS[data]} | {rows[0]['parameters']:,} | {first:.3g} | "
            f"{second[0]:.3g} to {second[1]:.3g} | {kappa[0]:.2g} to {kappa[1]:.2g} |".replace(",", " ", 1)
        )
    return "\n".join(lines)


INPUTS = {"mnist1d": "sequences", "photographs": "crops"}


def _factor(width: float) -> str:
    return f"{width:g}" if width >= 1 else f"1/{1 / width:g}"


def _groups(record: Record) -> dict[tuple[Any, ...], list[Record]]:
    """The rows of a record by network, width, data, n and sharpness; repetitions together."""
    found: dict[tuple[Any, ...], list[Record]] = {}
    for row in record["rows"]:
        found.setdefault(tuple(row[part] for part in ("network", "width", "data", "n", "sharpness")), []).append(row)
    return dict(sorted(found.items()))
