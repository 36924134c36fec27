r"""What a report and a monitor cost: `lazy-course reproduce report`, or a section of it:
`python -m lazy_course.report.experiment [section ...]`.

Writes measured.json beside this file: for each section its settings, its values and its wall time, and the versions
that computed it. Sections: parameters (a report against the number of parameters), samples (against the number of
samples), monitor (what watching a training loop costs). Each report runs in a process of its own, so that its peak
memory is its own; "first" is the first report in a process, with all compilation, "again" the second.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from lazy_course.report.laziness import laziness_report
from lazy_course.report.monitor import LazinessMonitor
from lazy_course.report.networks import equinox_network
from lazy_course.sections import compute

FILE = Path(__file__).parent / "measured.json"
INPUTS, DEPTH = 64, 3
# Widths whose nets have about 1e4, 1e5, 1e6 and 1e7 parameters.
WIDTHS = (54, 205, 689, 2220)
SAMPLES = (16, 64, 256, 1024)


def load(section: str) -> dict[str, Any]:
    """The committed measurements of one section."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))[section]
    return found


def network(width: int) -> tuple[Callable[..., Array], PyTree]:
    """An equinox net in single precision: 64 inputs, three hidden tanh layers of this width, one output."""
    net = eqx.nn.MLP(INPUTS, 1, width, DEPTH, activation=jnp.tanh, key=jax.random.key(0), dtype=jnp.float32)
    return equinox_network(net)


def data(samples: int) -> tuple[Array, Array]:
    """Normal inputs (n, 64) and the signs of their first coordinate (n, 1), in single precision."""
    x = jax.random.normal(jax.random.key(1), (samples, INPUTS), dtype=jnp.float32)
    return x, jnp.sign(x[:, :1])


def one_report(width: int, samples: int, effort: str) -> dict[str, Any]:
    """Seconds of two reports in this process, and the peak memory of the process in MiB."""
    f, params = network(width)
    x, y = data(samples)
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        found = laziness_report(f, params, x, y, effort="full" if effort == "full" else "quick")
        seconds.append(round(time.perf_counter() - begin, 2))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "parameters": found.parameters, "samples": samples, "effort": effort,
        "first": seconds[0], "again": seconds[1], "peak_mib": round(peak),
    }  # fmt: skip


def _in_a_process(width: int, samples: int, effort: str) -> dict[str, Any]:
    call = f"experiment.one_report({width}, {samples}, {effort!r})"
    code = f"import json; from lazy_course.report import experiment; print(json.dumps({call}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print("  ", found, flush=True)
    return found


def parameters() -> dict[str, Any]:
    """Reports of nets with 1e4 to 1e7 parameters on 32 samples; the full effort up to 1e5."""
    values = [_in_a_process(width, 32, "quick") for width in WIDTHS]
    values += [_in_a_process(width, 32, "full") for width in WIDTHS[:2]]
    return {"settings": {"widths": WIDTHS, "samples": 32, "depth": DEPTH, "inputs": INPUTS}, "values": values}


def samples() -> dict[str, Any]:
    """Reports of a net with 1e5 parameters on 16 to 1024 samples."""
    values = [_in_a_process(WIDTHS[1], n, "quick") for n in SAMPLES]
    return {"settings": {"width": WIDTHS[1], "samples": SAMPLES, "depth": DEPTH, "inputs": INPUTS}, "values": values}


def watched(width: int, steps: int, *, batch: int = 256, every: int | None = None) -> dict[str, Any]:
    """Seconds of `steps` steps of descent on batches, without and with a monitor, and the monitor's own account."""
    f, params = network(width)
    x, y = data(batch)

    @jax.jit
    def step(params: PyTree) -> PyTree:
        gradient = jax.grad(lambda w: 0.5 * jnp.mean((f(w, x) - y) ** 2))(params)
        return jax.tree.map(lambda w, g: w - 0.05 * g, params, gradient)

    def run(monitor: LazinessMonitor | None) -> float:
        w, begin = params, time.perf_counter()
        for i in range(steps):
            w = step(w)
            if monitor is not None:
                monitor(i, w)
        jax.block_until_ready(w)
        return time.perf_counter() - begin

    jax.block_until_ready(step(params))
    alone = min(run(None) for _ in range(3))
    monitor = LazinessMonitor(f, params, x, every=every)
    beside = run(monitor)
    return {
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)), "steps": steps, "batch": batch,
        "seconds_alone": round(alone, 3), "seconds_watched": round(beside, 3), "cost": round(monitor.cost, 4),
        "records": len(monitor.rows),
        "seconds_of_a_record": sorted(row.seconds for row in monitor.rows)[len(monitor.rows) // 2],
    }  # fmt: skip


def monitor() -> dict[str, Any]:
    """The default monitor beside training loops of nets with 1e5, 1e6 and 1e7 parameters."""
    values = [watched(width, steps) for width, steps in ((WIDTHS[1], 2000), (WIDTHS[2], 500), (WIDTHS[3], 100))]
    return {"settings": {"batch": 256, "share": 0.02, "samples": 16, "probes": 1}, "values": values}


SECTIONS: dict[str, Callable[[], dict[str, Any]]] = {"parameters": parameters, "samples": samples, "monitor": monitor}


def main(names: list[str]) -> None:
    """Compute the named sections (all if none is named) and write them into measured.json."""
    compute(FILE, SECTIONS, names, packages=("jax", "equinox", "numpy"))


def run() -> None:
    """Compute all sections."""
    main([])


REGISTRY: dict[str, Callable[[], object]] = {"report": run}


if __name__ == "__main__":
    main(sys.argv[1:])
