"""The training of a stack: against descent by hand, at 10^7 without cancellation, linearized, and over two devices."""

import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.convnets import models, training
from lazy_course.linearization import linearize
from lazy_course.models import centred

RULE = training.Rule("square", 8, 0.9, 0.5, False, False, None)


@pytest.fixture(scope="module")
def scene():
    """A small net, its start, 24 sequences with classes."""
    f = models.sequence_net(channels=3)
    keys = jax.random.split(jax.random.key(1), 3)
    x = jax.random.normal(keys[1], (24, 40))
    return f, models.init_sequence_net(keys[0], f), x, jax.random.randint(keys[2], (24,), 0, 10)


def trained(scene, rule, alphas, epochs=2, rate=0.5):
    f, start, x, y = scene
    state = training.begin(start, len(alphas), rule, 3)
    scales, rates = jnp.asarray(alphas), jnp.full(len(alphas), rate)
    for t in range(epochs):
        state = training.epoch(f, rule, start, state, scales, rates, x, y, jax.random.key(t))
    return state.way, training.predict(f, start, state.way, scales, x, linear=rule.linear)


@pytest.fixture(scope="module")
def ends(scene):
    """The stack at four scales, and the linearized model, after two epochs."""
    return trained(scene, RULE, [1.0, 10.0, 1e3, 1e7]), trained(scene, RULE._replace(linear=True), [jnp.inf])


def test_a_stack_makes_the_published_steps(scene, ends):
    r"""Descent with momentum on $R(\alpha h)/\alpha^2$ in w itself, written out, from the same batches."""
    f, start, x, y = scene
    alpha, w, speed = 10.0, start, jax.tree.map(jnp.zeros_like, start)

    def objective(w, rows):
        z = alpha * (f(w, x[rows]) - f(start, x[rows]))
        return jnp.mean((z - jax.nn.one_hot(y[rows], 10)) ** 2) / alpha**2

    slope = jax.jit(jax.grad(objective))
    for t in range(2):
        order = jax.random.permutation(jax.random.split(jax.random.key(t))[0], 24).reshape(3, 8)
        for rows in order:
            speed = jax.tree.map(lambda s, g: 0.9 * s + g, speed, slope(w, rows))
            w = jax.tree.map(lambda a, s, t=t: a - 0.5 / (1 + 0.5 * t) * s, w, speed)
    found = jax.tree.map(lambda v, w0: w0 + v[1] / alpha, ends[0][0], start)
    for ours, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(w), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_the_linearized_member_is_the_linearization(scene, ends):
    f, start, x, _ = scene
    way, z = ends[1]
    step = jax.tree.map(lambda w, v: w + v[0], start, way)
    bar = linearize(centred(lambda w: f(w, x), start), start)
    np.testing.assert_allclose(z[0], bar(step), atol=1e-11)


def test_large_scales_tend_to_the_linearized_model(ends):
    """The gap falls like 1/alpha; at 10^7 what is left is rounding, as the outputs are differences of size 10^-7."""
    gaps = [float(jnp.linalg.norm(z - ends[1][1][0])) for z in ends[0][1]]
    assert gaps[0] > gaps[1] > gaps[2] > gaps[3]
    assert gaps[2] < 0.02 * gaps[0]
    assert gaps[3] < 1e-5


def test_measures_by_hand():
    z = jnp.asarray([[[2.0, 1.0], [0.0, 1.0]], [[jnp.nan, 0.0], [3.0, 0.0]]])
    seen = training.measure(z, jnp.asarray([0, 0]), "square")
    np.testing.assert_allclose(seen.accuracy, [0.5, 0.5])
    assert float(seen.loss[0]) == pytest.approx((1 + 1 + 1 + 1) / 4)
    crossed = training.measure(z[:1], jnp.asarray([0, 0]), "cross_entropy")
    assert float(crossed.loss[0]) == pytest.approx((np.log(1 + np.exp(-1)) + np.log(1 + np.exp(1))) / 2)


def test_augmented_batches_differ_from_epoch_to_epoch():
    """With augmentation the centred base is computed anew: at v = 0 the outputs stay 0 all the same."""
    from lazy_course.convolutional import convolutional, init_convolutional

    f = convolutional((2, "pool"))
    start = init_convolutional(jax.random.key(0), f, (8, 8, 1))
    x, y = jax.random.normal(jax.random.key(1), (8, 8, 8, 1)), jnp.arange(8)
    ways = []
    for augmented in (False, True):
        rule = RULE._replace(augmented=augmented)
        state = training.begin(start, 1, rule, 1)
        still = training.epoch(f, rule, start, state, jnp.ones(1), jnp.zeros(1), x, y, jax.random.key(2))
        assert max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(still.way)) == 0.0
        state = training.epoch(f, rule, start, state, jnp.ones(1), jnp.ones(1), x, y, jax.random.key(2))
        ways.append(np.asarray(state.way["output"]["weights"]))
    assert np.max(np.abs(ways[0] - ways[1])) > 1e-3


TWO_DEVICES = """\
import json, sys
import jax, jax.numpy as jnp
import lazy_course
from lazy_course.convnets import models, training

f = models.sequence_net(channels=3)
keys = jax.random.split(jax.random.key(1), 3)
x = jax.random.normal(keys[1], (24, 40))
y = jax.random.randint(keys[2], (24,), 0, 10)
start = models.init_sequence_net(keys[0], f)
rule = training.Rule("square", 8, 0.9, 0.5, False, False, training.devices_mesh(8))
state = training.begin(start, 2, rule, 3)
arguments = (f, rule, start, state, jnp.asarray([1.0, 1e7]), jnp.full(2, 0.5), x, y, jax.random.key(0))
program = training.epoch.lower(*arguments).compile().compiled.as_text()
state = training.epoch(*arguments)
leaves = [leaf.tolist() for leaf in jax.tree.leaves(state.way)]
odd = training.devices_mesh(7) is None
print(json.dumps({"devices": len(jax.devices()), "sums": program.count("all-reduce("), "leaves": leaves, "odd": odd}))
"""


def test_batches_are_divided_among_two_devices(scene):
    """On two simulated devices the program adds up gradients over devices, and comes to the same weights."""
    flags = "--xla_force_host_platform_device_count=2 --xla_backend_optimization_level=0"
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES], capture_output=True, text=True, check=True, env=environment
    )
    there = json.loads(done.stdout)
    assert there["devices"] == 2
    assert there["sums"] > 0
    assert there["odd"]
    assert training.devices_mesh(8) is None
    here, _ = trained(scene, RULE, [1.0, 1e7], epochs=1)
    for ours, theirs in zip(jax.tree.leaves(here), there["leaves"], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8)
