"""Times a step of full-batch descent of one run at n = 1000, d = 100, m = 50: a stack of ours, and loops beside it.

All sides run in turns, several rounds of three, and the least time of each side counts; a loop runs in a program of its
own. `measure` is what `make bench-descent` writes into the record.
"""

import json
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from lazy_course.two_layer import numerics, training
from tests.benchmarks import descent_peer

RUNS, STEPS, ROUNDS = 33, 100, 4
LOOPS = ("numpy", "torch", "autograd")
# How many times as long a loop was to take; that of PyTorch is the usual one.
TARGETS = {"float32": {"numpy": 1.4, "autograd": 2.5}, "float64": {"numpy": 1.0}}
AGREE = {"float32": 1e-4, "float64": 1e-9}


def ours(dtype: str, *, runs: int = RUNS, steps: int = STEPS) -> dict[str, float]:
    """Milliseconds a step and run of a stack of equal runs, and the loss of one of them; compilation not counted."""
    x, y, b, a = descent_peer.problem(np.dtype(dtype).type)
    start = numerics.Weights(jnp.repeat(b[None], runs, axis=0), jnp.repeat(a[None], runs, axis=0))
    rate = jnp.full(runs, descent_peer.STEP, dtype=dtype)
    rates, data = numerics.Rates(jnp.ones_like(rate), rate, rate), numerics.Data(*map(jnp.asarray, (x, y, x, y)))

    def run() -> numerics.Weights:
        return training.descend(start, numerics.still(start), rates, data, every=steps, count=1)[0]

    jax.block_until_ready(run())
    seconds = []
    for _ in range(3):
        begun = time.perf_counter()
        way = jax.block_until_ready(run())
        seconds.append(time.perf_counter() - begun)
    loss = float(training.measure(start, way, rates, data).train[0])
    return {"milliseconds": 1000 * min(seconds) / (steps * runs), "loss": loss}


def theirs(python: str, kind: str, dtype: str, steps: int = STEPS) -> dict:
    """What the loop of a kind says."""
    command = [python, str(Path(descent_peer.__file__)), kind, dtype, str(steps)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(torch: str, machine: dict, rounds: int = ROUNDS) -> dict:
    """The record: milliseconds of every round, the loss that each side ends with, and ratios of the least times.

    `torch` is the Python of an environment with PyTorch. ArithmeticError if the losses differ.
    """
    start = time.perf_counter()
    programs = {"numpy": sys.executable, "torch": torch, "autograd": torch}
    times: dict[str, dict[str, list[float]]] = {}
    loss: dict[str, dict[str, float]] = {}
    versions = {"ours": {name: version(name) for name in ("jax", "jaxlib")}}
    for dtype in TARGETS:
        times[dtype], loss[dtype] = {}, {}
        for _ in range(rounds):
            rows = {"ours": ours(dtype)} | {kind: theirs(programs[kind], kind, dtype) for kind in LOOPS}
            for side, row in rows.items():
                times[dtype].setdefault(side, []).append(round(row["milliseconds"], 4))
                loss[dtype][side] = row["loss"]
                versions.setdefault(side, row.get("versions"))
        demand_same(loss[dtype], AGREE[dtype])
        print(dtype, times[dtype], ratios(times[dtype]), flush=True)
    return {
        "machine": machine,
        "versions": versions,
        "settings": {"n": descent_peer.N, "d": descent_peer.D, "m": descent_peer.M, "runs": RUNS, "steps": STEPS},
        "milliseconds": times,
        "loss": loss,
        "ratios": {dtype: ratios(rows) for dtype, rows in times.items()},
        "targets": TARGETS,
        "took": round(time.perf_counter() - start, 1),
    }


def ratios(times: dict[str, list[float]]) -> dict[str, float]:
    """The least time of each loop over our least."""
    return {kind: round(min(times[kind]) / min(times["ours"]), 2) for kind in LOOPS}


def missed(record: dict) -> list[str]:
    """The ratios that are less than was asked for."""
    found, asked = record["ratios"], record["targets"]
    return [f"{dtype}, {kind}" for dtype in asked for kind in asked[dtype] if found[dtype][kind] < asked[dtype][kind]]


def demand_same(loss: dict[str, float], tolerance: float) -> None:
    """ArithmeticError if a side ends elsewhere than NumPy's loop."""
    wrong = {side: value for side, value in loss.items() if not abs(value / loss["numpy"] - 1) < tolerance}
    if wrong:
        raise ArithmeticError(f"these losses are not that of the loop in NumPy, {loss['numpy']}: {wrong}")
