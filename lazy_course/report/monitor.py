"""A callback for a training loop of one's own: drift and gap every few steps, at a bounded share of the time."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from lazy_course import models
from lazy_course.models import AnyKey
from lazy_course.report import inputs, parts

if TYPE_CHECKING:
    from matplotlib.figure import Figure


DRAWING = 0.1  # share of the time for drawing while the training runs


class Row(NamedTuple):
    r"""One record. `gap` is $\|h(w) - \bar h(w)\|/\|h(w) - h(w_0)\|$ on the probe, `jacobian_drift` an estimate of
    $\|Dh(w) - Dh(w_0)\|_F/\|Dh(w_0)\|_F$ there; `seconds` is what the record cost."""

    step: int
    gap: float
    jacobian_drift: float
    displacement: float
    relative_displacement: float
    seconds: float


class LazinessMonitor:
    r"""Call it after each step of training, `monitor(step, params)`: it records what a report calls gap and drift.

    They are measured on a probe, `samples` rows drawn from x with `key`, against w0 = `params`. A record costs about
    five forward and `probes` backward passes over the probe, and holds `probes` + 1 copies of the parameters.

    `every`: record each so many steps. By default (None) as often as the records take at most `share` of the time
    (2 %): a record at the first step, and the next when the training has run long enough since. A call that does not
    record costs a comparison: it does not wait for the step to end. A record waits for it, and only then
    starts its own clock, so what counts is the monitor's own work. Compilation happens here, in the
    constructor.

    `live`: in JupyterLab, draw the history below the cell, and draw it again as it grows. That is dear, and may take
    `DRAWING` (10 %) of the time beside the records' share.
    `rows` are the records, `plot()` draws them, `to_csv()` writes them.

    Raises `ValueError` as `laziness_report` does for f, params and x, and for an option that is not positive.
    """

    def __init__(
        self,
        f: Callable[..., Array],
        params: PyTree,
        x: Any,
        *,
        key: AnyKey | None = None,
        samples: int = 16,
        probes: int = 1,
        every: int | None = None,
        share: float = 0.02,
        live: bool = False,
    ) -> None:
        problem = inputs.checked(f, params, x, None)
        for name, value in (("samples", samples), ("probes", probes), ("every", 1 if every is None else every)):
            if value < 1:
                raise ValueError(f"{name}: expected a positive integer, got {value}")
        if not 0 < share <= 1:
            raise ValueError(f"share: expected a share of the time between 0 and 1, got {share}")
        key_rows, key_probes = jax.random.split(jax.random.key(0) if key is None else key)
        count = min(samples, problem.x.shape[0])
        chosen = np.asarray(jax.random.choice(key_rows, problem.x.shape[0], (count,), replace=False))
        h = models.as_map(problem.f, problem.x[chosen])
        # A copy: a training loop may give its own parameters away (donate them).
        start = jax.tree.map(jnp.copy, problem.params)
        self._probe = _start(h, start, jax.random.normal(key_probes, (probes, count * problem.outputs)))
        self._measure = _row
        jax.block_until_ready(self._measure(self._probe, start))
        self._size = float(optax.tree.norm(start))
        self.every, self.share, self.rows = every, share, list[Row]()
        self._records = _Purse(share)
        self._live = _Live(self) if live else None

    def __call__(self, step: int, params: PyTree) -> bool:
        """Record, if it is time to; True if it was."""
        if not self._is_due(step):
            return False
        jax.block_until_ready(params)
        begin = self._records.open()
        gap, drift, displacement = (float(value) for value in self._measure(self._probe, params))
        size = displacement / self._size if self._size > 0 else np.inf
        self.rows.append(Row(int(step), gap, drift, displacement, size, time.perf_counter() - begin))
        self._records.close(begin)
        if self._live is not None:
            self._live.draw()
        return True

    def _is_due(self, step: int) -> bool:
        if self.every is not None:
            return step % self.every == 0
        return self._records.allows()

    @property
    def cost(self) -> float:
        """The share of the time since the first record that the records took; nan before it."""
        spent = self._records.spent + (0.0 if self._live is None else self._live.purse.spent)
        return spent / (time.perf_counter() - self._records.began)

    def plot(self) -> "Figure":
        """The history as a figure; raises `ValueError` if nothing is recorded."""
        from lazy_course.report import figures

        if not self.rows:
            raise ValueError("rows: nothing is recorded yet; call the monitor in the training loop")
        return figures.history(self)

    def to_csv(self, path: str | Path) -> None:
        """Write the history as a table with a line of names."""
        lines = [",".join(Row._fields), *(",".join(map(repr, row)) for row in self.rows)]
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")


class _Probe(NamedTuple):
    """h on the probe, its value at w0, and w0 with the gradients of the probes' outputs."""

    h: models.BatchMap
    params0: PyTree
    draws: Array
    gradients: PyTree


@eqx.filter_jit
def _start(h: models.BatchMap, params: PyTree, draws: Array) -> _Probe:
    y, pull = jax.vjp(h, params)
    draws = draws.astype(y.dtype)
    return _Probe(h, params, draws, jax.vmap(lambda g: pull(g)[0])(draws))


@eqx.filter_jit
def _row(probe: _Probe, params: PyTree) -> tuple[Array, Array, Array]:
    gap = parts.linearization_gap(probe.h, probe.params0, params)
    _, pull = jax.vjp(probe.h, params)
    moved = parts.difference(jax.vmap(lambda g: pull(g)[0])(probe.draws), probe.gradients)
    drift = optax.tree.norm(moved) / optax.tree.norm(probe.gradients)
    return gap.relative, drift, parts.parameter_displacement(probe.params0, params)


class _Purse:
    """Time to spend: at most `share` of the time since the first use, the next use as dear as the last included."""

    def __init__(self, share: float) -> None:
        # The clock starts at the first use: what is compiled before it must not be taken for training.
        self.share, self.began, self.spent, self._last = share, float("nan"), 0.0, 0.0

    def allows(self) -> bool:
        return self.spent == 0.0 or time.perf_counter() >= self.began + (self.spent + self._last) / self.share

    def open(self) -> float:
        now = time.perf_counter()
        self.began = now if self.spent == 0.0 else self.began
        return now

    def close(self, begin: float) -> None:
        self._last = time.perf_counter() - begin
        self.spent += self._last


class _Live:
    """The figure below the cell; it is drawn again when its purse allows, and not before there are two records."""

    def __init__(self, monitor: LazinessMonitor) -> None:
        from IPython.display import display

        from lazy_course.report import figures

        self._display, self._history = display, figures.history
        self._monitor, self._handle, self.purse = monitor, None, _Purse(DRAWING)
        # The first drawing loads fonts: that is no part of the training.
        self._history(monitor).savefig(io.BytesIO(), format="png")

    def draw(self) -> None:
        if len(self._monitor.rows) < 2 or not self.purse.allows():
            return
        begin = self.purse.open()
        figure = self._history(self._monitor)
        if self._handle is None:
            self._handle = self._display(figure, display_id=True)
        else:
            self._handle.update(figure)
        self.purse.close(begin)
