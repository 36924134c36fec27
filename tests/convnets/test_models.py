"""The networks: shapes, sizes, variances at the start, rows that do not see each other, gates and twins."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course import models as shared
from lazy_course.convnets import activations, models
from lazy_course.convolutional import convolve, init_convolutional, vgg11


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


@pytest.fixture(scope="module")
def networks():
    """Small versions of the three networks, with parameters and inputs."""
    keys = jax.random.split(jax.random.key(0), 6)
    sequence, residual, vgg = models.sequence_net(channels=6), models.resnet18(width=1 / 16), vgg11(width=1 / 16)
    return {
        "sequence": (sequence, models.init_sequence_net(keys[0], sequence), jax.random.normal(keys[1], (4, 40))),
        "resnet": (residual, models.init_resnet18(keys[2], residual, 1), jax.random.normal(keys[3], (4, 8, 8, 1))),
        "vgg": (vgg, init_convolutional(keys[4], vgg, (8, 8, 1)), jax.random.normal(keys[5], (4, 8, 8, 1))),
    }


@pytest.mark.parametrize("name", ["sequence", "resnet", "vgg"])
def test_outputs_and_centring(networks, name):
    f, params, x = networks[name]
    y = jax.jit(f)(params, x)
    assert y.shape == (4, 10)
    assert float(jnp.min(jnp.linalg.norm(y, axis=1))) > 0
    np.testing.assert_allclose(jax.jit(f)(params, x[2:3]), y[2:3], rtol=1e-9, atol=1e-12)
    h = shared.centred(shared.as_map(f, x), params)
    assert float(jnp.max(jnp.abs(h(params)))) == 0.0
    assert float(jnp.linalg.norm(shared.scaled(h, 7.0)(jax.tree.map(lambda w: 1.1 * w, params)))) > 0


def test_resnet18_has_the_published_size():
    """The 11.2 million of ResNet-18 for 32 x 32 images, with one bias where normalization had two numbers."""
    f = models.resnet18()
    params = jax.eval_shape(lambda k: models.init_resnet18(k, f), jax.random.key(0))
    # 11 173 962 with normalization, whose 4800 channels have two numbers each.
    assert count(params) == 11_173_962 - 4800
    assert jax.eval_shape(f, params, jnp.zeros((2, 32, 32, 3))).shape == (2, 10)


def test_weights_are_xavier_normal_and_biases_zero():
    f = models.sequence_net(channels=64)
    params = models.init_sequence_net(jax.random.key(3), f)
    filters = params["convolutions"][1]["filters"]
    assert float(jnp.std(filters)) == pytest.approx((2 / (3 * 128)) ** 0.5, rel=0.03)
    assert float(jnp.std(params["output"]["weights"])) == pytest.approx((2 / (320 + 10)) ** 0.5, rel=0.05)
    residual = models.init_resnet18(jax.random.key(4), models.resnet18(width=0.5), gain=1.2)
    deep = residual["stages"][3][1]["first"]["filters"]
    assert float(jnp.std(deep)) == pytest.approx(1.2 * (2 / (9 * 512)) ** 0.5, rel=0.01)
    parts = [*params["convolutions"], params["output"], residual["stages"][2][0]["shortcut"], residual["output"]]
    assert max(float(jnp.max(jnp.abs(part["bias"]))) for part in parts) == 0.0


def test_joins_keep_the_size_of_what_they_join():
    """Without the factor 2^(-1/2) the last features of eight blocks would be some 2^4 times as large."""
    f = models.resnet18(width=0.25, activation="linear")
    params = models.init_resnet18(jax.random.key(5), f)
    x = jax.random.normal(jax.random.key(6), (2, 8, 8, 3))
    y = models.strided(x, params["stem"]["filters"], 1)
    out = f(params, x)
    assert 0.05 < float(jnp.std(out) / jnp.std(y)) < 2


@pytest.mark.parametrize("size", [4, 2, 1])
def test_strided_convolutions_keep_every_second_position(size):
    x = jax.random.normal(jax.random.key(7), (2, size, size, 3))
    filters = jax.random.normal(jax.random.key(8), (3, 3, 3, 5))
    np.testing.assert_allclose(models.strided(x, filters, 2), convolve(x, filters)[:, ::2, ::2], atol=1e-10)


@pytest.mark.parametrize("name", ["sequence", "resnet", "vgg"])
def test_stability_of_activations(networks, name):
    f, params, x = networks[name]
    assert len(activations.gates(f, params, x)) == {"sequence": 3, "resnet": 17, "vgg": 8}[name]
    assert float(activations.activation_stability(f, params, params, x)) == 1.0
    if name != "resnet":
        # Doubling all weights doubles each pre-activation of a chain of layers; with shortcuts it does not.
        twice = jax.tree.map(lambda w: 2.0 * w, params)
        assert float(activations.activation_stability(f, params, twice, x)) == 1.0
    other = jax.tree.map(jnp.negative, params)
    assert 0.0 <= float(activations.activation_stability(f, params, other, x)) < 0.9


def test_stability_is_a_mean_over_layers():
    f = models.sequence_net(channels=2)
    params = models.init_sequence_net(jax.random.key(9), f)
    moved = jax.tree.map(lambda w: w, params)
    # A large bias opens every gate of the last layer and leaves the two before as they were.
    moved["convolutions"][2]["bias"] = jnp.full(2, 1e6)
    x = jax.random.normal(jax.random.key(10), (5, 40))
    share = float(jnp.mean(activations.gates(f, params, x)[2]))
    assert 0 < share < 1
    assert float(activations.activation_stability(f, params, moved, x)) == pytest.approx((2 + share) / 3)


def test_units_whose_inputs_are_off_stand_on_the_kink():
    """With a bias of zero; their change of output for a small bias is one-sided, so there is no derivative."""
    f = models.sequence_net(channels=1)
    params = models.init_sequence_net(jax.random.key(11), f)
    params["convolutions"][1]["filters"] = -jnp.ones((3, 1, 1))
    x = jax.random.normal(jax.random.key(12), (3, 40))
    assert float(activations.kink_share(f, params, x)) >= 1 / 3
    ways = []
    for sign in (1e-3, -1e-3):
        moved = {**params, "convolutions": [dict(part) for part in params["convolutions"]]}
        moved["convolutions"][2]["bias"] = jnp.full(1, sign)
        ways.append(float(jnp.linalg.norm(f(moved, x) - f(params, x))))
    assert ways[0] > 0
    assert ways[1] == 0
    params["convolutions"][2]["bias"] = jnp.ones(1)
    assert float(activations.kink_share(f, params, x)) < 1 / 3


def test_softplus_is_above_relu_by_little():
    z = jnp.linspace(-3, 3, 101)
    gap = activations.softplus(20.0)(z) - jnp.maximum(z, 0)
    assert float(jnp.min(gap)) >= 0
    assert float(jnp.max(gap)) == pytest.approx(np.log(2) / 20)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.resnet18(width=0), "width: expected a positive factor"),
        (lambda: models.sequence_net(channels=0), "channels: expected a positive integer"),
        (lambda: models.init_sequence_net(jax.random.key(0), models.sequence_net(), 7), "length: expected 8 or more"),
        (lambda: models.init_sequence_net(jax.random.key(0), models.sequence_net(), k=0), "k: expected a positive"),
        (lambda: models.init_resnet18(jax.random.key(0), models.resnet18(), k=0), "k: expected a positive"),
        (lambda: activations.softplus(0.0), "sharpness: expected a positive number"),
    ],
)
def test_bad_sizes_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
