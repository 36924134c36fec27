"""Every step of the chapter's algebra is an expression that simplifies to zero."""

import pytest
import sympy as sp

from lazy_course.derived import Derived
from lazy_course.finite_horizon import derivation, derivation_expansion
from lazy_course.finite_horizon.derivation import ALPHA, HORIZON, ITERATIONS, TIME
from lazy_course.finite_horizon.derivation_expansion import EPS, TARGET
from tests.derivations import assert_balanced, assert_zero


@pytest.fixture(scope="module")
def derived():
    return derivation.all_bounds() | derivation_expansion.all_expansions()


def test_every_step_is_zero(derived):
    for row in derived.values():
        assert_zero(row)


def test_a_wrong_step_is_seen():
    x = sp.Symbol("x")
    assert not Derived(sp.Eq(x, x, evaluate=False), {"wrong": x**2 - x}).holds
    assert not Derived(sp.Eq(x, x, evaluate=False), {}).holds


def test_printed_equations_are_balanced_latex(derived):
    assert_balanced(derived)


def test_energy_and_residual_identities(derived):
    assert derived["energy_identity"].holds
    assert derived["residual_identity"].holds


def test_gronwall_is_the_only_exponential(derived):
    """The general bound grows like exp(M S^2 T), the convex one like T^2 (outputs and parameters)."""
    general, convex = derived["general_output_gap"].equation.rhs, derived["convex_output_gap"].equation.rhs
    ones = dict.fromkeys(general.free_symbols - {HORIZON}, 1)
    assert sp.limit(sp.log(general.subs(ones)) / HORIZON, HORIZON, sp.oo) == 1
    for name in ("convex_output_gap", "convex_parameter_gap"):
        rhs = derived[name].equation.rhs
        fixed = rhs.subs(dict.fromkeys(rhs.free_symbols - {HORIZON}, 1))
        assert sp.limit(fixed / HORIZON**2, HORIZON, sp.oo) == sp.Rational(1, 4)
    assert not convex.has(sp.exp)


def test_orders_in_alpha(derived):
    """Outputs 1/alpha, parameters 1/alpha^2, travel 1/alpha: no other power of alpha in any bound."""
    orders = {
        "general_output_gap": 1,
        "convex_output_gap": 1,
        "square_output_gap": 1,
        "sharper_output_gap": 1,
        "square_travel": 1,
        "general_parameter_gap": 2,
        "convex_parameter_gap": 2,
        "square_parameter_gap": 2,
        "contraction_parameter_gap": 2,
        "sharper_parameter_gap": 2,
    }
    for name, order in orders.items():
        constant = sp.simplify(derived[name].equation.rhs * ALPHA**order)
        assert ALPHA not in constant.free_symbols, name


def test_each_sharper_factor_is_below_the_one_it_replaces(derived):
    unit = derived["square_output_gap"].equation.rhs / ITERATIONS**2
    ratio = sp.simplify(derived["sharper_output_gap"].equation.rhs / unit)
    unit_w = derived["square_parameter_gap"].equation.rhs / (ITERATIONS**2 * (sp.Rational(1, 2) + ITERATIONS / 3))
    names = ("square_parameter_gap", "contraction_parameter_gap", "sharper_parameter_gap")
    factors = [sp.simplify(derived[name].equation.rhs / unit_w) for name in names]
    for value in (sp.Rational(3, 4), 1, 3, 10, 100):
        assert ratio.subs(ITERATIONS, value) < value**2
        printed, contraction, sharper = (factor.subs(ITERATIONS, value) for factor in factors)
        assert sharper < contraction < printed


def test_first_correction(derived):
    assert derived["first_correction"].holds


def test_the_correction_sees_a_changed_sign():
    """With the sign of the force flipped, both entries of order one are left over, and only they."""
    left = derivation_expansion.first_correction(force_sign=1).remainders()
    assert {name for name, value in left.items() if value != 0} == {"order 1, entry 0", "order 1, entry 1"}


def test_example_is_exact(derived):
    for name in ("example_solution", "example_correction", "example_output_correction"):
        assert derived[name].holds
    y, ybar = derivation_expansion.example_flows()
    numbers = {TARGET: 1, TIME: sp.Rational(3, 2)}
    gap = (y - ybar).subs(numbers)
    wanted = derived["example_output_correction"].equation.rhs.subs(numbers)
    assert abs(sp.N((gap / EPS).subs(EPS, sp.Rational(1, 10**6)) - wanted)) < 1e-5


def test_theorem_23_holds_on_the_example_and_is_sharp_for_small_times(derived):
    """h = w + w^2/2: ell = 1 + r, L = 1; the ratio gap / bound tends to 1 as K -> 0 and alpha -> infinity."""
    y, ybar = derivation_expansion.example_flows()
    for alpha, k in ((10, 1), (100, sp.Rational(1, 2)), (1000, sp.Rational(1, 100))):
        # The self-consistent radius for D = 1, S = 1, L = 1.
        ell = (1 + sp.sqrt(1 + 4 * sp.Rational(k) / alpha)) / 2
        gap = sp.N((y - ybar).subs({EPS: sp.Rational(1, alpha), TARGET: 1, TIME: k / ell**2}))
        bound = sp.N(sp.Rational(k) ** 2 / (alpha * ell**2))
        assert 0 < gap <= bound
    assert gap / bound > 0.9
    limit = derived["example_output_correction"].equation.rhs.subs(TARGET, 1)
    assert sp.limit(limit / TIME**2, TIME, 0) == 1


def test_sharp_constant_of_the_parameter_bound(derived):
    """v1 = t^2/2 + O(t^3) on the example: the 1/2 of 1/2 + K/3 cannot be lowered."""
    v1 = derived["example_correction"].equation.rhs.subs(TARGET, 1)
    assert sp.limit(v1 / TIME**2, TIME, 0) == sp.Rational(1, 2)


def test_change_of_time(derived):
    """Both clocks: s = alpha^(2/q - 2) t for R(h), and alpha^2 times it for R(h)/alpha^2."""
    row = derived["change_of_time"]
    assert row.holds
    degree = derivation_expansion.DEGREE
    assert sp.simplify(row.equation.rhs * ALPHA**2 - ALPHA ** (2 / degree) * TIME) == 0
    assert row.equation.rhs.subs(degree, 1) == TIME


def test_relu_is_not_lipschitz_even_on_average(derived):
    squared = derived["relu_modulus"].equation.rhs
    (angle,) = squared.free_symbols
    assert sp.limit(sp.sqrt(squared) / angle, angle, 0) == sp.oo
    assert derived["relu_modulus"].holds


def test_self_consistent_radius(derived):
    assert derived["self_consistent_radius"].holds


def test_odd_symmetry_of_a_doubled_pair(derived):
    assert derived["odd_symmetry"].holds


def test_certified_block(derived):
    """The algebra of the lemma, and on a grid tanh'' never exceeds the value at its stationary point."""
    assert derived["certified_block"].holds
    z = sp.Symbol("z", real=True)
    second = sp.lambdify(z, sp.diff(sp.tanh(z), z, 2))
    assert max(abs(second(k / 50)) for k in range(-300, 300)) <= 4 / (3 * 3**0.5)
