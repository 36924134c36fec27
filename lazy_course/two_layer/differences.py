"""Where the text of the paper and its public code differ, and what each difference does to the numbers."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lazy_course.two_layer import experiment, readings

FILE = Path(__file__).parent / "differences.toml"
UNKNOWN = "not yet recorded"


def rows() -> list[dict[str, Any]]:
    """The rows of differences.toml: `id`, `figure`, `paper`, `code`, `effect` and `shown`."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))["difference"]


def measured(name: str) -> str:
    """What the records say on the difference of that id, in words; "" where a test shows it and no number is needed."""
    if name not in MEASURED:
        return ""
    try:
        return MEASURED[name]()
    except FileNotFoundError:
        return UNKNOWN


def start() -> str:
    """Figure 1(a, b): the share of the student along the teacher at tau = 0.1 and 2, and the training loss."""
    texts = []
    for preset in ("paper", "as-coded"):
        record = experiment.load("fig1a", preset)
        shares = [100 * readings.aligned(record, readings.case_at(record, tau)) for tau in (0.1, 2.0)]
        texts.append(" and ".join(f"{share:.0f} %" for share in shares))
    return rf"along the teacher at the end, $\tau = 0.1$ and $2$: {texts[0]} as in the text, {texts[1]} as coded"


def plateau() -> str:
    """Figure 1(c): how near the plateau is to the linearized model's loss."""
    record, linearized = experiment.load("fig1c"), experiment.load("fig1c-linearized")
    same = 100 * float(np.abs(readings.gaps(record, linearized)[-1]))
    limit = np.mean([job["test_limit"] for job in linearized["jobs"]]) / readings.band(record, "test_end").mean[-1] - 1
    after = rf"at the largest $\tau$ {same:.2f} % apart after as many steps"
    return f"{after}; trained to its limit, {100 * limit:.0f} % higher"


def teacher() -> str:
    """Figure 2(a): the end losses at the largest width for text and code, teacher of norm 1.

    The first two runs of the code's ten stand for all until all are recorded.
    """
    try:
        coded = experiment.load("fig2a", "as-coded")
    except FileNotFoundError:
        coded = experiment.load("fig2a", "as-coded-2-runs")
    texts = []
    for record in (experiment.load("fig2a"), coded):
        m, bands = readings.widths(record)
        texts.append(f"{_loss(bands['root'].mean[-1])} and {_loss(bands['mean'].mean[-1])}")
    count = coded["settings"]["runs"]
    return (
        rf"at $m = {m[-1]}$, for $1/\sqrt m$ and $1/m$: {texts[0]} as in the text, {texts[1]} as coded ({count} runs)"
    )


def runs() -> str:
    """Figure 2(b): the standard error of the mean at the largest tau, with 5 and with 10 runs."""
    texts = []
    for preset in ("paper", "as-coded-without-d"):
        found = readings.band(record := experiment.load("fig2b", preset), "test_end")
        error = found.deviation[-1] / found.mean[-1] / len(record["jobs"]) ** 0.5
        texts.append(f"{100 * error:.1f} % with {len(record['jobs'])}")
    return r"standard error of the mean at the largest $\tau$: " + ", ".join(texts)


def steps_of_2b() -> str:
    """Figure 2(b), without the factor d: plateau and midpoint against the paper's."""
    ours, coded = experiment.load("fig2b"), experiment.load("fig2b", "as-coded-without-d")
    return _beside(ours, coded, "as in the text", "as coded without the factor $d$")


def factor_d() -> str:
    """Figure 2(b), the factor d: plateau and midpoint with and without."""
    return _beside(
        experiment.load("fig2b", "as-coded-without-d"), experiment.load("fig2b", "as-coded"), "without", "with"
    )


def _beside(first: readings.Record, second: readings.Record, *names: str) -> str:
    texts = []
    for record, name in zip((first, second), names, strict=True):
        end = readings.mean_curves(record)[-1, -1]
        texts.append(f"{_loss(end)} and {readings.half_way(record):.2g} {name}")
    return r"loss at the largest $\tau$, and the $\tau$ of half of it: " + "; ".join(texts)


def last_batches() -> str:
    """Figure 2(b): by how much the average over the last tenth of the steps is above the end."""
    record, floor = experiment.load("fig2b"), float(np.mean(experiment.load("fig2b-plateau")["values"]))
    steps, curves = np.asarray(record["steps"], dtype=float), readings.mean_curves(record)
    slow = readings.still_falling(record, floor)
    means = np.array([np.trapezoid(_last_tenth(steps, curve), dx=1 / 200) for curve in curves])
    excess = means / curves[:, -1] - 1
    return (
        f"the average is up to {100 * excess[slow].max():.0f} % above the end in the slow region, and "
        rf"{100 * excess[-1]:.1f} % at the largest $\tau$"
    )


def _loss(value: float) -> str:
    return rf"${1e3 * value:.2f} \cdot 10^{{-3}}$"


def _last_tenth(steps: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """The curve at 201 places of the last tenth of the steps, its logarithm interpolated."""
    return np.exp(np.interp(np.linspace(0.9 * steps[-1], steps[-1], 201), steps, np.log(curve)))


MEASURED: dict[str, Callable[[], str]] = {
    "start": start,
    "plateau": plateau,
    "teacher": teacher,
    "runs": runs,
    "student": steps_of_2b,
    "factor-d": factor_d,
    "last-batches": last_batches,
}


def table() -> str:
    """Paper against code as MyST text: what differs, what that does, and what was measured."""
    lines = ["| figure | the text | the code | what that does | measured |", "| --- | --- | --- | --- | --- |"]
    for row in rows():
        cells = row["figure"], row["paper"], row["code"], row["effect"], measured(row["id"]) or "by a test"
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)
