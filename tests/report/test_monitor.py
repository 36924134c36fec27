"""The monitor beside a training: what it records is right, and it takes the share of time it says."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course import models
from lazy_course.report import LazinessMonitor, parts

N, D, M = 256, 16, 256


def f(params, x):
    return jnp.tanh(x @ params["input"].T) @ params["output"].T / M**0.5


@pytest.fixture(scope="module")
def problem():
    x = jax.random.normal(jax.random.key(0), (N, D))
    y = jnp.sin(x[:, :1])
    w = models.init_two_layer(jax.random.key(1), D, M)

    @jax.jit
    def step(w):
        return jax.tree.map(lambda p, g: p - 0.5 * g, w, jax.grad(lambda v: 0.5 * jnp.mean((f(v, x) - y) ** 2))(w))

    jax.block_until_ready(step(w))
    return x, w, step


def test_each_record_is_what_the_parts_say(problem):
    x, start, step = problem
    monitor = LazinessMonitor(f, start, x[:8], samples=8, probes=3, every=5)
    w, kept = start, {}
    for i in range(11):
        if monitor(i, w):
            kept[i] = w
        w = step(w)
    assert [row.step for row in monitor.rows] == [0, 5, 10] == list(kept)
    h = models.as_map(f, x[:8])
    assert np.isnan(monitor.rows[0].gap)  # nothing has moved
    assert monitor.rows[0].jacobian_drift == 0
    for row in monitor.rows[1:]:
        gap = parts.linearization_gap(h, start, kept[row.step])
        assert row.gap == pytest.approx(float(gap.relative), rel=1e-6)
        assert row.displacement == pytest.approx(float(parts.parameter_displacement(start, kept[row.step])))
    exact = parts.jacobian_drift(h, start, kept[10], key=jax.random.key(9), probes=500)
    assert monitor.rows[-1].jacobian_drift == pytest.approx(float(exact), rel=0.7)


def test_it_takes_its_share_of_the_time_and_not_more(problem):
    x, w, step = problem
    monitor = LazinessMonitor(f, w, x)
    begin, i = time.perf_counter(), 0
    while time.perf_counter() < begin + 1.5:
        monitor(i, w)
        w, i = step(w), i + 1
    spent = sum(row.seconds for row in monitor.rows)
    total = time.perf_counter() - begin
    assert len(monitor.rows) > 2
    # The last record may be longer than the one before it, which is what it is planned from.
    assert spent <= 0.02 * total + max(row.seconds for row in monitor.rows)
    assert monitor.cost < 0.1


def test_it_draws_and_writes(problem, tmp_path, monkeypatch):
    x, w, step = problem
    shown = []

    class Handle:
        def update(self, figure):
            shown.append(figure)

    def display(figure, display_id):
        assert display_id
        shown.append(figure)
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    monitor = LazinessMonitor(f, w, x, every=1, live=True)
    with pytest.raises(ValueError, match="nothing is recorded"):
        monitor.plot()
    for i in range(4):
        monitor(i, w)
        w = step(w)
    assert len(shown) == 1  # a drawing is dear: the next must wait
    monitor._live.purse.spent = 0.0
    monitor(4, w)
    assert len(shown) == 2
    assert monitor.cost > 0
    (ax,) = shown[-1].axes
    assert len(ax.get_lines()[0].get_xdata()) == 4  # the gap at the first step is not defined
    monitor.to_csv(tmp_path / "history.csv")
    lines = (tmp_path / "history.csv").read_text().splitlines()
    assert lines[0].startswith("step,gap")
    assert len(lines) == 6
