"""What the records say: the drop, the onset beside kappa, the table of Figure 3(b) with the published numbers."""

from typing import Any, NamedTuple

import numpy as np

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


def finite(study: Record, name: str) -> tuple[np.ndarray, np.ndarray]:
    """The scales of a study of one width, and a quantity (runs, scales) at the end of the trainings."""
    jobs = [job for job in study["jobs"] if not job["linearized"]]
    runs = sorted({job["run"] for job in jobs})
    alphas = [alpha for job in jobs if job["run"] == runs[0] for alpha in job["alphas"]]
    rows = []
    for run in runs:
        parts = [job[name] for job in jobs if job["run"] == run]
        rows.append([value[-1] if isinstance(value, list) else value for part in parts for value in part])
    return np.asarray(alphas), np.asarray(rows)


def lazy_end(study: Record, name: str) -> np.ndarray:
    """A quantity at the end of the linearized model's trainings, one number a run of a study of one width."""
    return np.asarray([job[name][0][-1] for job in study["jobs"] if job["linearized"]])


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


def slope(study: Record, name: str, low: float | int, high: float | int) -> float:
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


def onset(study: Record, measured: Record, width: float | int, samples: int = 100) -> Onset:
    """The measured onset in a study of one width beside kappa of its networks, means over repetitions."""
    alphas, values = finite(study, "remainder")
    half, tenth = (float(np.mean([crossing(alphas, row, level) for row in values])) for level in (0.5, 0.1))
    return Onset(half, tenth, kappa_of(measured, "sequence", width, samples))


def of_width(study: Record, width: float | int) -> Record:
    """The part of a study that has networks of one width."""
    return study | {"jobs": [job for job in study["jobs"] if job["width"] == width]}


class AtWidth(NamedTuple):
    """The onset at one width: kappa of the nets and the two scales of `Onset`, with test accuracies at both ends."""

    width: float
    onset: Onset
    standard: float
    linearized: float


def at_widths(trained: Record, others: Record, measured: Record, samples: int = 100) -> list[AtWidth]:
    """The onset at every width that was trained, in ascending order; means over repetitions."""
    found = []
    for record in (trained, others):
        for whole in record["studies"]:
            for width in whole["settings"]["widths"]:
                study = of_width(whole, width)
                standard = float(finite(study, "test_accuracy")[1][:, 0].mean())
                linearized = float(lazy_end(study, "test_accuracy").mean())
                found.append(AtWidth(float(width), onset(study, measured, width, samples), standard, linearized))
    return sorted(found)


def onsets(trained: Record, others: Record, measured: Record) -> str:
    """The onset at several widths beside kappa, as a table in Markdown."""
    lines = [
        "| channels | $\\kappa$, lower to upper | half off at $\\alpha$ | a tenth off at $\\alpha$ | "
        "test, $\\alpha = 1$ | test, linearized |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in at_widths(trained, others, measured):
        low, high = row.onset.kappa
        lines.append(
            f"| {row.width:g} | {low:.2g} to {high:.2g} | {row.onset.half:.2g} | {row.onset.tenth:.2g} | "
            f"{100 * row.standard:.0f} % | {100 * row.linearized:.0f} % |"
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
            part, network = of_width(study, width), _network(settings["network"], width)
            names = ("train_accuracy", "test_accuracy")
            lazy = [100 * lazy_end(part, name).mean() for name in names]
            standard = [100 * finite(part, name)[1][:, 0].mean() for name in names]
            lines.append(f"| {network}, linearized | {label} | {lazy[0]:.1f} | {lazy[1]:.1f} |")
            lines.append(f"| {network}, standard | {label} | {standard[0]:.1f} | {standard[1]:.1f} |")
        features = np.mean(study["baselines"]["random_features"], axis=0)
        lines.append(f"| random features | {label} | {100 * features[0]:.1f} | {100 * features[1]:.1f} |")
    return "\n".join(lines)


def kappas(record: Record) -> str:
    """The criterion's numbers as a table in Markdown, one row a network: means over repetitions of both ends."""
    lines = [
        "| network | inputs | parameters | $\\lVert Dh\\rVert$ | $\\lVert D^2h\\rVert$ | $\\kappa$ |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for (network, width, data, n, sharpness), rows in _groups(record).items():
        name = _network(network, width) + (f", softplus {sharpness:g}" if sharpness else "")
        first = np.mean([row["jacobian"] for row in rows])
        second, kappa = (np.mean([row[part] for row in rows], axis=0) for part in ("hessian", "kappa"))
        size = f"{rows[0]['parameters']:,}".replace(",", "\u202f")
        lines.append(
            f"| {name} | {n} {INPUTS[data]} | {size} | {first:.3g} | "
            f"{second[0]:.3g} to {second[1]:.3g} | {kappa[0]:.2g} to {kappa[1]:.2g} |"
        )
    return "\n".join(lines)


INPUTS = {"mnist1d": "sequences", "photographs": "crops"}


def _network(network: str, width: float | int) -> str:
    if network == "sequence":
        return f"1-D net, {width:g} channels"
    name = {"vgg11": "VGG-11", "resnet18": "ResNet-18"}[network]
    return f"{name}, width {width:g}" if width >= 1 else f"{name}, width 1/{1 / width:g}"


def _groups(record: Record) -> dict[tuple[Any, ...], list[Record]]:
    """The rows of a record by network, width, data, n and sharpness; repetitions together."""
    found: dict[tuple[Any, ...], list[Record]] = {}
    for row in record["rows"]:
        found.setdefault(tuple(row[part] for part in ("network", "width", "data", "n", "sharpness")), []).append(row)
    return dict(sorted(found.items()))


def kappa_of(
    record: Record, network: str, width: float | int, n: int, sharpness: float | int = 0.0
) -> tuple[float, float]:
    """Both ends of kappa of one network, means over repetitions. Raises `ValueError` if it was not measured."""
    rows = [
        row["kappa"]
        for row in record["rows"]
        if (row["network"], row["width"], row["n"], row["sharpness"]) == (network, width, n, sharpness)
    ]
    if not rows:
        raise ValueError(f"network, width, n, sharpness: no {network} of {width:g}, {n}, {sharpness:g} was measured")
    low, high = np.mean(rows, axis=0)
    return float(low), float(high)
