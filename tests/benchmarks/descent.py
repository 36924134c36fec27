"""Times a step of full-batch descent of one run at n = 1000, d = 100, m = 50: a stack of ours, and loops beside it.

`python -m tests.benchmarks.descent [--peer PYTHON]`: PYTHON is that of an environment with PyTorch. All sides run in
turns, three rounds, and each side's least time counts. With a peer it writes lazy_course/two_layer/data/speed.json.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from lazy_course.store import versions, write
from lazy_course.two_layer import numerics, training
from lazy_course.two_layer.experiment import DATA
from tests.benchmarks import descent_peer

RUNS, STEPS, ROUNDS = 33, 100, 3


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


def main() -> None:
    """Measure, print, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", help="Python of an environment with PyTorch")
    peer = parser.parse_args().peer
    sides = [("numpy", sys.executable)] + [(kind, peer) for kind in ("torch", "autograd") if peer]
    found: dict[str, dict[str, dict]] = {}
    for dtype in ("float32", "float64"):
        for _ in range(ROUNDS):
            rows = {"ours": ours(dtype)} | {kind: theirs(python, kind, dtype) for kind, python in sides}
            for name, row in rows.items():
                best = found.setdefault(dtype, {}).setdefault(name, row)
                best["milliseconds"] = min(best["milliseconds"], row["milliseconds"])
        for name, row in found[dtype].items():
            ratio = row["milliseconds"] / found[dtype]["ours"]["milliseconds"]
            times = f"{row['milliseconds']:.3f} ms a step and run, {ratio:.2f} x ours"
            print(f"{dtype} {name}: {times}, loss {row['loss']:.8g}")
    if peer:
        machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
        sizes = {"n": descent_peer.N, "d": descent_peer.D, "m": descent_peer.M, "runs": RUNS, "steps": STEPS}
        record = {"settings": sizes, "machine": machine, "versions": versions(), "values": found}
        write(DATA / "speed.json", (json.dumps(record) + "\n").encode())


if __name__ == "__main__":
    main()
