"""How the seconds of one kernel grow with samples, outputs, width and depth: by layers, and by Jacobians."""

import json
import time
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np

from lazy_course import kernel_blocks, kernel_plan
from lazy_course.kernels import MEMORY, tangent_kernel

BASE = {"n": 128, "k": 4, "width": 256, "depth": 3, "d": 64}
SWEEPS = {
    "n": (32, 64, 128, 256, 512, 1024),
    "k": (1, 2, 4, 8),
    "width": (64, 128, 256, 512, 1024, 2048),
    "depth": (1, 2, 4, 8),
}
# Multiply-adds beyond which a Jacobian is not waited for.
PATIENCE = 5e10


def network(params, x):
    """A ReLU network without biases; params are matrices (width in, width out)."""
    for matrix in params[:-1]:
        x = jax.nn.relu(x @ matrix)
    return x @ params[-1]


def problem(n, k, width, depth, d):
    """Weights of variance 2 / (width in) and normal inputs, in single precision; `depth` hidden layers."""
    draws = np.random.default_rng(0)
    widths = [d, *[width] * depth, k]
    pairs = pairwise(widths)
    params = [jnp.asarray(draws.standard_normal(pair) * (2 / pair[0]) ** 0.5, jnp.float32) for pair in pairs]
    return params, jnp.asarray(draws.standard_normal((n, d)), jnp.float32)


def counted(params, x, method):
    """The multiply-adds that the plan counts."""
    sizes, item = kernel_blocks.measure(network, params, x, layers=method == "layers")
    n, k = x.shape[0], params[-1].shape[1]
    found = kernel_plan.plan(sizes, kernel_plan.Request(n, n, k, 1, 1, True), MEMORY // item)
    return float("inf") if found is None else found.cost


def seconds(params, x, method, repeats):
    """Medians after compilation."""
    times = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        tangent_kernel(network, params, x, method=method).block_until_ready()
        times.append(time.perf_counter() - start)
    return float(np.median(times[1:]))


def main(repeats=5):
    """One line of JSON: settings, and for each sweep its values, seconds and counted multiply-adds."""
    found = {}
    for name, values in SWEEPS.items():
        found[name] = {"values": list(values)}
        for method in ("layers", "jacobian"):
            rows = []
            for value in values:
                params, x = problem(**{**BASE, name: value})
                count = counted(params, x, method)
                late = method == "jacobian" and count > PATIENCE
                rows.append((None, None) if late else (seconds(params, x, method, repeats), count))
            found[name][method] = {"seconds": [r[0] for r in rows], "multiply_adds": [r[1] for r in rows]}
    print(json.dumps({"settings": {**BASE, "repeats": repeats, "dtype": "float32"}, "sweeps": found}))


if __name__ == "__main__":
    main()
