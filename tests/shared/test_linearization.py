"""The first-order model and its remainder, at small and at very large alpha."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from lazy_course import models
from lazy_course.linearization import linearize, taylor_remainder


def test_linearization_agrees_to_first_order(key):
    f = models.two_layer("tanh")
    params = models.init_two_layer(key, 3, 5)
    x = jax.random.normal(key, (4, 3))
    h = models.as_map(f, x)
    bar = linearize(h, params)
    direction = models.init_two_layer(jax.random.split(key)[1], 3, 5)
    np.testing.assert_allclose(bar(params), h(params), rtol=1e-14)

    def gap(step):
        moved = jax.tree.map(lambda w, v: w + step * v, params, direction)
        return float(jnp.linalg.norm(h(moved) - bar(moved)))

    # The gap is of second order: a slope of 2 within 2 % (the next order is step times smaller).
    assert np.log(gap(1e-2) / gap(1e-3)) / np.log(10) == pytest.approx(2.0, abs=0.04)
    network = linearize(f, params)
    np.testing.assert_allclose(network(direction, x).ravel(), bar(direction), rtol=1e-12)


@pytest.mark.parametrize("alpha", [1.0, 1e3, 1e8])
def test_remainder_of_the_diagonal_model_is_its_quadratic(key, alpha):
    """h(w + v/a) - h(w) - Dh v/a = X (v+^2 - v-^2) / a^2 exactly."""
    x = jax.random.normal(key, (4, 3))
    h = models.as_map(models.diagonal(), x)
    params = models.init_diagonal(3, 0.5, [[1.0, 2.0, 3.0], [0.5, 1.0, 0.1]])
    v = {"plus": jnp.array([1.0, -2.0, 0.3]), "minus": jnp.array([0.2, 0.4, -1.0])}
    exact = x @ (v["plus"] ** 2 - v["minus"] ** 2) / alpha
    np.testing.assert_allclose(taylor_remainder(h, params, v, alpha), exact, rtol=1e-13)


@pytest.mark.parametrize("alpha", [2.0, 1e4, 1e8])
def test_remainder_of_tanh_against_fifty_digits(alpha):
    """One neuron b tanh(a x), the difference taken in 50 digits, where nothing is lost."""
    params = {"input": jnp.array([[0.7]]), "output": jnp.array([[1.3]])}
    v = {"input": jnp.array([[-0.6]]), "output": jnp.array([[0.9]])}
    h = models.as_map(models.two_layer("tanh"), np.array([[1.1]]))
    with mpmath.workdps(50):
        a, b, da, db, x = (mpmath.mpf(float(t)) for t in (0.7, 1.3, -0.6, 0.9, 1.1))
        moved = (b + db / alpha) * mpmath.tanh((a + da / alpha) * x)
        slope = db * mpmath.tanh(a * x) + b * (1 - mpmath.tanh(a * x) ** 2) * da * x
        exact = float(alpha * (moved - b * mpmath.tanh(a * x)) - slope)
    # Six Gauss nodes at alpha = 2 leave an error of the 12th derivative, about 1e-9 here; it falls with alpha.
    tolerance = 1e-8 if alpha < 10 else 1e-12
    assert float(taylor_remainder(h, params, v, alpha)[0]) == pytest.approx(exact, rel=tolerance)
    if alpha < 10:
        assert float(taylor_remainder(h, params, v, alpha, nodes=12)[0]) == pytest.approx(exact, rel=1e-12)


def test_the_plain_difference_is_lost_at_large_alpha():
    """Why the integral is needed: at 1e8 the difference keeps no digit of the remainder."""
    params, v = {"input": jnp.array([[0.7]]), "output": jnp.array([[1.3]])}, 1e8
    direction = {"input": jnp.array([[-0.6]]), "output": jnp.array([[0.9]])}
    h = models.as_map(models.two_layer("tanh"), np.array([[1.1]]))
    moved = jax.tree.map(lambda w, u: w + u / v, params, direction)
    plain = v * (h(moved) - h(params)) - jax.jvp(h, (params,), (direction,))[1]
    true = taylor_remainder(h, params, direction, v)
    assert abs(float(plain[0] / true[0]) - 1.0) > 0.1
