"""Each mistake of the sources that the chapter names, shown by a computation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from lazy_course.flows import linearized_flow_closed_form
from lazy_course.uniform_bounds import derivation, surface, under_parameterized
from lazy_course.uniform_bounds.derivation import ALPHA


def test_S5_the_printed_prefactor_is_off_by_a_root():
    derived = derivation.paper_travel()
    assert "the printed prefactor is off by sqrt(m)" in derived.checks
    assert derived.holds


def test_S13_a_fixed_domain_loses_convexity():
    objective = lambda g: 0.5 * (1000.0 * (g + g**2) - 1.0) ** 2 / 1000.0**2  # noqa: E731
    assert float(jax.grad(jax.grad(objective))(-0.3)) == pytest.approx(-0.262, abs=1e-9)
    assert under_parameterized.shrinking_domain().holds
    # On |g| <= 3/alpha, the domain that the proof of the course uses, it is convex.
    near = jnp.linspace(-3e-3, 3e-3, 51)
    assert float(jnp.min(jax.vmap(jax.grad(jax.grad(objective)))(near))) > 0.9


@pytest.mark.parametrize(("alpha", "least"), [(1e2, 0.44), (1e3, 0.458), (1e6, 0.46)])
def test_S13_a_small_fixed_domain_keeps_it(alpha, least):
    """G'' = (1 + 2g)^2 + 2 (g + g^2 - 1/alpha) increases on |g| <= 0.1, so its least value is 0.46 - 2/alpha."""
    objective = lambda g: 0.5 * (alpha * (g + g**2) - 1.0) ** 2 / alpha**2  # noqa: E731
    second = jax.vmap(jax.grad(jax.grad(objective)))(jnp.linspace(-0.1, 0.1, 201))
    assert float(jnp.min(second)) == pytest.approx(least, abs=1e-5)


def test_S15_the_sign_and_the_factor_alpha():
    """psi = id, square loss, alpha = 100: grad G = g - g*, a hundred times the printed bound with C = 1."""
    objective = lambda g: 0.5 * (100.0 * g - 1.0) ** 2 / 100.0**2  # noqa: E731
    slope, away = float(jax.grad(objective)(0.5)), 0.5 - 0.01
    assert slope == pytest.approx(away)
    assert abs(slope) > 50 * abs(away) / 100.0
    assert under_parameterized.gradient_on_the_chart().holds


def test_S18_the_stability_lemma_needs_equal_starts():
    """Sigma constant, so K = 0 and the printed bound is 0; the gap is e^-t."""
    derived = under_parameterized.missing_start()
    assert derived.holds
    assert derived.equation.rhs.subs(sp.Symbol("t", positive=True), 1) > 0


def test_C5_the_local_minimum_is_not_strict():
    assert under_parameterized.not_strict().holds
    factors, losses = surface.fibre_loss(surface.neuron(), 5.0, np.array([0.8, 1.1, 0.9]))
    assert np.ptp(factors) > 1.0
    assert np.ptp(losses) < 1e-13


def test_C6_the_linearized_minimizer_moves():
    case, ends = surface.smallest(1.0), []
    for alpha in (10.0, 100.0):
        flow = linearized_flow_closed_form(case.h, case.start, case.loss.target, alpha=alpha, times=[0.0, 60.0])
        ends.append(np.asarray(flow.params)[-1] - np.asarray(case.start))
    assert ends[0] == pytest.approx([0.1, 0.1])
    assert ends[1] == pytest.approx([0.01, 0.01])
    assert under_parameterized.linearized_minimizer().holds


def test_Y1_the_inequality_and_three_quarters_fail():
    assert abs(2**2 - 1**2) > (2 - 1) ** 2
    slope = jax.grad(lambda w: w + w**2 / 2)
    assert float(slope(0.0)) == 1.0, "sigma = 1, Lip(Dh) = 1: the ball has the radius 1/2"
    assert float(slope(-0.5)) ** 2 == pytest.approx(0.25)
    assert float(slope(-0.5)) ** 2 < 0.75
    assert under_parameterized.false_inequality().holds


def test_Y4_limits_need_not_agree():
    """alpha^2 times the gap at t = 5 tends to about 4; the limits are (1/alpha, 1) and (1/alpha, 0)."""
    found = surface.wander([10.0, 30.0])
    assert found.early_gap == pytest.approx([4.0, 4.0], abs=0.02)
    assert found.limit == pytest.approx(np.array([[0.1, 1.0], [1 / 30, 1.0]]), abs=1e-5)
    assert found.linearized_limit == pytest.approx(np.array([[0.1, 0.0], [1 / 30, 0.0]]), abs=1e-6)
    assert under_parameterized.wandering_example().holds


def test_Y14_the_speed_is_less_than_the_product():
    jacobian, slope = np.diag([1.0, 3.0]), np.array([1.0, 0.0])
    assert np.linalg.norm(jacobian.T @ slope) < np.linalg.norm(jacobian, 2) * np.linalg.norm(slope)


def test_Y21_the_late_integral_has_no_logarithm():
    derived = derivation.logarithmic_integral()
    assert derived.holds
    late = sp.expand(derived.equation.rhs * ALPHA).coeff(sp.log(ALPHA), 0)
    assert not late.has(ALPHA), "alpha times the part after t0 is a constant"
