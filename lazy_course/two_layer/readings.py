r"""What the figures and the text read off the records: means and bands, where a run is lazy, where it is still falling.

A band is the mean plus and minus one standard deviation over the repetitions (with their number minus one).
"""

from typing import Any, NamedTuple

import numpy as np

Record = dict[str, Any]
NEAR = 0.05  # a share of the linearized model's loss
ANGLE = 10.0  # degrees


class Band(NamedTuple):
    """Mean and standard deviation over repetitions."""

    mean: np.ndarray
    deviation: np.ndarray


def band(record: Record, name: str, *, factor: float = 1.0) -> Band:
    """Over the repetitions of a panel against tau, for each tau: "test_end", "test_best" or "train_end"."""
    return _band(factor * np.asarray([job[name] for job in record["jobs"]]))


def _band(rows: np.ndarray) -> Band:
    return Band(rows.mean(axis=0), rows.std(axis=0, ddof=1) if len(rows) > 1 else np.zeros(rows.shape[1]))


def taus(record: Record) -> np.ndarray:
    """The values of tau of a panel."""
    return 10.0 ** np.asarray(record["settings"]["logs"])


def kappas(record: Record, linearized: Record) -> np.ndarray:
    """The mean over repetitions of kappa at each tau: that at tau = 1 over tau^2."""
    return np.mean([job["unit_kappa"] for job in linearized["jobs"]]) / taus(record) ** 2


def lazy_from(record: Record, linearized: Record, *, near: float = NEAR) -> float:
    """The least tau from which on the mean end loss stays within a share `near` of the linearized model's.

    Raises `ValueError` if not even the largest tau is as near.
    """
    gap = np.abs(gaps(record, linearized))
    close = np.cumprod((gap < near)[::-1])[::-1].astype(bool)
    if not close.any():
        raise ValueError(
            f"near: expected a share that the largest tau meets, got {near}; the gap there is {gap[-1]:.3g}: raise it"
        )
    return float(taus(record)[np.argmax(close)])


def gaps(record: Record, linearized: Record) -> np.ndarray:
    """Mean end loss over the linearized model's mean end loss, minus 1, at each tau."""
    return band(record, "test_end").mean / band(linearized, "test_end").mean - 1


def half_way(record: Record, *, factor: float = 1.0) -> float:
    """The tau where the mean end loss passes half of its value at the largest tau, by interpolation in log tau."""
    mean, logs = factor * band(record, "test_end").mean, np.asarray(record["settings"]["logs"])
    half = 0.5 * mean[-1]
    at = int(np.argmax(mean > half))
    share = (half - mean[at - 1]) / (mean[at] - mean[at - 1])
    return float(10 ** (logs[at - 1] + share * (logs[at] - logs[at - 1])))


def steepest(record: Record) -> tuple[float, float]:
    """Where the mean end loss grows fastest with log tau: the two neighbouring tau between which it does."""
    at = int(np.argmax(np.diff(band(record, "test_end").mean)))
    found = taus(record)
    return float(found[at]), float(found[at + 1])


def widths(record: Record, name: str = "test_end") -> tuple[np.ndarray, dict[str, Band]]:
    r"""Figure 2(a): the widths, and a loss for "root" ($1/\sqrt m$) and "mean" (1/m), teacher of norm 1."""
    groups = record["settings"]["widths"]
    unit = record["settings"]["teacher_scale"] ** -2
    found: dict[str, list[np.ndarray]] = {"root": [], "mean": []}
    for start in range(0, len(record["jobs"]), len(groups)):
        ends = np.concatenate([job[name] for job in record["jobs"][start : start + len(groups)]])
        found["root"].append(unit * ends[0::2])
        found["mean"].append(unit * ends[1::2])
    bands = {name: _band(np.asarray(rows)) for name, rows in found.items()}
    return np.concatenate([np.asarray(group) for group in groups]), bands


def unit_factor(record: Record) -> float:
    """What turns losses of a panel into those of a teacher of norm 1."""
    return float(record["settings"]["teacher_scale"] ** -2)


def mean_curves(record: Record) -> np.ndarray:
    """The mean over repetitions of the test loss along training (taus, times), teacher of norm 1."""
    return unit_factor(record) * np.mean([job["test"] for job in record["jobs"]], axis=0)


def fallen(record: Record) -> np.ndarray:
    """The share by which the mean test loss fell over the second half of the steps, at each tau."""
    steps, curves = np.asarray(record["steps"]), mean_curves(record)
    middle = int(np.argmin(np.abs(steps - steps[-1] / 2)))
    return 1 - curves[:, -1] / curves[:, middle]


def still_falling(record: Record, floor: float, *, share: float = 0.1, small: float = 0.01) -> np.ndarray:
    """The slow region of Figure 2(b), by rule: over the second half of the steps the mean loss fell by more than
    `share`, and it ends above `small` times `floor`, the least loss of the linearized model."""
    return (fallen(record) > share) & (mean_curves(record)[:, -1] > small * floor)


def evaluations(record: Record, road: Record) -> tuple[int, int]:
    """Gradient evaluations of plain descent and of a faster road, over the repetitions that the road took."""
    spent = np.asarray([job["evaluations"] for job in road["jobs"]])
    return int(record["settings"]["iterations"] * spent.size), int(spent.sum())


def road_gaps(record: Record, road: Record) -> tuple[np.ndarray, np.ndarray]:
    """End loss of the road over plain descent's, minus 1: of the means over repetitions (taus,), and of every run."""
    plain = np.asarray([job["test_end"] for job in record["jobs"][: len(road["jobs"])]])
    there = np.asarray([job["test_end"] for job in road["jobs"]])
    return there.mean(axis=0) / plain.mean(axis=0) - 1, there / plain - 1


def aligned(record: Record, case: int, *, at: int = -1, angle: float = ANGLE) -> float:
    r"""The share of $\sum_j |a_j| \|b_j\|$ in neurons within `angle` degrees of a teacher's arrow of their own sign.

    `at` is the index of a kept time, the end by default; only the end has recorded signs.
    """
    positions, signs = np.asarray(record["positions"])[at, case], np.asarray(record["signs"])[case]
    sizes = np.linalg.norm(positions, axis=1)
    cosines = positions @ np.asarray(record["teacher"]).T / np.maximum(sizes, 1e-12)[:, None]
    own = signs[:, None] == np.asarray(record["teacher_signs"])[None, :]
    near = np.any(own & (cosines > np.cos(np.radians(angle))), axis=1)
    return float(np.sum(sizes * near) / np.sum(sizes))


def case_at(record: Record, tau: float) -> int:
    """The index of the case of a record of trajectories whose tau is nearest."""
    return int(np.argmin([abs(log - np.log10(tau)) for log, _ in record["settings"]["cases"]]))
