"""Measured rates, constants and bounds; the bounds beside their derivation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp
from jax.flatten_util import ravel_pytree

from lazy_course import expansion, flows
from lazy_course.finite_horizon import bounds, cases, comparisons, derivation, experiment, numerics
from lazy_course.finite_horizon.derivation_expansion import (
    EPS,
    TARGET,
    example_correction,
    example_flows,
    exponential_gap,
)
from lazy_course.lipschitz import lipschitz_of_differential
from lazy_course.losses import square_loss

TANH, DIAGONAL = cases.tanh_problem, cases.diagonal_problem


@pytest.fixture(scope="module")
def tanh():
    return TANH(jax.random.key(3))


@pytest.fixture(scope="module")
def tanh_sweep(tanh):
    return numerics.sweep(tanh)


@pytest.mark.slow
def test_three_rates(tanh_sweep):
    """Theorem 2.2's orders are reached, not only respected: slopes -1, -2, -1 within 0.02 on 10^1..10^7."""
    for run in (tanh_sweep, numerics.sweep(DIAGONAL(jax.random.key(3)))):
        found = numerics.slopes(run)
        assert found["travel"] == pytest.approx(-1, abs=0.02)
        assert found["parameter gap"] == pytest.approx(-2, abs=0.02)
        assert found["output gap"] == pytest.approx(-1, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("odd", [lambda key: DIAGONAL(key, equal=True), lambda key: TANH(key, symmetrized=True)])
def test_odd_symmetry_gains_an_order(odd):
    """With h(P w) = -h(w) and P w0 = w0 the outputs are even in 1/alpha: their gap has slope -2."""
    found = numerics.slopes(numerics.sweep(odd(jax.random.key(3))))
    assert found["output gap"] == pytest.approx(-2, abs=0.02)
    assert found["parameter gap"] == pytest.approx(-2, abs=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(experiment.MODELS))
def test_exact_constants(model):
    """The scaled gaps at alpha = 1e4 are the predicted constants to 1e-3, and the committed table is what runs."""
    rows = experiment.constant_record(model)
    for loss, row in rows.items():
        for what in ("parameters", "outputs"):
            assert row[f"{what} measured"] == pytest.approx(row[f"{what} predicted"], rel=1e-3)
        assert row == pytest.approx(experiment.read()["constants"][model][loss], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(experiment.KINDS))
def test_bounds_hold_on_drawn_problems(kind):
    """Truth on 208 draws of model, data, K, radius and alpha, at every saved time; and the committed figures."""
    found, kept = experiment.draw_record(kind), experiment.read()["draws"][kind]
    assert len(found["K"]) == experiment.COUNT >= 200
    for name, largest in found["largest"].items():
        # 1e-6: the relative accuracy of the flow where the travel bound is nearly attained (small K).
        assert largest.max() <= 1 + 1e-6, name
        np.testing.assert_allclose(found["at T"][name], kept["at T"][name], rtol=1e-4)
    assert found["largest"]["output"].max() > {"diagonal": 0.5, "tanh": 0.1}[kind]
    assert found["largest"]["parameter"].max() > {"diagonal": 0.7, "tanh": 0.3}[kind]
    assert found["largest"]["travel"].max() > 0.9


def test_bounds_are_the_derived_ones():
    """bounds.py and derivation.py were written apart; they agree at random constants, early and late."""
    rng = np.random.default_rng(0)
    s, lip, m, energy, alpha = rng.uniform(0.5, 2, 5)
    ell = 1.3 * s
    c = bounds.Constants(s, ell, lip, m, energy, 1.0)
    square = bounds.Constants(s, ell, lip, 1.0, energy, 1.0)
    numbers = {
        derivation.S: s,
        derivation.ELL: ell,
        derivation.LIP: lip,
        derivation.M: m,
        derivation.E0: energy,
        derivation.D: np.sqrt(2 * energy),
        derivation.ALPHA: alpha,
    }
    pairs = {
        "general_output_gap": (bounds.general_output_bound, 1, c),
        "general_parameter_gap": (bounds.general_parameter_bound, 2, c),
        "convex_output_gap": (bounds.convex_output_bound, 1, c),
        "convex_parameter_gap": (bounds.convex_parameter_bound, 2, c),
        "square_travel": (bounds.square_travel_bound, 1, square),
        "square_output_gap": (bounds.square_output_bound, 1, square),
        "square_parameter_gap": (bounds.square_parameter_bound, 2, square),
        "contraction_parameter_gap": (bounds.contraction_parameter_bound, 2, square),
        "sharper_output_gap": (bounds.sharper_output_bound, 1, square),
        "sharper_parameter_gap": (bounds.sharper_parameter_bound, 2, square),
    }
    for name, (bound, power, constants) in pairs.items():
        for k in (0.7, 5.0):
            time = k / ell**2
            at = {**numbers, derivation.HORIZON: time, derivation.ITERATIONS: k}
            wanted = float(getattr(derivation, name)().equation.rhs.subs(at)) * alpha**power
            assert float(bound(constants, time)) == pytest.approx(wanted, rel=1e-12), name
    ell_wanted = derivation.self_consistent_radius().equation.rhs.subs({**numbers, sp.Symbol("k", positive=True): 2.0})
    got = bounds.self_consistent_lipschitz(s, lip, np.sqrt(2 * energy), alpha, 2.0)
    assert float(got) == pytest.approx(float(ell_wanted), rel=1e-12)


@pytest.mark.parametrize("k", [0.1, 0.5])
def test_sharper_bounds_are_the_plain_ones_before_one_half(k):
    c = bounds.Constants(1.0, 1.2, 0.7, 1.0, 0.5, 1.0)
    time = k / 1.2**2
    plain = [bounds.square_output_bound(c, time), bounds.contraction_parameter_bound(c, time)]
    sharper = [bounds.sharper_output_bound(c, time), bounds.sharper_parameter_bound(c, time)]
    np.testing.assert_allclose(sharper, plain, rtol=1e-12)


@pytest.mark.slow
def test_gronwall_envelope(tanh):
    """The gap lies under the Gronwall envelope and under the convex bound; only the first is exponential in T."""
    curves = numerics.envelope(tanh, cases.two_layer_lipschitz, 100.0, horizon=16.0)
    measured, convex, gronwall = (np.asarray(curves[name])[1:] for name in ("measured", "convex", "gronwall"))
    assert np.all(measured <= convex)
    assert np.all(measured <= gronwall)
    assert gronwall[-1] / measured[-1] > 100 * convex[-1] / measured[-1] > 100


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(experiment.KINDS))
def test_general_and_convex_bounds_hold_for_log_cosh(kind):
    """Six problems at two scales up to T = 4: outputs and parameters are under both theorems' bounds at all times."""
    make, lipschitz = experiment.KINDS[kind]
    horizon, largest = 4.0, 0.0
    for seed in range(6):
        problem = make(jax.random.key(seed), weight=1.0)
        energy = float(problem.loss(problem.h(problem.params0)))
        run = numerics.sweep(problem, np.array([2.0, 30.0]), horizon=horizon)
        for i, alpha in enumerate(run.alphas):
            radius = (horizon * energy) ** 0.5 / alpha
            c = cases.constants(problem, lipschitz(problem, radius), radius)
            promised = {
                "output": (bounds.convex_output_bound, bounds.general_output_bound),
                "parameter": (bounds.convex_parameter_bound, bounds.general_parameter_bound),
            }
            gaps = {"output": run.output_gap[i, 1:], "parameter": run.parameter_gap[i, 1:]}
            for name, pair in promised.items():
                for bound in pair:
                    ratio = gaps[name] / np.asarray(bound(c, run.times[i, 1:]))
                    assert ratio.max() <= 1, (name, bound.__name__, seed, alpha)
                    largest = max(largest, float(ratio.max()))
    # 0.067 (diagonal) and 0.107 (tanh), for the convex parameter bound: it would fail with a constant 15 times smaller.
    assert largest > 0.06


@pytest.mark.slow
def test_first_correction_is_the_limit_of_the_gap_at_every_time(tanh, tanh_sweep):
    limit = numerics.first_correction(tanh)
    gap = jax.tree.map(lambda leaf: leaf[5], tanh_sweep.gap.scaled_parameter_gap)
    for got, wanted in zip(jax.tree.leaves(gap), jax.tree.leaves(limit.correction), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-6)
    np.testing.assert_allclose(tanh_sweep.gap.scaled_output_gap[5], limit.output_correction, atol=1e-6)


@pytest.mark.slow
def test_held_out_points(tanh, tanh_sweep):
    """At new points the gap is 1/alpha times the first correction + O(1/alpha^2), and under the repaired bound."""
    x = jax.random.normal(jax.random.key(8), (20, 3))
    gaps = np.asarray(comparisons.held_out_gap(tanh, tanh_sweep, x))
    limit = np.asarray(comparisons.held_out_limit(tanh, numerics.first_correction(tanh), x))
    rest = np.abs(gaps - limit[None]).max(1)
    assert np.polyfit(np.log(tanh_sweep.alphas[:4]), np.log(rest[:4]), 1)[0] == pytest.approx(-1, abs=0.05)
    # The plain difference, computable at alpha = 10.
    last = jax.tree.map(lambda leaf: leaf[0, -1], tanh_sweep.gap.displacement)
    linear = jax.tree.map(lambda leaf: leaf[0, -1], tanh_sweep.gap.linearized_displacement)
    f = tanh.h.inner.f
    moved = jax.tree.map(lambda w, v: w + v / 10, tanh.params0, last)
    bar = f(tanh.params0, x) * 10 + jax.jvp(lambda w: f(w, x), (tanh.params0,), (linear,))[1]
    np.testing.assert_allclose(gaps[0], 10 * np.abs(10 * f(moved, x) - bar)[:, 0], rtol=1e-6, atol=1e-9)
    bound = comparisons.held_out_bound(tanh, tanh_sweep, x)
    assert np.all(gaps.max(1) <= bound)


@pytest.mark.parametrize(("make", "lipschitz"), list(experiment.KINDS.values()), ids=list(experiment.KINDS))
def test_certified_lipschitz_constants(make, lipschitz):
    """No pair of points in the ball has a larger quotient; for the diagonal model one pair attains it."""
    problem, radius = make(jax.random.key(5)), 0.7
    certified = float(lipschitz(problem, radius))
    flat, unravel = ravel_pytree(problem.params0)
    differential = jax.jit(jax.jacrev(lambda w: problem.h(unravel(w))))
    rng, largest = np.random.default_rng(1), 0.0
    for _ in range(200):
        u, v = rng.normal(size=(2, flat.size))
        a = flat + radius * u / np.linalg.norm(u)
        b = a + 1e-3 * v / np.linalg.norm(v)
        largest = max(largest, float(jnp.linalg.norm(differential(a) - differential(b), 2) / jnp.linalg.norm(a - b)))
    for j in range(flat.size):
        step = np.eye(flat.size)[j] * 1e-3
        quotient = jnp.linalg.norm(differential(flat + step) - differential(flat), 2) / 1e-3
        largest = max(largest, float(quotient))
    assert largest <= certified * (1 + 1e-9)
    assert largest >= (1 - 1e-9 if make is DIAGONAL else 0.2) * certified


def test_homogeneous_flows_lie_on_one_curve():
    pair = comparisons.homogeneous_pair(DIAGONAL(jax.random.key(3)), 8.0, 2, horizon=1.0)
    np.testing.assert_allclose(pair["from_output"], pair["from_weights"], atol=1e-6)
    assert pair["times"][8] == pytest.approx(pair["clock"][64]), "s = t / 8 for m = 2, alpha = 8"
    assert np.abs(pair["from_output"][8] - pair["from_weights"][64]).max() > 1e-2, "equal times: not on one curve"


def test_smallest_example_against_its_closed_form():
    """h = w + w^2/2: the integrated gap is y - ybar of the closed form, and v1 is the one solved by sympy."""
    times = np.linspace(0.0, 3.0, 7)

    def h(w):
        return w + w**2 / 2

    loss = square_loss(np.ones(1))
    gap = flows.flow_gap(h, jnp.zeros(1), loss, alpha=10.0, times=times)
    y, ybar = example_flows()
    (t,) = ybar.free_symbols - {TARGET}
    exact = sp.lambdify(t, ((y - ybar) / EPS).subs({TARGET: 1, EPS: sp.Rational(1, 10)}))
    np.testing.assert_allclose(gap.scaled_output_gap[:, 0], exact(times), atol=1e-7)
    limit = expansion.first_correction(h, jnp.zeros(1), loss, times=times)
    v1 = sp.lambdify(t, example_correction().equation.rhs.subs(TARGET, 1))
    np.testing.assert_allclose(limit.correction[:, 0], v1(times), atol=1e-7)


def test_the_exponential_is_real():
    """A loss with a negative second derivative -M makes the gap grow like exp(M S^2 t): here e^t / 6."""

    def h(w):
        return jnp.stack([w[0], w[1] + w[0] ** 2 / 2])

    def loss(y):
        return 0.5 * (y[0] - 1) ** 2 + 1 + jnp.cos(y[1])

    times = np.linspace(0.0, 8.0, 9)
    gap = flows.flow_gap(h, jnp.zeros(2), loss, alpha=1e8, times=times)
    growth = exponential_gap().equation.rhs
    (t,) = growth.free_symbols
    np.testing.assert_allclose(gap.scaled_output_gap[:, 1], sp.lambdify(t, growth)(times), rtol=1e-5, atol=1e-7)
    # It still obeys Theorem 2.2: S = M = 1, E0 = 5/2, L = 1, and ell = 1 up to the tiny ball.
    c = bounds.Constants(1.0, 1.0 + 1e-6, 1.0, 1.0, 2.5, 1e-6)
    assert np.all(np.abs(gap.scaled_output_gap[1:, 1]) <= bounds.general_output_bound(c, times[1:]))
    moved = np.linalg.norm(gap.scaled_parameter_gap[1:], axis=1)
    assert np.all(moved <= bounds.general_parameter_bound(c, times[1:]))
    # Tight in the exponent: the quotient of bound and gap grows like a power of T, not like an exponential.
    quotient = np.asarray(bounds.general_output_bound(c, times[1:])) / np.abs(gap.scaled_output_gap[1:, 1])
    assert quotient[-1] < 4 * quotient[2]


@pytest.mark.slow
def test_outputs_and_gradients_stay_bounded(tanh, tanh_sweep):
    """||y - y(0)|| <= ell sqrt(t E0) and ||grad R(y)|| <= sqrt(2 M E0) at every saved time and every alpha."""
    energy = float(tanh.loss(tanh.h(tanh.params0)))
    radius = (2.0 * energy) ** 0.5 / 10
    c = cases.constants(tanh, cases.two_layer_lipschitz(tanh, radius), radius)
    moved = np.linalg.norm(tanh_sweep.gap.outputs, axis=-1)
    allowed = np.asarray(c.lipschitz * bounds.travel_bound(c, tanh_sweep.times))
    assert np.all(moved[:, 1:] <= allowed[:, 1:])
    gradients = np.linalg.norm(tanh_sweep.gap.outputs - np.asarray(tanh.loss.target), axis=-1)
    # The square loss attains the bound at time 0.
    assert gradients.max() == pytest.approx((2 * energy) ** 0.5, rel=1e-12)


def test_certificates_are_those_of_the_shared_module():
    for make, lipschitz in experiment.KINDS.values():
        problem = make(jax.random.key(5))
        shared = lipschitz_of_differential(problem.h, problem.params0)
        assert float(lipschitz(problem, 0.7)) == pytest.approx(shared(0.7), rel=1e-12)
