"""Two devices, simulated: the samples are spread over them, and the report is the same."""

import json
import os
import subprocess
import sys

CODE = """
import json, jax, jax.numpy as jnp
from lazy_course.report import laziness_report, spread
x = jax.random.normal(jax.random.key(0), (6, 3))
w = {"a": jax.random.normal(jax.random.key(1), (3, 8)), "b": jax.random.normal(jax.random.key(2), (8, 1))}
f = lambda w, x: jnp.tanh(x @ w["a"]) @ w["b"]
y = jax.jit(f)(w, spread(x))
found = [laziness_report(f, w, x, x[:, 0], effort="quick", devices=d, budget=20).to_json() for d in (1, 2)]
print(json.dumps({"devices": [len(a.sharding.device_set) for a in (x, spread(x), y)], "reports": found}))
"""


def test_two_devices_give_the_same_report():
    flags = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["devices"] == [1, 2, 2]
    one, two = map(json.loads, answer["reports"])
    assert one["verdict"] == two["verdict"]
    for part in ("predicted", "measured"):
        for name, value in one[part].items():
            if isinstance(value, float):
                assert abs(value - two[part][name]) <= 1e-6 * abs(value) + 1e-10, name
