"""The tangent kernel against finite differences, a closed form, and the map's Jacobian."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course import models
from lazy_course.kernels import tangent_kernel


def test_two_layer_kernel_matches_its_closed_form(key):
    """(X X'^T) o (D D'^T) + S S'^T, with S the activations and D the gates times output weights."""
    params = models.init_two_layer(key, 3, 7)
    x1, x2 = jax.random.normal(key, (5, 3)), jax.random.normal(jax.random.split(key)[0], (4, 3))
    kernel = tangent_kernel(models.two_layer("tanh", scale=0.5), params, x1, x2)
    pre1, pre2 = x1 @ params["input"].T, x2 @ params["input"].T
    gates1, gates2 = ((1 - jnp.tanh(pre) ** 2) * params["output"] for pre in (pre1, pre2))
    closed = (x1 @ x2.T) * (gates1 @ gates2.T) + jnp.tanh(pre1) @ jnp.tanh(pre2).T
    assert kernel.shape == (5, 1, 4, 1)
    np.testing.assert_allclose(kernel[:, 0, :, 0], 0.25 * closed, rtol=1e-12)


def test_kernel_is_the_jacobian_times_its_transpose(key):
    f = models.homogeneous(3, "relu")
    params = models.init_homogeneous(key, (4, 6, 5, 2))
    x = jax.random.normal(key, (3, 4))
    h = models.as_map(f, x)
    rows = jnp.concatenate([j.reshape(6, -1) for j in jax.tree.leaves(jax.jacobian(h)(params))], axis=1)
    np.testing.assert_allclose(tangent_kernel(f, params, x).reshape(6, 6), rows @ rows.T, rtol=1e-12, atol=1e-12)


def test_rows_of_different_shapes_are_refused(key):
    params = models.init_two_layer(key, 3, 4)
    with pytest.raises(ValueError, match="x2: expected rows of shape"):
        tangent_kernel(models.two_layer(), params, np.ones((2, 3)), np.ones((2, 4)))
