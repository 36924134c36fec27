r"""What the figures and the text read off the records: means and bands, where a run is lazy, where it is still falling.

A band is the mean plus and minus one standard deviation over the repetitions (with their number minus one).
"""

from typing import Any, NamedTuple

import numpy as np

Record = dict[str, Any]
NEAR = 0.05


class Band(NamedTuple):
    """Mean and standard deviation over repetitions."""

    mean: np.ndarray
    deviation: np.ndarray


def band(record: Record, name: str, *, factor: float = 1.0) -> Band:
    """Over the repetitions of a panel against tau, for each tau: "test_end", "test_best" or "train_end"."""
    rows = factor * np.asarray([job[name] for job in record["jobs"]])
    return Band(rows.mean(axis=0), rows.std(axis=0, ddof=1) if len(rows) > 1 else np.zeros(rows.shape[1]))


def taus(record: Record) -> np.ndarray:
    """The values of tau of a panel."""
    return 10.0 ** np.asarray(record["settings"]["logs"])


def kappas(record: Record, linearized: Record) -> np.ndarray:
    """The mean over repetitions of kappa at each tau: that at tau = 1 over tau^2."""
    return np.mean([job["unit_kappa"] for job in linearized["jobs"]]) / taus(record) ** 2


def lazy_from(record: Record, linearized: Record, *, near: float = NEAR) -> float:
    """The least tau from which on the mean end loss stays within a share `near` of the linearized model's."""
    gap = np.abs(band(record, "test_end").mean / band(linearized, "test_end").mean - 1)
    close = np.cumprod((gap < near)[::-1])[::-1].astype(bool)
    if not close.any():
        raise ValueError(
            f"near: expected a share that the largest tau meets, got {near}; the gap there is {gap[-1]:.3g}"
        )
    return float(taus(record)[np.argmax(close)])


def half_way(record: Record) -> float:
    """The tau where the mean end loss passes half of its greatest value, by interpolation in log tau."""
    mean, logs = band(record, "test_end").mean, np.asarray(record["settings"]["logs"])
    half = 0.5 * mean.max()
    at = int(np.argmax(mean > half))
    share = (half - mean[at - 1]) / (mean[at] - mean[at - 1])
    return float(10 ** (logs[at - 1] + share * (logs[at] - logs[at - 1])))


def widths(record: Record) -> tuple[np.ndarray, dict[str, Band]]:
    r"""Figure 2(a): the widths, and the end losses for "root" ($1/\sqrt m$) and "mean" (1/m), teacher of norm 1."""
    groups = record["settings"]["widths"]
    unit = record["settings"]["teacher_scale"] ** -2
    found: dict[str, list[np.ndarray]] = {"root": [], "mean": []}
    for start in range(0, len(record["jobs"]), len(groups)):
        ends = np.concatenate([job["test_end"] for job in record["jobs"][start : start + len(groups)]])
        found["root"].append(unit * ends[0::2])
        found["mean"].append(unit * ends[1::2])
    bands = {name: Band(np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1)) for name, rows in found.items()}
    return np.concatenate([np.asarray(group) for group in groups]), bands


def still_falling(record: Record, *, share: float = 0.1) -> np.ndarray:
    """The slow region of Figure 2(b), by rule: the mean loss fell by more than `share` over the last third of log time.

    That is from the kept measurement next to iterations^(2/3) times the first measurement's^(1/3) to the end.
    """
    steps = np.asarray(record["steps"], dtype=float)
    start = np.exp((2 * np.log(steps[-1]) + np.log(steps[1])) / 3)
    at = int(np.argmin(np.abs(np.log(np.maximum(steps, 1.0) / start))))
    curves = np.mean([job["test"] for job in record["jobs"]], axis=0)
    return curves[:, -1] < (1 - share) * curves[:, at]
