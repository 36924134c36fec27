"""Every step of the chapter's algebra is an expression that simplifies to zero, and a wrong constant is seen."""

import pytest
import sympy as sp

from lazy_course.uniform_bounds import derivation, derivation_sharp, derivation_steps, path_length, under_parameterized
from lazy_course.uniform_bounds.derivation import ALPHA, CONVEX, KAPPA, SIGMA, SMOOTH, TIME, A, D, L, S, small, spelled
from lazy_course.uniform_bounds.path_length import OMEGA, E
from tests.derivations import assert_balanced, assert_zero

BOUNDS = derivation.all_bounds()
PATH_BOUNDS = path_length.all_path_bounds()
STEPS = derivation_steps.all_steps()
DERIVED = BOUNDS | PATH_BOUNDS | derivation_sharp.all_sharp_bounds() | under_parameterized.all_examples() | STEPS


@pytest.mark.parametrize("name", sorted(DERIVED))
def test_every_step_is_zero(name):
    assert_zero(DERIVED[name])


def test_a_wrong_constant_is_seen():
    """Change each printed constant of Theorem 2.4's chain by one: the difference is not zero any more."""
    for name in ("travel", "output_gap", "uniform_output_gap", "first_integral", "second_integral", "parameter_gap"):
        right = BOUNDS[name].equation.rhs
        assert small(right, right) == 0
        assert small(right, sp.Rational(13, 12) * right) != 0, name


def test_printed_equations_are_balanced_latex():
    assert_balanced(DERIVED)


def test_gradient_domination_is_attained_by_a_quadratic():
    """R = m z^2/2 has R = R'^2/(2m): the inequality cannot be improved."""
    z = sp.Symbol("z", real=True)
    assert sp.simplify(CONVEX * z**2 / 2 - (CONVEX * z) ** 2 / (2 * CONVEX)) == 0


def test_the_forcing_is_largest_where_the_chapter_says():
    """k/(4 alpha) is the supremum of the forcing, reached at t = log(2)/a."""
    forced = BOUNDS["forcing"].equation.rhs
    slope = sp.diff(forced, TIME)
    assert sp.simplify(slope.subs(TIME, sp.log(2) / A)) == 0
    k = derivation.forcing_constant() / ALPHA
    assert sp.simplify(forced.subs(TIME, sp.log(2) / A) - k / 4) == 0
    assert all((forced / k).subs(A, 1).subs(TIME, sp.Rational(j, 7)) <= sp.Rational(1, 4) for j in range(40))


def test_the_logarithm_is_only_in_the_sources_route():
    assert BOUNDS["logarithmic_integral"].equation.rhs.has(sp.log(ALPHA))
    assert not any(BOUNDS[n].equation.rhs.has(sp.log) for n in ("first_integral", "second_integral", "parameter_gap"))
    ratio = BOUNDS["parameter_gap"].equation.rhs * ALPHA**2
    assert not ratio.has(ALPHA), "alpha^2 times the bound must not contain alpha"


def test_path_bounds_are_below_the_papers():
    """For alpha above 12 kappa^(3/2) chi L D / sigma^2, the path-length bounds are smaller, term by term, on a grid."""
    draws = [(k, c, over) for k in (1, 2, 10) for c in (1, 2, 7) for over in (sp.Rational(101, 100), 2, 50)]
    for kappa, chi, over in draws:
        numbers = {CONVEX: 1, SMOOTH: kappa, SIGMA: 1, S: chi, L: 1, D: 1}
        least = (12 * KAPPA ** sp.Rational(3, 2) * S * L * D / SIGMA**3).subs(KAPPA, kappa).subs(numbers)
        alpha = over * least
        # The worst case for the new bounds is E = sqrt(kappa) D.
        root = path_length.omega().subs({E: sp.sqrt(kappa), ALPHA: alpha}).subs(numbers)
        for new, old in (("path_output_gap", "output_gap"), ("path_parameter_gap", "parameter_gap")):
            at_zero = spelled(BOUNDS[old].equation.rhs.subs(TIME, 0)).subs(numbers).subs(ALPHA, alpha)
            sharper = spelled(PATH_BOUNDS[new].equation.rhs).subs({E: sp.sqrt(kappa), OMEGA: root, ALPHA: alpha})
            assert float(sharper.subs(numbers)) < float(at_zero)


def test_both_fall_in_the_threshold():
    """alpha_1 is at most 1/(16 kappa chi) of the paper's ||y*||/C0 (E = sqrt(kappa) D): equality in that case."""
    paper = spelled(D / derivation.C0)
    mine = spelled((2 * L * E / SIGMA**2).subs(E, sp.sqrt(KAPPA) * D))
    assert sp.simplify(paper / mine - 16 * (SMOOTH / CONVEX) * S / SIGMA) == 0
