"""Models: their formulas, homogeneity, symmetrized initialization, and maps as pytrees."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course import models


def test_two_layer_is_its_formula(key):
    params = models.init_two_layer(key, 3, 5, 2)
    x = np.random.default_rng(0).normal(size=(4, 3))
    a, b = np.asarray(params["input"]), np.asarray(params["output"])
    expected = 0.25 * sum(np.tanh(x @ a[i])[:, None] * b[:, i][None] for i in range(5))
    np.testing.assert_allclose(models.two_layer("tanh", scale=0.25)(params, x), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", sorted(models.ACTIVATIONS))
def test_every_named_activation_runs(key, name):
    h = models.as_map(models.two_layer(name), np.ones((2, 3)))
    assert jax.jit(h)(models.init_two_layer(key, 3, 4)).shape == (2,)


def test_symmetrized_output_vanishes_and_gradient_does_not(key):
    params = models.init_two_layer(key, 3, 8, 2, symmetrized=True)
    np.testing.assert_array_equal(params["input"][:4], params["input"][4:])
    np.testing.assert_array_equal(params["output"][:, :4], -params["output"][:, 4:])
    h = models.as_map(models.two_layer("softplus"), jax.random.normal(key, (5, 3)))
    # Eight terms of size about 1 that cancel: a few roundings of 1e-16.
    np.testing.assert_allclose(h(params), np.zeros(10), atol=1e-14)
    assert all(jnp.max(jnp.abs(j)) > 0.1 for j in jax.tree.leaves(jax.jacobian(h)(params)))


@pytest.mark.parametrize("q", [1, 2, 3, 4])
def test_homogeneous_of_degree_q(key, q):
    widths = (3, *([5] * (q - 1)), 2)
    params = models.init_homogeneous(key, widths)
    x = jax.random.normal(key, (4, 3))
    f = models.homogeneous(q)
    scaled = jax.tree.map(lambda matrix: 1.7 * matrix, params)
    np.testing.assert_allclose(f(scaled, x), 1.7**q * f(params, x), rtol=1e-12)


def test_diagonal_model():
    params = models.init_diagonal(2, 2.0, [[1.0, 2.0], [3.0, 0.5]])
    np.testing.assert_allclose(models.diagonal()(params, np.array([[1.0, 10.0]])), [[4 * (1 - 9) + 40 * (4 - 0.25)]])
    flat = models.init_diagonal(3, 0.1)
    np.testing.assert_array_equal(models.diagonal()(flat, np.eye(3)), np.zeros((3, 1)))


def test_maps_normalize_centre_and_scale(key):
    f = models.two_layer("tanh")
    params, other = models.init_two_layer(key, 3, 4, 2), models.init_two_layer(jax.random.split(key)[0], 3, 4, 2)
    x = jax.random.normal(key, (5, 3))
    h = models.as_map(f, x)
    np.testing.assert_allclose(h(params), f(params, x).reshape(-1), rtol=1e-14)
    np.testing.assert_allclose(models.as_map(f, x, normalize=True)(params), h(params) / np.sqrt(5), rtol=1e-14)
    centred = models.scaled(models.centred(h, params), 3.0)
    np.testing.assert_array_equal(models.centred(h, params)(params), np.zeros(10))
    np.testing.assert_allclose(centred(other), 3.0 * (h(other) - h(params)), rtol=1e-12)
    # A map is a plain function for jit, and a pytree: the scale may be traced.
    np.testing.assert_allclose(jax.jit(centred)(other), centred(other), rtol=1e-12)
    by_scale = jax.vmap(lambda alpha: models.scaled(h, alpha)(params))(jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(by_scale[1], 2.0 * by_scale[0], rtol=1e-14)


def test_both_kinds_of_key():
    old, new = jax.random.PRNGKey(0), jax.random.key(0)
    np.testing.assert_array_equal(models.init_two_layer(old, 2, 4)["input"], models.init_two_layer(new, 2, 4)["input"])


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: models.two_layer("tan"), r"activation: expected one of \['erf'"),
        (lambda: models.homogeneous(2, "tanh"), "activation: expected a positively 1-homogeneous"),
        (lambda: models.homogeneous(0), "q: expected a positive integer"),
        (lambda: models.homogeneous(2)([jnp.ones((1, 2))], np.ones((1, 2))), "params: expected a list of q = 2"),
        (lambda: models.init_homogeneous(jax.random.key(0), (3,)), "widths: expected"),
        (lambda: models.init_two_layer(jax.random.key(0), 2, 5, symmetrized=True), "m: expected an even width"),
        (lambda: models.init_two_layer(jax.random.key(0), 2, 0), "m: expected a positive integer"),
        (lambda: models.init_diagonal(3, 1.0, np.ones(2)), "w0: expected shape"),
        (lambda: models.scaled(models.as_map(models.diagonal(), np.ones((1, 2))), -1.0), "alpha: expected a positive"),
        (lambda: models.as_map(models.diagonal(), np.ones((0, 2))), "x: expected an array with one row"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(ValueError, match=says):
        call()
