"""The chapter's formulas against numbers: roots of recursions, eigenvalues, flipped gates, soft kinks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from lazy_course.convnets import activations, derivation, derivation_steps
from tests.derivations import assert_balanced, assert_zero

STEPS = derivation_steps.all_steps()


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


def test_a_slow_direction_moves_like_a_flow():
    """Steps with momentum on a small curvature, beside the flow at the time eta / (1 - mu) a step."""
    mu, step, curvature, count = 0.9, 1.0, 1e-4, 2000
    v = u = 0.0
    for _ in range(count):
        u = mu * u + (curvature * v - 1.0)
        v = v - step * u
    values = {derivation.rate: curvature, derivation.t: count * step / (1 - mu)}
    assert v == pytest.approx(float(derivation.flow_of_a_mode().subs(values)), rel=3e-3)
    # Without the factor 1 / (1 - mu) the flow would be far behind.
    late = float(derivation.flow_of_a_mode().subs({derivation.rate: curvature, derivation.t: count * step}))
    assert late < 0.3 * v


def test_a_perturbed_product_keeps_its_first_group():
    """Twenty kernels Theta (x) I + E: Weyl's bound and that on vectors hold; E along u makes the first one tight."""
    draw, k = np.random.default_rng(3), 3
    for _ in range(20):
        root = draw.normal(size=(6, 6))
        theta = 2.0 + root @ root.T / 6
        mu, vectors = np.linalg.eigh(theta)
        assert np.all(vectors[:, -1] * np.sign(vectors[0, -1]) > 0)
        noise = draw.normal(size=(18, 18))
        noise = 0.02 * (noise + noise.T)
        size = np.linalg.norm(noise, 2)
        product = np.kron(theta, np.eye(k))
        values, found = np.linalg.eigh(product + noise)
        assert np.max(np.abs(values - np.repeat(mu, k))) <= size
        kept = np.kron(vectors[:, -1:], np.eye(k))
        first = found[:, -k:]
        off = np.linalg.norm(first - kept @ (kept.T @ first), axis=0)
        assert np.all(off <= size / (values[-k:] - mu[-2]))
        assert np.all(off > 0)
        along = np.linalg.eigvalsh(product + size * kept @ kept.T)
        np.testing.assert_allclose(along[-k:] - mu[-1], size)


def test_a_smooth_kink_costs_less():
    """The bound on a softplus unit, for several steps, scales and sharpnesses: it holds, and comes within a percent."""
    z = jnp.linspace(-9, 9, 180_001)
    weight = jnp.exp(-(z**2) / 2) / jnp.sqrt(2 * jnp.pi) * (z[1] - z[0])
    ratios = []
    for sharpness in (2.0, 30.0):
        unit = activations.softplus(sharpness)
        slope = jax.vmap(jax.grad(unit))(z)
        for u, alpha in ((0.5, 10.0), (2.0, 3.0), (1.0, 1000.0)):
            left = alpha * (unit(z + u / alpha) - unit(z)) - u * slope
            bound = sharpness * u**4 / (24 * (2 * np.pi) ** 0.5 * alpha**2)
            ratios.append(float(jnp.sum(weight * left**2)) / bound)
    assert max(ratios) < 1
    assert max(ratios) > 0.99


@pytest.mark.parametrize("name", sorted(STEPS))
def test_every_step_is_zero(name):
    assert_zero(STEPS[name])


def test_printed_equations_are_balanced_latex():
    assert_balanced(STEPS)


def test_another_limit_of_the_step_is_refused():
    """With 2 (1 - mu), or without momentum's factor, the check of the characteristic polynomial leaves something."""
    p = derivation.momentum_polynomial(sp.Integer(-1))
    for wrong in (2 * (1 - derivation.momentum), sp.Integer(2)):
        assert sp.expand(p - (wrong - derivation.eta * derivation.rate)) != 0
