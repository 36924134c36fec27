"""The two witnesses meet: what sympy derives of the running example is what JAX computes."""

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from lazy_course.preliminaries import derivation, numerics

WEIGHTS = (derivation.W1, derivation.W2)


def evaluate(expression, w):
    return np.array(sp.lambdify(WEIGHTS, expression, "numpy")(*np.asarray(w)), dtype=float)


def test_valley_and_its_derivatives(key):
    objective = numerics.Objective(numerics.valley, numerics.valley_loss())
    w = jax.random.normal(key, (2,))
    np.testing.assert_allclose(numerics.valley(w), evaluate(derivation.valley(), w)[:, 0], rtol=1e-13)
    np.testing.assert_allclose(jax.jacobian(numerics.valley)(w), evaluate(derivation.valley_differential(), w))
    np.testing.assert_allclose(jax.grad(objective)(w), evaluate(derivation.valley_gradient(), w)[:, 0], rtol=1e-12)
    np.testing.assert_allclose(jax.hessian(objective)(w), evaluate(derivation.valley_hessian(), w), rtol=1e-12)


def test_start_is_the_same():
    np.testing.assert_array_equal(numerics.valley_start(), [float(derivation.START[weight]) for weight in WEIGHTS])


def test_singular_values():
    closed = [float(value.subs(derivation.SLOPE, 1.7)) for value in derivation.valley_singular_values()]
    jacobian = jax.jacobian(numerics.valley)(jnp.array([1.7, 0.3]))
    np.testing.assert_allclose(jnp.linalg.svd(jacobian, compute_uv=False), closed, rtol=1e-13)


def test_rate_of_the_sublevel_set():
    measured = numerics.polyak_lojasiewicz_rate(numerics.valley, numerics.valley_level(2.5))
    np.testing.assert_allclose(measured, float(derivation.valley_rate(sp.Rational(5, 2))), rtol=1e-12)


def test_gronwall_envelope_with_constants():
    closed = derivation.gronwall_constant_rate()
    values = {"a": -0.7, "b": 0.4, "u_0": 2.0}
    curve = sp.lambdify(
        next(s for s in closed.free_symbols if s.name == "t"),
        closed.subs({s: values[s.name] for s in closed.free_symbols if s.name in values}),
    )
    times = jnp.linspace(0.0, 3.0, 1001)
    flat = jnp.ones_like(times)
    envelope = numerics.gronwall_envelope(2.0, -0.7 * flat, 0.4 * flat, times)
    np.testing.assert_allclose(envelope, curve(np.asarray(times)), rtol=1e-10)
