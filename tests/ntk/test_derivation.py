"""Every step of the chapter's algebra simplifies to zero, and a wrong constant or exponent is seen."""

from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
from scipy import special

from lazy_course.ntk import derivation, derivation_depth, derivation_dynamics, derivation_gaussian, derivation_steps
from lazy_course.ntk.derivation import PHI, QQ, K, Q
from lazy_course.ntk.derivation_dynamics import LAM, LARGEST, LEAST, STEP, TIME, C
from tests.derivations import assert_balanced, assert_zero

DERIVED = (
    derivation.all_kernels()
    | derivation_depth.all_depths()
    | derivation_dynamics.all_dynamics()
    | derivation_gaussian.all_gaussians()
    | derivation_steps.all_steps()
)


@pytest.mark.parametrize("name", sorted(DERIVED))
def test_every_step_is_zero(name):
    assert_zero(DERIVED[name])


def test_printed_equations_are_balanced_latex():
    assert_balanced(DERIVED)
    assert not any("psi'" in row.latex.replace(r"\psi'", "") for row in DERIVED.values())


def normal_mean(function, covariance):
    """E[function(u, v)] by Gauss's rule in polar coordinates, broken where u or v changes sign."""
    rows = np.linalg.cholesky(covariance)
    zeros = [(np.arctan2(-row[0], row[1]) + turn * np.pi) % (2 * np.pi) for row in rows for turn in range(2)]
    nodes, weights = np.polynomial.legendre.leggauss(40)
    rho, of_rho = 5 * (nodes + 1), 5 * weights
    total = 0.0
    breaks = [0.0, *sorted(zeros), 2 * np.pi]
    for start, end in pairwise(breaks):
        theta = start + (end - start) * (nodes + 1) / 2
        u, v = (rho[:, None] * (row[0] * np.cos(theta) + row[1] * np.sin(theta)) for row in rows)
        density = (of_rho * rho * np.exp(-(rho**2) / 2))[:, None] * weights * (end - start) / 2 / (2 * np.pi)
        total += np.sum(function(u, v) * density)
    return total


def test_gaussian_integrals_against_quadrature():
    """The closed forms beside an integral that sympy did not do."""
    q, qq, k = sp.Rational(3, 2), sp.Rational(2, 3), sp.Rational(1, 2)
    angle = sp.acos(k / sp.sqrt(q * qq))
    numbers = {Q: q, QQ: qq, K: k}
    cases = [
        (sp.sqrt(q * qq) * derivation.relu_pair_over_lengths(angle), lambda u, v: np.maximum(u, 0) * np.maximum(v, 0)),
        (derivation.relu_gate_product(angle), lambda u, v: 1.0 * (u > 0) * (v > 0)),
        (derivation.erf_pair_product().subs(numbers), lambda u, v: special.erf(u) * special.erf(v)),
        (derivation.erf_gate_product().subs(numbers), lambda u, v: 4 / np.pi * np.exp(-(u**2) - v**2)),
    ]
    for closed, function in cases:
        assert normal_mean(function, np.array([[q, k], [k, qq]], float)) == pytest.approx(float(closed), abs=1e-8)


def test_relu_gates_are_half_at_the_same_input_and_none_opposite():
    assert derivation.relu_gate_product(sp.Integer(0)) == sp.Rational(1, 2)
    assert derivation.relu_gate_product(sp.pi) == 0
    assert sp.diff(derivation.relu_gate_product(), PHI) == -1 / (2 * sp.pi)


def test_the_printed_exponent_of_the_notes_fails():
    """Eq. (47) with exp(-eta K t) differs from the algebra unless t = 0 or infinity."""
    along = -2 * derivation_dynamics.lever(LAM) + LAM * derivation_dynamics.lever(LAM) ** 2
    notes = -(1 - sp.exp(-C * LAM * TIME)) / LAM
    difference = sp.simplify(along - notes)
    assert difference.subs({C: 1, LAM: 1, TIME: sp.log(2)}) == -sp.Rational(1, 4)
    assert difference.subs(TIME, 0) == 0
    assert sp.limit(difference, TIME, sp.oo) == 0


def test_a_second_moment_is_not_a_covariance():
    """Erratum L4: with targets, the first line of eq. (28) exceeds the covariance by the square of the mean."""
    derived = DERIVED["covariance_of_training"]
    assert "the second moment has the means' product too" in derived.checks
    outputs = sp.Matrix(sp.symbols("g0:2"))
    one = sp.Matrix([[1, 0], [0, 1]])
    trained = outputs[0] - (outputs[1] - 3)
    mean = derivation_gaussian.mean(trained, outputs, one)
    assert mean == 3
    assert derivation_gaussian.mean(trained**2, outputs, one) == 11
    assert derivation_gaussian.mean((trained - mean) ** 2, outputs, one) == 2


def test_mean_refuses_what_it_cannot_do():
    g = sp.Matrix(sp.symbols("g0:1"))
    with pytest.raises(ValueError, match="degree"):
        derivation_gaussian.mean(g[0] ** 4, g, sp.Matrix([[1]]))


def test_both_step_sizes_are_kept_apart():
    """2/l_max and 2/(l_min + l_max) agree only if l_min is 0; the second has the smaller worst factor."""
    limit = DERIVED["stability_limit"].equation.rhs
    optimal = DERIVED["rate_optimal_step"].equation.rhs
    case = {C: 1, LEAST: 1, LARGEST: 3}
    assert (limit.subs(case), optimal.subs(case)) == (sp.Rational(2, 3), sp.Rational(1, 2))
    worst = DERIVED["norm_of_a_step"].equation.rhs
    assert worst.subs(case).subs(STEP, sp.Rational(1, 2)) == sp.Rational(1, 2)
    assert worst.subs(case).subs(STEP, sp.Rational(3, 5)) == sp.Rational(4, 5)
    assert worst.subs(case).subs(STEP, sp.Rational(2, 3)) == 1


def test_a_wrong_recursion_is_seen():
    """Without the gates' factor the tangent kernel of the symbolic recursion is another one."""
    inner, square, other = sp.Rational(1, 2), sp.Integer(1), sp.Integer(2)
    values = {derivation.SIGMA_W: sp.Rational(3, 2), derivation.SIGMA_B: sp.Rational(1, 3)}
    for activation in ("relu", "erf"):
        nngp, ntk = (e.subs(values).evalf(20) for e in derivation.kernels_at_depth(activation, 2, inner, square, other))
        below = derivation.kernels_at_depth(activation, 1, inner, square, other)[1].subs(values).evalf(20)
        assert abs(ntk - nngp - values[derivation.SIGMA_W] ** 2 * below) > 0.1
