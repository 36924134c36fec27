"""The constants of the losses are true and reached."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course import losses

TARGET = np.array([0.3, -1.2, 2.0])


def test_square_loss_and_its_gradient():
    loss = losses.square_loss(TARGET)
    y = jnp.array([1.0, 1.0, 1.0])
    assert loss(y) == pytest.approx(0.5 * np.sum((np.ones(3) - TARGET) ** 2), rel=1e-14)
    np.testing.assert_allclose(jax.grad(loss)(y), y - TARGET, rtol=1e-14)
    assert loss.smoothness == loss.strong_convexity == 1.0
    np.testing.assert_array_equal(loss.minimizer, TARGET)


@pytest.mark.parametrize("weight", [0.0, 0.7, 5.0])
def test_log_cosh_curvature_lies_between_its_constants(key, weight):
    loss = losses.log_cosh_loss(TARGET, weight)
    points = TARGET[None] + 3.0 * jax.random.normal(key, (50, 3))
    curvatures = jax.vmap(lambda y: jnp.linalg.eigvalsh(jax.hessian(loss)(y)))(points)
    assert jnp.all(curvatures >= loss.strong_convexity - 1e-12)
    assert jnp.all(curvatures <= loss.smoothness + 1e-12)
    # Both constants are reached: M at the target, m far away.
    np.testing.assert_allclose(jax.hessian(loss)(loss.minimizer), (1 + weight) * np.eye(3), atol=1e-14)
    np.testing.assert_allclose(jax.hessian(loss)(TARGET + 400.0), np.eye(3), atol=1e-12)


def test_log_cosh_value_gradient_and_large_arguments():
    loss = losses.log_cosh_loss(TARGET, 2.0)
    y = jnp.array([1.0, 0.5, -1.0])
    z = np.asarray(y) - TARGET
    assert loss(y) == pytest.approx(0.5 * np.sum(z**2) + 2.0 * np.sum(np.log(np.cosh(z))), rel=1e-13)
    np.testing.assert_allclose(jax.grad(loss)(y), z + 2.0 * np.tanh(z), rtol=1e-13)
    np.testing.assert_array_equal(jax.grad(loss)(loss.minimizer), np.zeros(3))
    assert jnp.isfinite(loss(y + 1e4))


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_bad_weight(weight):
    with pytest.raises(ValueError, match="weight: expected a finite number"):
        losses.log_cosh_loss(TARGET, weight)


def test_target_must_be_flat():
    with pytest.raises(ValueError, match="target: expected a flat array"):
        losses.square_loss(np.ones((2, 1)))
