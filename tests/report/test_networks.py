"""The same network as a function, and in equinox, flax.linen, flax.nnx and haiku's style: one report."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.report import apply_network, equinox_network, laziness_report, linen_network, nnx_network

D, M, K, N = 3, 8, 2, 5


@pytest.fixture(scope="module")
def weights():
    keys = jax.random.split(jax.random.key(2), 4)
    shapes = {"w1": (D, M), "b1": (M,), "w2": (M, K), "b2": (K,)}
    return {name: jax.random.normal(k, shape) for k, (name, shape) in zip(keys, shapes.items(), strict=True)}


@pytest.fixture(scope="module")
def data():
    x = jax.random.normal(jax.random.key(3), (N, D))
    return x, jnp.stack([jnp.sin(x[:, 0]), x[:, 1]], axis=1)


def plain(w, x):
    return jnp.tanh(x @ w["w1"] + w["b1"][None]) @ w["w2"] + w["b2"][None]


@pytest.fixture(scope="module")
def expected(weights, data):
    return laziness_report(plain, weights, *data, effort="quick")


def agree(found, expected):
    """The order of the leaves differs, so the random probe does; everything else is the same."""
    assert found.parameters == expected.parameters
    np.testing.assert_allclose(found.eigenvalues, expected.eigenvalues, rtol=1e-8)
    for field in ("time", "displacement", "gap", "curvature_gap", "kernel_drift", "loss_left"):
        assert getattr(found.predicted, field) == pytest.approx(getattr(expected.predicted, field), rel=1e-6), field
    assert found.verdict == expected.verdict


class Doubled(eqx.Module):
    """A module with numbers that are not trained."""

    inner: eqx.nn.MLP
    factor: int

    def __call__(self, row):
        return self.factor * self.inner(row) / 2


def test_equinox(weights, data, expected):
    net = eqx.nn.MLP(D, K, M, 1, activation=jnp.tanh, key=jax.random.key(0))
    leaves = [weights["w1"].T, weights["b1"], weights["w2"].T, weights["b2"]]
    net = eqx.tree_at(lambda m: [a for layer in m.layers for a in (layer.weight, layer.bias)], net, leaves)
    agree(laziness_report(*equinox_network(Doubled(net, 2)), *data, effort="quick"), expected)


def test_linen(weights, data, expected):
    linen = pytest.importorskip("flax.linen")

    class Net(linen.Module):
        @linen.compact
        def __call__(self, x):
            hidden = linen.Dense(M, param_dtype=jnp.float64)(x)
            return linen.Dense(K, param_dtype=jnp.float64)(jnp.tanh(hidden))

    variables = {
        "params": {
            "Dense_0": {"kernel": weights["w1"], "bias": weights["b1"]},
            "Dense_1": {"kernel": weights["w2"], "bias": weights["b2"]},
        }
    }
    with jax.numpy_rank_promotion("allow"):  # flax adds a bias (M,) to (n, M)
        agree(laziness_report(*linen_network(Net(), variables), *data, effort="quick"), expected)


def test_nnx(weights, data, expected):
    nnx = pytest.importorskip("flax.nnx")

    class Net(nnx.Module):
        def __init__(self, rngs):
            self.first = nnx.Linear(D, M, rngs=rngs, param_dtype=jnp.float64)
            self.second = nnx.Linear(M, K, rngs=rngs, param_dtype=jnp.float64)

        def __call__(self, x):
            return self.second(jnp.tanh(self.first(x)))

    net = Net(nnx.Rngs(0))
    with jax.numpy_rank_promotion("allow"):
        f, params = nnx_network(net)
        params["first"]["kernel"], params["first"]["bias"] = weights["w1"], weights["b1"]
        params["second"]["kernel"], params["second"]["bias"] = weights["w2"], weights["b2"]
        agree(laziness_report(f, params, *data, effort="quick"), expected)


def test_haiku_style(weights, data, expected):
    """haiku's apply(params, rng, x), with its dictionaries of modules; haiku itself is not needed for it."""
    params = {
        "mlp/~/linear_0": {"w": weights["w1"], "b": weights["b1"]},
        "mlp/~/linear_1": {"w": weights["w2"], "b": weights["b2"]},
    }

    def apply(params, rng, x):
        first, second = params["mlp/~/linear_0"], params["mlp/~/linear_1"]
        return jnp.tanh(x @ first["w"] + first["b"][None]) @ second["w"] + second["b"][None]

    agree(laziness_report(apply_network(apply), params, *data, effort="quick"), expected)
