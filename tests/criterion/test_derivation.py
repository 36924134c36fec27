"""Every step of the chapter's algebra is an expression that simplifies to zero."""

import pytest
import sympy as sp

from lazy_course.criterion import derivation, derivation_width
from lazy_course.criterion.derivation import ALPHA
from lazy_course.criterion.derivation_width import WIDTH
from lazy_course.derived import Derived
from tests.derivations import assert_balanced, assert_zero

DERIVED = derivation.all_derivations() | derivation_width.all_width_derivations()


@pytest.mark.parametrize("name", sorted(DERIVED))
def test_every_step_is_zero(name):
    assert_zero(DERIVED[name])


def test_a_wrong_step_is_seen():
    x = sp.Symbol("x")
    assert not Derived(sp.Eq(x, x, evaluate=False), {"wrong": x**2 - x}).holds
    assert not Derived(sp.Eq(x, x, evaluate=False), {}).holds


def test_printed_equations_are_balanced_latex():
    assert_balanced(DERIVED)


def test_example_of_problem_11():
    """a = 10, b = 0.01, c = 1, residual (0, 1): kappa = 0.01, criterion's ratio 0.02 / 0.1 = 1/5."""
    case = derivation.example()
    numbers = dict(zip(derivation.example_symbols(), (10, sp.Rational(1, 100), 1), strict=True))
    numbers |= {case.target[0]: 0, case.target[1]: -1}
    assert case.kappa.subs(numbers) == sp.Rational(1, 100)
    assert sp.simplify(case.ratio.subs(numbers)) == sp.Rational(1, 5)
    assert sp.simplify(case.alignment.subs(numbers)) == sp.Rational(1, 1000)


def test_kappa_of_the_exactly_linear_example_is_unbounded():
    case = derivation.example()
    a, _, c = derivation.example_symbols()
    assert sp.limit(case.kappa.subs({a: 1, case.target[0]: 1, case.target[1]: 0}), c, sp.oo) == sp.oo


def test_no_term_contains_two_neurons():
    """The norm is that of one block; a model that couples its neurons has a mixed block."""
    checks = DERIVED["block_diagonal"].checks
    assert checks["mixed blocks are 0"] == 0
    assert checks["a neuron's own block is alpha D2phi"] == 0
    a1, a2 = sp.symbols("a1 a2", real=True)
    assert sp.diff(sp.Function("phi")(a1 + a2), a1, a2).doit() != 0


def test_exponential_inequality_on_a_grid():
    """The function whose derivatives are checked is the right one: it is not negative on [0, 40]."""
    gap = DERIVED["exponential_inequality"].equation.lhs.expr
    (x,) = gap.free_symbols
    assert all(gap.subs(x, sp.Rational(k, 10)) >= 0 for k in range(0, 400, 7))
    assert gap.subs(x, -1) < 0, "it must fail on the other side, or the hypothesis x >= 0 is idle"


@pytest.mark.parametrize(
    ("exponent", "centred", "slope"),
    [(-1, False, 0), (-1, True, 0), (-0.5, False, -0.5), (-0.5, True, -0.5), (0, False, -0.5), (0, True, -1)],
)
def test_predicted_slopes_are_those_of_the_bound(exponent, centred, slope):
    """The predicted slope is the limit of log(bound) / log(m) for alpha(m) = m^exponent."""
    bound = DERIVED["two_layer_bound"].equation.rhs.subs(ALPHA, WIDTH ** sp.nsimplify(exponent))
    if centred:
        bound = bound.subs(derivation_width.NEURON_NORM, 0)
    others = dict.fromkeys(bound.free_symbols - {WIDTH}, 1)
    reached = sp.limit(sp.log(bound.subs(others)) / sp.log(WIDTH), WIDTH, sp.oo)
    assert reached == sp.nsimplify(slope)
    assert derivation_width.predicted_slope(sp.nsimplify(exponent), centred=centred) == sp.nsimplify(slope)
