"""Every step of the chapter's algebra is an expression that simplifies to zero, and a wrong constant is seen."""

import functools

import pytest
import sympy as sp

from lazy_course.derived import Rows
from lazy_course.implicit_bias import derivation, derivation_depth, derivation_limits, derivation_rate, derivation_steps
from lazy_course.implicit_bias.derivation import ALPHA, SIGMA, Z
from tests.derivations import assert_balanced, assert_zero

FILES = {
    file.__name__.split(".")[-1]: file.all_derivations()
    for file in (derivation, derivation_limits, derivation_rate, derivation_depth)
}
FILES |= {"derivation_steps": derivation_steps.all_steps()}
DERIVED = Rows(
    **{f"{name}.{key}": functools.partial(rows.__getitem__, key) for name, rows in FILES.items() for key in rows}
)


@pytest.mark.parametrize("name", sorted(DERIVED))
def test_every_step_is_zero(name):
    assert_zero(DERIVED[name])


def test_printed_equations_are_balanced_latex():
    assert_balanced(DERIVED)


def test_the_arcsine_of_the_session_is_not_stationary():
    """P1: the slope of the printed potential is arcsinh; with arcsin stationarity fails already at z = 1."""
    q = DERIVED["derivation.potential"].equation.rhs
    slope = sp.diff(q, Z)
    assert sp.simplify(slope - sp.asinh(Z / 2)) == 0
    assert abs(float((slope - sp.asin(Z / 2)).subs(Z, 1))) > 0.04
    assert not sp.asin(sp.Rational(3, 2)).is_real


def test_the_constant_of_the_gradient_bound_is_the_largest():
    """At w+ = w- = alpha, one sample and one input, ||grad L||^2 = 32 alpha^2 sigma^2 L exactly: 33 would be false."""
    p, m = derivation.PLUS[0], derivation.MINUS[0]
    x, y = sp.symbols("x y", positive=True)
    loss = (x * (p**2 - m**2) - y) ** 2
    squared = sum(sp.diff(loss, w) ** 2 for w in (p, m)).subs({p: ALPHA, m: ALPHA})
    bound = DERIVED["derivation.gradient_bound"].equation.rhs.subs(
        {sp.Symbol("L(w)"): loss.subs({p: ALPHA, m: ALPHA}), SIGMA: x}
    )
    assert sp.expand(squared - bound) == 0


def test_the_transpose_is_needed():
    """P4: for two samples of two inputs Xtilde r has no meaning; Xtilde^T r has an entry for each weight."""
    tilde, r = derivation.X2.row_join(-derivation.X2), derivation.residual()
    assert (tilde.T * r).shape == (4, 1)
    with pytest.raises(sp.matrices.exceptions.ShapeError):
        tilde * r


def test_the_step_limit_is_below_the_root():
    """1 + s + s^2 = e^s at s = 1.793; below it the cut Newton step descends, above it the proof fails."""
    s = sp.Symbol("s", positive=True)
    inequality = DERIVED["derivation.newton_step"].equation
    gap = (inequality.rhs - inequality.lhs).subs(sp.Symbol("s", positive=True), s)
    root = sp.nsolve(gap, s, 1.8)
    assert 1.75 < root < 1.8
    assert all(gap.subs(s, sp.Rational(j, 100)) > 0 for j in range(1, 179, 7))
    assert gap.subs(s, 1.8) < 0


def test_small_scale_expansion_in_numbers():
    """P6: alpha^2 q(b/alpha^2) against the printed expansion: the difference is alpha^4 / b to leading order."""
    b, q = 0.7, DERIVED["derivation.potential"].equation.rhs
    for alpha in (sp.Rational(1, 10), sp.Rational(1, 100)):
        value = (alpha**2 * q.subs(Z, b / alpha**2)).evalf(40)
        printed = b * (sp.log(1 / alpha**2) + sp.log(b) - 1) + 2 * alpha**2
        assert float((printed - value) * b / alpha**4) == pytest.approx(1.0, rel=1e-3)


def test_depth_constants_join_at_two():
    """8 D^2 alpha^(2D-2) is 32 alpha^2 at D = 2; the limit of q_D's quadratic part vanishes there (another scaling)."""
    D = derivation_depth.D
    bound = DERIVED["derivation_depth.gradient_bound"].equation.rhs
    assert sp.simplify(bound.subs(D, 2) - 32 * ALPHA**2 * SIGMA**2 * sp.Symbol("L(w)")) == 0
    assert DERIVED["derivation_depth.large_scale"].equation.rhs.subs(D, 4).coeff(
        sp.Symbol(r"{\lVert\beta\rVert_2^2}")
    ) == sp.Rational(1, 8)
