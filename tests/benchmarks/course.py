"""Times what has no package to compare with: the gap between two flows, and a cold build of the book.

The peer of the gap is the plain way to it: solve both flows in the parameters with diffrax, and subtract. Of its
tolerances (powers of ten) the loosest is taken whose gap is right to 0.1 %.
"""

import functools
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import diffrax
import jax
import jax.numpy as jnp

from lazy_course import flows, losses, models

ROOT = Path(__file__).parents[2]
FLOWS = {"n": 20, "d": 5, "width": 100, "alphas": [1e2, 1e5, 1e8], "end": 10.0, "accuracy": 1e-3}
PACKAGES = ("jax", "jaxlib", "diffrax", "equinox", "jupyter-book")
MAX_STEPS = 1_000_000


def problem() -> tuple:
    """A two-layer tanh network from a symmetrized start, its loss, and the time at which the gap is read."""
    key = jax.random.key(0)
    x = jax.random.normal(key, (FLOWS["n"], FLOWS["d"]))
    params = models.init_two_layer(key, d=FLOWS["d"], m=FLOWS["width"], symmetrized=True)
    h = models.as_map(models.two_layer("tanh", scale=FLOWS["width"] ** -0.5), x, normalize=True)
    return h, params, losses.SquareLoss(jnp.ones(FLOWS["n"]) / FLOWS["n"] ** 0.5), jnp.array([FLOWS["end"]])


def here(alpha: float) -> Callable[[], jax.Array]:
    """The norm of w - w_bar at the end, by the course's solver; compiled once."""
    h, params, loss, times = problem()

    @jax.jit
    def solve() -> jax.Array:
        found, _ = flows.solve_flow_gap(h, params, loss, alpha, times)
        return flows.norm_over_time(found.parameter_gap)[-1]

    return solve


def plain(alpha: float, tolerance: float) -> Callable[[], jax.Array]:
    """The same by two solutions and a difference."""
    h, params, loss, times = problem()
    start, unravel = jax.flatten_util.ravel_pytree(params)
    push = jax.linearize(lambda w: h(unravel(w)), start)

    def solution(model: Callable) -> jax.Array:
        def field(t: jax.Array, w: jax.Array, args: None) -> jax.Array:
            del t, args
            y, pull = jax.vjp(model, w)
            return -pull(jax.grad(loss)(alpha * y))[0] / alpha

        control = diffrax.PIDController(rtol=tolerance, atol=tolerance)
        term, solver = diffrax.ODETerm(field), diffrax.Dopri8()
        done = diffrax.diffeqsolve(
            term, solver, 0.0, times[-1], None, start, stepsize_controller=control, max_steps=MAX_STEPS
        )
        return done.ys[0]

    def linearized(w: jax.Array) -> jax.Array:
        return push[0] + push[1](w - start)

    return jax.jit(lambda: jnp.linalg.norm(solution(lambda w: h(unravel(w))) - solution(linearized)))


def _seconds(run: Callable[[], jax.Array], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


@functools.cache
def gap(alpha: float, repeats: int = 5) -> dict:
    """Seconds of both ways at one alpha, after compilation, and the tolerance that the plain way needed."""
    ours = here(alpha)
    right = float(ours())
    for digits in range(4, 16):
        peer = plain(alpha, 10.0**-digits)
        found = float(peer())
        if abs(found - right) <= FLOWS["accuracy"] * right:
            seconds = {"ours": _seconds(ours, repeats), "peer": _seconds(peer, repeats)}
            return {"gap": right, "tolerance": 10.0**-digits, "seconds": {k: round(v, 5) for k, v in seconds.items()}}
    return {"gap": right, "tolerance": None, "seconds": {"ours": round(_seconds(ours, repeats), 5), "peer": None}}


def build() -> dict:
    """Seconds of a cold build of the committed tree, and of each page."""
    with tempfile.TemporaryDirectory(prefix="build") as folder:
        subprocess.run(["git", "clone", "--quiet", str(ROOT), folder], check=True)
        start = time.perf_counter()
        command = [sys.executable, "book/_sphinx/build.py"]
        environment = os.environ | {"PYTHONPATH": folder}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - start
    pages = dict(re.findall(r"executed (\S+)\.md in ([\d.]+) s", done.stdout))
    return {"seconds": round(seconds, 1), "pages": {name: float(value) for name, value in pages.items()}}


def measure(machine: dict) -> dict:
    """The part of the record."""
    return {
        "machine": machine,
        "versions": {name: version(name) for name in PACKAGES},
        "settings": FLOWS,
        "gaps": {f"{alpha:g}": gap(alpha) for alpha in FLOWS["alphas"]},
        "build": build(),
        "target": {"build": 300},
    }
