"""The chapter's formulas against numbers: roots of recursions, eigenvalues, flipped gates, soft kinks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from lazy_course.convnets import activations, derivation


def test_momentum_is_a_two_term_recursion():
    assert derivation.momentum_recursion_defect() == 0


def test_the_limit_of_the_step_is_sharp():
    """Roots inside the unit circle just below 2 (1 + mu), outside just above; for several momenta."""
    z = sp.Symbol("z")
    assert sp.simplify(derivation.stability_limit() - 2 * (1 + derivation.momentum)) == 0
    for mu in (0.1, 0.5, 0.9):
        for factor, stable in ((0.999, True), (1.001, False)):
            values = {derivation.momentum: mu, derivation.rate: 1.0, derivation.eta: 2 * (1 + mu) * factor}
            roots = np.roots(
                [float(a) for a in sp.Poly(derivation.momentum_polynomial(z).subs(values), z).all_coeffs()]
            )
            assert (np.max(np.abs(roots)) < 1) == stable


def test_a_mode_is_learned_at_time_one_over_its_rate():
    difference = derivation.flow_of_a_mode() - (1 - sp.exp(-derivation.rate * derivation.t)) / derivation.rate
    assert sp.simplify(difference) == 0


@pytest.mark.parametrize("size", [2, 3, 5])
def test_equicorrelated_samples_have_one_large_eigenvalue(size):
    largest, other = (value.subs(derivation.n, size) for value in derivation.equicorrelated_eigenvalues())
    found = derivation.equicorrelated(size).eigenvals()
    multiplicities = {sp.simplify(value): count for value, count in found.items()}
    assert multiplicities[sp.simplify(largest)] == 1
    assert multiplicities[sp.simplify(other)] == size - 1
    gap = derivation.equicorrelated_gap().subs(derivation.n, size)
    assert sp.simplify(gap - largest / other) == 0


def test_gates_flip_as_often_as_derived():
    """A million normal numbers: the derivative in the bias changes like the root of the step."""
    z = jax.random.normal(jax.random.key(0), (10**6,))
    for step in (0.01, 0.1):
        measured = float(jnp.mean((z + step > 0) != (z > 0)))
        assert measured == pytest.approx(float(derivation.kink_change().subs(derivation.s, step)), rel=0.05)
        ratio = float(derivation.kink_ratio().subs(derivation.s, step))
        assert measured**0.5 / step == pytest.approx(ratio, rel=0.03)


def test_a_kink_costs_the_root_of_the_scale():
    """A million normal numbers against the leading term, at two scales; the density is flat there to a percent."""
    z, u = jax.random.normal(jax.random.key(1), (10**6,)), sp.Symbol("u", positive=True)
    for alpha in (20.0, 100.0):
        moved = alpha * (jnp.maximum(z + 1.5 / alpha, 0) - jnp.maximum(z, 0)) - jnp.where(z > 0, 1.5, 0.0)
        leading = float(derivation.kink_remainder().subs({u: 1.5, derivation.alpha: alpha}))
        assert float(jnp.mean(moved**2)) == pytest.approx(leading, rel=0.04)


def test_the_curvature_of_softplus_grows_with_its_sharpness():
    z = jnp.linspace(-8, 8, 200_001)
    weight = jnp.exp(-(z**2) / 2) / jnp.sqrt(2 * jnp.pi) * (z[1] - z[0])
    for sharpness in (50.0, 200.0):
        second = jax.vmap(jax.grad(jax.grad(activations.softplus(sharpness))))(z)
        limit = float(derivation.softplus_curvature().subs(derivation.b, sharpness))
        assert float(jnp.sum(weight * second**2)) == pytest.approx(limit, rel=2e-3)
    symbol = sp.Symbol("z", real=True)
    by_hand = derivation.softplus_second_derivative(symbol).subs({derivation.b: 3, symbol: 0.2})
    assert float(jax.grad(jax.grad(activations.softplus(3.0)))(0.2)) == pytest.approx(float(by_hand))
