"""The sharp gap: true at every alpha, attained by the complex square, and true in the end for any loss."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.certificate import certificate
from lazy_course.uniform_bounds import derivation_sharp, numerics, sharp
from lazy_course.uniform_bounds.derivation import ALPHA, SIGMA, L, spelled
from lazy_course.uniform_bounds.path_length import OMEGA, E
from lazy_course.verification import path_bounds, verify

ALPHAS = [2.2, 10.0, 100.0, 1e4]


def sharp_factor(omega):
    return 2 * np.sqrt(1 + omega**2) / (omega * (1 + omega) ** 2)


def test_the_sharp_bound_is_true_and_attained():
    """alpha^2 sup |w - wbar| tends to sqrt(1/2) from below, the bound to the same number from above."""
    seen = sharp.sharp_gap(ALPHAS)
    assert np.all(seen.measured < seen.sharp)
    assert np.all(seen.sharp < seen.path)
    assert seen.measured[-1] == pytest.approx(np.sqrt(0.5), rel=1e-6)
    assert seen.sharp[-1] == pytest.approx(np.sqrt(0.5), rel=1e-3)
    assert seen.path[-1] == pytest.approx(1.5, rel=1e-3)
    assert seen.sharp == pytest.approx(sharp_factor(np.sqrt(1 - 2 / seen.alphas)), rel=1e-12)


def test_the_gap_is_that_of_the_common_solver():
    """The equation of the gap, written out for this model, against the solver that serves every model."""
    times = np.concatenate([[0.0], np.geomspace(1e-3, 30.0, 199)])
    swept = numerics.gap_sweep(sharp.complex_square(), ALPHAS, weights=(0.0,), times=times).parameter_gap[0]
    assert sharp.sharp_gap(ALPHAS).measured == pytest.approx(np.asarray(swept), rel=1e-6)


def test_the_complex_square_has_the_lipschitz_constant_one():
    """|Dh(w) - Dh(w')| is the length of the change of (w1, w3): at most that of w - w', and often equal."""
    h = sharp.complex_square().h
    jacobian = jax.vmap(jax.jacrev(h))
    left, right = jax.random.normal(jax.random.key(4), (2, 50, 3))
    moved = jnp.linalg.norm(jacobian(left) - jacobian(right), 2, axis=(1, 2))
    assert np.asarray(moved) == pytest.approx(np.linalg.norm((left - right)[:, ::2], axis=1), rel=1e-12)


def test_coded_sharp_bound_is_the_derived_one():
    """`path_bounds` takes the sharp gap if kappa = 1, and only then."""
    problem, alpha, energy = numerics.diagonal_problem(jax.random.key(3)), 70.0, 1.7
    printed = derivation_sharp.sharp_gap().equation.rhs
    for weight in (0.0, 3.0):
        c = numerics.certified(numerics.with_weight(problem, weight))
        omega = float(np.sqrt(1 - 2 * c.lip_dh * energy / (alpha * c.sigma_min**2)))
        numbers = {SIGMA: c.sigma_min, L: c.lip_dh, E: energy, OMEGA: omega, ALPHA: alpha}
        coded = path_bounds(c, alpha, np.zeros(1), distance=1.2, energy=energy)[3][0]
        expected = float(spelled(printed).subs(numbers))
        if weight:
            expected *= (1 + 2 * omega) / np.sqrt(1 + omega**2)
        assert coded == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("alpha", [8.0, 300.0])
def test_any_loss_obeys_the_sharp_bound_in_the_end(alpha):
    """The complex square with kappa = 4: the gap at late times is below the sharp factor, here by E/D."""
    problem = sharp.complex_square(3.0)
    c = certificate(problem.h, problem.params0, problem.loss, lip_dh=1.0)
    seen = verify(c, problem.h, problem.params0, problem.loss, alpha=alpha, times=np.linspace(0.0, 30.0, 60))
    assert seen.holds
    late = alpha**2 * seen.parameter_gap.measured[-1]
    limit = sharp_factor(np.sqrt(1 - c.path_threshold / alpha)) * c.loss_distance**2
    assert 0.15 * limit < late < limit
