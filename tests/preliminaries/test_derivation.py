"""The algebra of the preliminaries: every gap vanishes, every closed form is the one that the page states."""

import sympy as sp

from lazy_course.preliminaries import derivation


def test_gradient_is_the_adjoint_applied_to_the_residual():
    by_chain_rule = derivation.valley_differential().T * derivation.valley()
    assert (derivation.valley_gradient() - by_chain_rule).applyfunc(sp.expand) == sp.zeros(2, 1)


def test_numbers_of_the_running_example():
    assert derivation.at_start(derivation.valley()) == sp.Matrix([sp.Rational(3, 2), 2])
    assert derivation.at_start(derivation.valley_objective()) == sp.Rational(25, 8)
    assert derivation.at_start(derivation.valley_gradient()) == sp.Matrix([sp.Rational(9, 2), 2])


def test_empirical_norm_counts_its_factor_once():
    in_the_norm, times_adjoint = derivation.weighted_gradient_gaps()
    assert in_the_norm == sp.zeros(3, 1)
    assert times_adjoint == sp.zeros(2, 1)


def test_singular_values_are_roots_and_inverse_to_each_other():
    largest, smallest = derivation.valley_singular_values()
    assert derivation.singular_value_polynomial(largest) == 0
    assert derivation.singular_value_polynomial(smallest) == 0
    assert derivation.singular_value_polynomial(2 * smallest) != 0
    assert sp.simplify(largest * smallest) == 1
    at_start = {derivation.SLOPE: sp.Rational(3, 2)}
    assert (largest.subs(at_start), smallest.subs(at_start)) == (2, sp.Rational(1, 2))


def test_adjoint_square_is_the_kernel_form():
    assert derivation.adjoint_square_gap() == 0
    assert derivation.adjoint_square_gap(rows=3, columns=2) == 0


def test_polarization_and_parallelogram():
    assert derivation.polarization_gap() == 0
    assert derivation.parallelogram_gap() == 0


def test_taylor_step():
    assert derivation.taylor_step_gap() == 0


def test_hessian_of_a_scaled_least_squares_objective():
    assert derivation.least_squares_hessian_gap() == sp.zeros(2, 2)


def test_valley_is_not_convex():
    determinant = sp.expand(derivation.valley_hessian().det() - (1 + derivation.valley()[1]))
    assert determinant == 0


def test_energy_falls_by_the_squared_gradient():
    assert derivation.energy_rate_gap() == 0


def test_best_step_of_the_upper_model():
    value, g, lipschitz = sp.Symbol("F", real=True), sp.Symbol("g", real=True), sp.Symbol("L", positive=True)
    assert sp.simplify(derivation.upper_model_at_step() - (value - g**2 / (2 * lipschitz))) == 0


def test_recursion_of_the_descent_error():
    closed = derivation.descent_recursion()
    k = next(s for s in closed.free_symbols if s.name == "k")
    eta, m = sp.symbols("eta M", positive=True)
    assert sp.expand(closed.subs(k, 1) - eta**2 * m / 2) == 0


def test_descent_gap_of_a_parabola():
    t = sp.Symbol("t", positive=True)
    assert sp.simplify(derivation.descent_gap_of_a_parabola() - t * sp.exp(-t) / 2) == 0


def test_gronwall_integrating_factor_and_constant_rate():
    assert derivation.integrating_factor_gap() == 0
    envelope = derivation.gronwall_constant_rate()
    symbols = {s.name: s for s in envelope.free_symbols}
    t, a, b, start = symbols["t"], symbols["a"], symbols["b"], symbols["u_0"]
    assert sp.simplify(envelope - (start * sp.exp(a * t) + b / a * (sp.exp(a * t) - 1))) == 0
    assert sp.simplify(derivation.gronwall_without_forcing() - (start + b * t)) == 0


def test_gronwall_integral_form_step():
    assert derivation.gronwall_integral_gap() == 0


def test_lower_model_of_a_strongly_convex_function():
    gap, minimum = derivation.lower_model_minimum()
    value, g1, g2 = sp.symbols("F g_1 g_2", real=True)
    mu = sp.Symbol("mu", positive=True)
    assert gap == 0
    assert sp.simplify(minimum - (value - (g1**2 + g2**2) / (2 * mu))) == 0


def test_decay_and_length_in_the_extreme_case():
    mu, start = sp.symbols("mu E_0", positive=True)
    t = sp.Symbol("t", nonnegative=True)
    assert sp.simplify(derivation.decay_under_polyak_lojasiewicz() - start * sp.exp(-2 * mu * t)) == 0
    assert sp.simplify(derivation.root_energy_speed() - sp.sqrt(mu / 2)) == 0


def test_rate_of_the_valley():
    rate = derivation.valley_rate(sp.Rational(5, 2))
    assert sp.simplify(rate - (33 - 5 * sp.sqrt(41)) / 8) == 0
    # sigma_min falls as s grows, so the least is at the largest |w1| of the set.
    _, smallest = derivation.valley_singular_values()
    assert sp.diff(smallest, derivation.SLOPE).subs(derivation.SLOPE, 1) < 0
