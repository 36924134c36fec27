"""One test for each mistake of the sources that the chapter meets and that a computation can show."""

import numpy as np
import pytest
import sympy as sp
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from lazy_course import errata
from lazy_course.finite_horizon import bounds, derivation, derivation_expansion
from lazy_course.finite_horizon.derivation import ALPHA, ITERATIONS, TIME
from lazy_course.finite_horizon.derivation_expansion import DEGREE, EPS, TARGET

T = TIME
W = sp.Symbol("w", real=True)


def test_P13_a_local_constant_is_not_a_global_one():
    """Dh = 3 w^2 of h = w^3: on [-b, b] the quotient is at most 6 b, and on the line it is unbounded."""
    a, b = sp.symbols("a b", positive=True)
    quotient = sp.factor((3 * (a + b) ** 2 - 3 * b**2) / a)
    assert sp.expand(quotient - (3 * a + 6 * b)) == 0
    assert sp.limit(quotient, b, sp.oo) == sp.oo


def test_S1_the_last_constant_is_missing():
    """alpha^2 sup ||w - wbar|| of the smallest example with y* = 3 tends to at least 9/2, not to at most 1."""
    v1 = derivation_expansion.example_correction().equation.rhs
    assert sp.limit(v1.subs(TARGET, 3), T, sp.oo) == -sp.Rational(9, 2)


def test_S2_the_factor_two():
    row = derivation.residual_identity()
    assert row.holds
    # h = alpha w, one parameter: d/dt r^2 = -2 r^2, so the printed -r^2 misses by r^2.
    r = sp.exp(-T)
    assert sp.simplify(sp.diff(r**2, T) + 2 * r**2) == 0
    assert sp.simplify(sp.diff(r**2, T) + r**2) != 0


def test_S4_four_times_tighter():
    row = derivation.square_parameter_gap()
    assert row.remainders() == dict.fromkeys(row.checks, 0)
    assert "the supplement's factor is four times this one" in row.checks


def test_S6_without_the_hypothesis_on_the_travel_the_claim_is_false():
    """f(w, x) = w + x w^2/2, trained at x = 0 from w0 = 1: w = wbar, yet the gap at x = 1 grows like alpha."""
    w = 1 + (1 / ALPHA - 1) * (1 - sp.exp(-T))  # gradient flow of (alpha w - 1)^2 / (2 alpha^2)
    assert sp.simplify(sp.diff(w, T) + (ALPHA * w - 1) / ALPHA) == 0
    gap = ALPHA * (w + w**2 / 2) - ALPHA * (sp.Rational(3, 2) + 2 * (w - 1))
    grows = sp.limit(gap.subs(T, 1) / ALPHA, ALPHA, sp.oo)
    assert sp.simplify(grows - (1 - sp.exp(-1)) ** 2 / 2) == 0
    assert derivation_expansion.generalization_gap().holds


def test_S9_the_printed_energy_bound_fails():
    """h = w, R = (y - 1)^2/2, alpha = 1, T = 5: 0.993 is not below sqrt(T F(w(T))) = 0.011."""
    w = 1 - sp.exp(-5)
    printed = sp.sqrt(5 * (w - 1) ** 2 / 2)
    mended = sp.sqrt(5 * sp.Rational(1, 2))
    assert float(w) == pytest.approx(0.993, abs=1e-3)
    assert float(printed) == pytest.approx(0.011, abs=1e-3)
    assert printed < w <= mended


def test_S16_only_at_the_end_is_the_ball_reached():
    bound = ITERATIONS * derivation.D / (ALPHA * derivation.ELL)
    assert sp.simplify(derivation.square_travel().equation.rhs - bound) == 0
    # At time t the bound is (t ell^2 / K) r: equal to r at t = T = K / ell^2 only.
    share = T * derivation.ELL**2 / ITERATIONS
    assert sp.solve(sp.Eq(share, 1), T) == [ITERATIONS / derivation.ELL**2]


def test_S17_the_contraction_bound_is_sharper():
    old, new = derivation.square_parameter_gap(), derivation.contraction_parameter_gap()
    assert new.holds
    ratio = sp.simplify(old.equation.rhs / new.equation.rhs)
    assert sp.limit(ratio, ITERATIONS, sp.oo) == 2
    assert ratio.subs(ITERATIONS, 0) == 1


def test_C7_the_objective_is_less_smooth_than_printed():
    """h = w + w^2/2, alpha = 1, y* = 5: abs(F''(0)) = 4, above Lip(h)^2 = 1.21 on the ball of radius 0.1."""
    h = W + W**2 / 2
    second = sp.diff((h - 5) ** 2 / 2, W, 2).subs(W, 0)
    lipschitz, largest = sp.Rational(11, 10), 5 + sp.Rational(1, 10)
    assert abs(second) == 4 > lipschitz**2
    assert abs(second) <= lipschitz**2 + largest
    assert derivation_expansion.smoothness_of_objective().holds


def test_C8_convexity_is_enough_to_lose_the_exponential():
    row = derivation.convex_output_gap()
    assert row.holds
    assert not row.equation.rhs.has(sp.exp)
    assert derivation.general_output_gap().equation.rhs.has(sp.exp)


def test_C9_the_growth_in_K_is_three_halves():
    row = derivation.sharper_output_gap()
    assert row.holds
    factor = row.equation.rhs / (derivation.square_output_gap().equation.rhs / ITERATIONS**2)
    assert sp.limit(factor / ITERATIONS ** sp.Rational(3, 2), ITERATIONS, sp.oo) == 2 * sp.sqrt(2) / 3
    assert sp.limit(factor / ITERATIONS**2, ITERATIONS, sp.oo) == 0


def test_C10_a_step_of_one_over_lip_is_not_the_flow():
    """h = w, y* = 1: one step of size 1 / Lip(h)^2 reaches 1, the flow at T = 1 reaches 1 - 1/e."""
    step = 0 - 1 * (0 - 1)
    flow = 1 - sp.exp(-1)
    assert step == 1
    assert float(step - flow) == pytest.approx(0.368, abs=1e-3)


def test_Y2_the_outputs_are_bounded_in_alpha():
    """In the smallest example y(t) - y(0) is at most y* for every alpha, and at most ell sqrt(T E0)."""
    y, _ = derivation_expansion.example_flows()
    values = [float(y.subs({TARGET: 1, TIME: 3, EPS: sp.Rational(1, 10**k)})) for k in range(7)]
    assert max(values) <= 1
    assert max(values) <= 1 * np.sqrt(3 * 0.5) * 1.01
    assert values[-1] > 0.9, "so that C alpha, which is 10^6 C here, says nothing"


def test_Y3_the_extreme_value_depends_on_alpha():
    """sup of abs(alpha h - 1) on a fixed ball grows like alpha; on the ball of radius c / alpha it tends to c + 1."""
    c = sp.Symbol("c", positive=True)
    gradient = sp.Abs(ALPHA * (W + W**2 / 2) - 1)
    assert sp.limit((1 - ALPHA * (-c + c**2 / 2)).subs(c, 1), ALPHA, sp.oo) == sp.oo
    shrinking = gradient.subs(W, -c / ALPHA).subs(c, 2)
    assert sp.limit(shrinking, ALPHA, sp.oo) == 3


def test_Y5_only_up_to_a_change_of_time():
    row = derivation_expansion.change_of_time()
    assert row.holds
    factor = sp.simplify(row.equation.rhs * ALPHA**2 / TIME)  # the report's flow, of R(h) / alpha^2
    assert sp.simplify(factor - ALPHA ** (2 / DEGREE)) == 0
    assert sp.simplify(factor.subs({DEGREE: 2, ALPHA: 9})) == 9


def test_Y7_the_signs_of_the_linearized_output_flow():
    _, ybar = derivation_expansion.example_flows()
    speed, gradient = sp.diff(ybar, TIME), ybar - TARGET
    assert sp.simplify(speed + gradient) == 0
    assert sp.simplify(speed - gradient) != 0


def test_Y8_the_travel_grows_like_the_root_of_T():
    c = bounds.Constants(1.0, 1.1, 1.0, 1.0, 0.5, 1.0)
    assert float(bounds.travel_bound(c, 16.0) / bounds.travel_bound(c, 4.0)) == pytest.approx(2)
    assert float(bounds.general_output_bound(c, 16.0) / bounds.general_output_bound(c, 4.0)) > 1e4


def test_Y13_inequalities_are_not_differentiated():
    """(1 - cos 20 t) / 10 <= 1/5, but its derivative exceeds 0."""
    f = (1 - sp.cos(20 * T)) / 10
    assert all(f.subs(T, sp.Rational(k, 50)) <= sp.Rational(1, 5) for k in range(50))
    assert sp.diff(f, T).subs(T, sp.pi / 40) == 2


def test_Y20_the_gap_passes_through_zero_with_a_kink():
    """h = w + w^2/2 - w^3, y* = 1, alpha = 1: y - ybar changes sign at t = 0.644 with slope -0.18."""

    def flow(_, w):
        return -(1 + w - 3 * w**2) * (w + w**2 / 2 - w**3 - 1)

    solved = solve_ivp(flow, (0, 1), [0.0], rtol=1e-12, atol=1e-13, dense_output=True)

    def gap(t):
        w = solved.sol(t)[0]
        return w + w**2 / 2 - w**3 - (1 - np.exp(-t))

    crossing, step = brentq(gap, 0.3, 0.9), 1e-4
    assert crossing == pytest.approx(0.644, abs=1e-3)
    assert gap(0.3) > 0 > gap(1.0) == pytest.approx(-0.0765, abs=1e-4)
    left, right = (abs(gap(crossing + side * step)) / (side * step) for side in (-1, 1))
    # The two one-sided slopes of |y - ybar|: opposite, so there is no derivative.
    assert right == pytest.approx(0.1797, abs=1e-3)
    assert left == pytest.approx(-0.1797, abs=1e-3)


def test_the_register_is_read():
    rows = errata.load("finite_horizon")
    assert {"P2", "S4", "C8", "Y5"} <= {row.id for row in rows}
