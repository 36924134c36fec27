r"""What a report costs: `lazy-course reproduce report`, or `python -m lazy_course.report.experiment [section ...]`.

Writes measured.json beside this file: seconds and memory of the steps of a report against the number of parameters
(to $10^7$) and of samples, and the time of a monitor's record beside a step of training. Single precision. Each size
runs in a process of its own, so that its memory is its own.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from lazy_course.report import LazinessMonitor, laziness_report

FILE = Path(__file__).parent / "measured.json"
INPUTS = 64
WIDTHS = (64, 208, 680, 2200)  # two hidden layers: 8.4e3, 5.7e4, 5.1e5, 5.0e6 parameters
WIDEST = 3130  # 1.0e7 parameters
SAMPLES = (16, 64, 256, 1024)


def load(section: str) -> dict[str, Any]:
    """The committed measurements of one section."""
    return json.loads(FILE.read_text(encoding="utf-8"))[section]


def network(params: PyTree, x: Array) -> Array:
    """Two hidden tanh layers without biases, one output; params are three matrices."""
    for matrix in params[:-1]:
        x = jnp.tanh(x @ matrix)
    return x @ params[-1]


def problem(width: int, samples: int) -> tuple[list[Array], Array, Array]:
    """Weights of variance 1 / (width in), normal inputs, and a smooth target, in single precision."""
    keys = jax.random.split(jax.random.key(0), 4)
    sizes = (INPUTS, width, width, 1)
    shapes = zip(keys[:3], sizes[:-1], sizes[1:], strict=True)
    params = [jax.random.normal(k, (a, b), dtype=jnp.float32) / a**0.5 for k, a, b in shapes]
    x = jax.random.normal(keys[3], (samples, INPUTS), dtype=jnp.float32)
    return params, x, jnp.sin(2 * x[:, :1])


def cost(width: int, samples: int, effort: str) -> dict[str, Any]:
    """Seconds of a first report (with compilation) and of a second, and the largest memory of the process."""
    params, x, y = problem(width, samples)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        found = laziness_report(network, params, x, y, effort="full" if effort == "full" else "quick")
        seconds.append(round(time.perf_counter() - start, 2))
    return {
        "parameters": found.parameters,
        "samples": samples,
        "effort": effort,
        "first": seconds[0],
        "second": seconds[1],
        "memory_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "verdict": found.verdict,
    }


def apart(width: int, samples: int, effort: str) -> dict[str, Any]:
    """`cost` in a process of its own."""
    code = (
        "import json, sys; from lazy_course.report.experiment import cost; "
        "print(json.dumps(cost(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])))"
    )
    command = [sys.executable, "-c", code, str(width), str(samples), effort]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"  {found}", flush=True)
    return found


def costs() -> dict[str, Any]:
    """Against parameters at 64 samples, and against samples at width 208."""
    values = [apart(width, 64, effort) for width in WIDTHS for effort in ("quick", "full")]
    values += [apart(WIDEST, 64, "quick"), apart(WIDEST, 32, "full")]
    values += [apart(208, samples, effort) for samples in SAMPLES if samples != 64 for effort in ("quick", "full")]
    return {"settings": {"inputs": INPUTS, "hidden": 2, "dtype": "float32", "memory": 2 * 2**30}, "values": values}


def monitored(width: int = 512, batch: int = 256, seconds: float = 8.0) -> dict[str, Any]:
    """Steps a second with and without a monitor at its default, in turns; and what one record costs."""
    params, x, y = problem(width, batch)

    @jax.jit
    def step(w: PyTree) -> PyTree:
        slope = jax.grad(lambda v: jnp.mean((network(v, x) - y) ** 2))(w)
        return jax.tree.map(lambda a, g: a - 0.01 * g, w, slope)

    def paced(monitor: Callable[[int, PyTree], object]) -> float:
        w, count, start = params, 0, time.perf_counter()
        while time.perf_counter() < start + seconds / 8:
            monitor(count, w)
            w, count = step(w), count + 1
            jax.block_until_ready(w)
        return (time.perf_counter() - start) / count

    jax.block_until_ready(step(params))
    monitor = LazinessMonitor(network, params, x)
    pairs = [(paced(lambda *_: None), paced(monitor)) for _ in range(4)]
    plain, watched = (float(np.median(column)) for column in zip(*pairs, strict=True))
    return {
        "settings": {"width": width, "batch": batch, "parameters": sum(p.size for p in params), "share": 0.05},
        "step_ms": round(1e3 * plain, 3),
        "watched_ms": round(1e3 * watched, 3),
        "record_ms": round(1e3 * float(np.median([row.seconds for row in monitor.rows])), 3),
        "records": len(monitor.rows),
        "share_spent": round(sum(row.seconds for row in monitor.rows) / (seconds / 2), 4),
    }


SECTIONS: dict[str, Callable[[], dict[str, Any]]] = {"costs": costs, "monitor": monitored}


def main(names: list[str]) -> None:
    """Compute the named sections (all if none is named) and write them into measured.json."""
    unknown = set(names) - set(SECTIONS)
    if unknown:
        raise ValueError(f"section: expected some of {sorted(SECTIONS)}, got {sorted(unknown)}")
    measured = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    for name in names or SECTIONS:
        print(name, flush=True)
        start = time.perf_counter()
        measured[name] = SECTIONS[name]()
        measured[name]["seconds"] = round(time.perf_counter() - start, 1)
        measured[name]["versions"] = {package: version(package) for package in ("jax", "numpy")}
        measured[name]["machine"] = {"cores": len(os.sched_getaffinity(0)), "system": platform.system()}
        FILE.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


def run() -> None:
    """Compute all sections."""
    main([])


REGISTRY: dict[str, Callable[[], object]] = {"report": run}


if __name__ == "__main__":
    main(sys.argv[1:])
