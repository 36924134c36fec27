"""Wide two-layer models: blocks against brute force and the shared norms, the theorem's bound, the recorded scan."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course import models, norms
from lazy_course.criterion import derivation, derivation_width, experiment, width
from lazy_course.criterion.numerics import half_circle

X = half_circle(5)


@pytest.fixture(scope="module")
def net():
    """A small network twice: as the chapter's neurons, and as a model of the shared floor."""
    neurons = width.draw_neurons(jax.random.key(1), 6, 2, law="normal")
    h = models.as_map(models.two_layer("tanh"), X, normalize=True)
    return neurons, h, {"input": neurons.a, "output": neurons.b[None]}


def test_structure_meets_the_shared_norms(net):
    """Output, kernel and the largest block agree with the model h as a black box."""
    neurons, h, params = net
    key = jax.random.key(0)
    assert np.sum(width.outputs(neurons, X), axis=0) == pytest.approx(np.asarray(h(params)), rel=1e-12)
    jacobian = float(norms.jacobian_operator_norm(h, params, key=key))
    assert np.linalg.eigvalsh(width.kernel_sum(neurons, X))[-1] == pytest.approx(jacobian**2, rel=1e-9)
    lower, upper = width.largest_block(width.curvature_blocks(neurons, X))
    shared_lower, shared_upper = norms.hessian_operator_norm(h, params, key=key)
    assert float(shared_lower) <= lower * (1 + 1e-9)
    assert lower == pytest.approx(float(shared_lower), rel=1e-6)
    assert lower <= min(upper, float(shared_upper))


def test_block_norms_beat_brute_force(net):
    """No random direction exceeds the block norm, and the best of 20000 comes within 1 percent of it."""
    blocks = np.asarray(width.curvature_blocks(net[0], X))
    u = np.random.default_rng(0).normal(size=(20_000, 3))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    best = np.max(np.linalg.norm(np.einsum("mnde,sd,se->msn", blocks, u, u), axis=-1), axis=1)
    found = width.block_norms(blocks)
    assert np.all(best <= found * (1 + 1e-12))
    assert np.all(best >= 0.99 * found)
    assert np.all(found <= width.unfolding_norms(blocks))


def test_curvature_bound_holds_and_is_not_idle(net):
    neurons, _, _ = net
    bounds = np.array([width.curvature_bound(abs(float(b)), 1.0) for b in neurons.b])
    found = width.block_norms(width.curvature_blocks(neurons, X))
    assert np.all(found <= bounds)
    assert np.max(found / bounds) > 0.4


def test_curvature_bound_meets_sympy():
    """The 2 x 2 eigenvalue at |b| = X = 1, A = L2 and B = L1, is the 1.456 of the page; the measured block is 0.834."""
    largest = derivation_width.curvature_bound().equation.rhs
    numbers = {"A": width.TANH_CURVATURE, "B": width.TANH_SLOPE}
    value = float(largest.subs({symbol: numbers[symbol.name] for symbol in largest.free_symbols}))
    assert width.curvature_bound(1.0, 1.0) == pytest.approx(value, rel=1e-12)
    assert value == pytest.approx(1.456, abs=5e-4)
    _, cases = experiment.load_widths()
    assert cases["signs"].hessian_lower.max() == pytest.approx(0.834, abs=5e-4)


def test_constants_meet_monte_carlo():
    """Quadrature for G, V and ||phi|| against 40000 draws (standard errors below 1 percent)."""
    constants = width.width_constants(X)
    neurons = width.draw_neurons(jax.random.key(4), 40_000, 2)
    kernel = np.asarray(width.kernel_sum(neurons, X)) / 40_000
    values, vectors = np.linalg.eigh(kernel)
    assert values[-1] == pytest.approx(constants.gain, rel=0.02)
    g = vectors[:, -1]
    activations = np.tanh(np.asarray(neurons.a) @ np.asarray(X).T)
    z = (np.sum(((1 - activations**2) * g @ np.asarray(X)) ** 2, axis=1) + (activations @ g) ** 2) / 5
    assert np.mean(z) == pytest.approx(constants.gain, rel=0.02)
    assert np.mean(z**2) == pytest.approx(constants.second_moment, rel=0.03)
    assert np.mean(np.sum(np.asarray(width.outputs(neurons, X)) ** 2, axis=1)) == pytest.approx(
        constants.neuron_norm**2, rel=0.02
    )


def test_lower_tail_holds_and_is_exponential():
    """P(sum Z <= m G / 2) <= exp(-m G^2 / (8 V)) for fair coins Z in {0, 1}: G = V = 1/2, exact binomial sums."""
    from scipy.stats import binom

    sizes = np.array([4, 16, 64, 256])
    exact = binom.cdf(sizes // 4, sizes, 0.5)
    bounds = np.exp(-sizes * 0.25 / (8 * 0.5))
    assert np.all(exact <= bounds)
    rates = np.log(exact) / np.log(bounds)
    # Cramer's rate, the relative entropy of 1/4 to 1/2, over 1/16: the exponent is loose by 2.09 in the limit.
    limit = (0.25 * np.log(0.5) + 0.75 * np.log(1.5)) * 16
    assert np.all(np.diff(rates) < 0)
    assert limit < rates[-1] < 1.1 * limit


def test_bound_meets_sympy():
    constants = width.WidthConstants(0.7, 1.3, 0.4, 2.1)
    equation = derivation_width.two_layer_bound().equation.rhs
    numbers = {
        derivation_width.GAIN: 0.7,
        derivation_width.NEURON_NORM: 0.4,
        derivation_width.CURVATURE: 2.1,
        derivation_width.WIDTH: 50,
        derivation_width.DELTA: 0.1,
        derivation.ALPHA: 0.3,
        derivation.TARGET_NORM: 1.5,
    }
    assert constants.bound(50, 0.3, 1.5, 0.1) == pytest.approx(float(equation.subs(numbers)), rel=1e-12)


@pytest.mark.parametrize(("case", "title"), [("signs", "as drawn"), ("symmetrized", "symmetrized")])
def test_bound_on_wide_nets_is_true_and_tight_in_rate(case, title):
    """Over the recorded draws the bound holds, with a ratio that stays between 1 and 30 for all widths."""
    settings, cases = experiment.load_widths()
    bounds = experiment.width_bounds(settings, delta=0.05)[title]
    statistics = cases[case]
    for scaling in experiment.SCALINGS:
        # Both ends of norm(D2h): the bound must hold for the upper one.
        factor = statistics.hessian_upper / statistics.hessian_lower
        kappas = np.asarray(statistics.kappa(experiment.target(settings.n), scaling)) * factor
        wide = statistics.widths >= 64
        assert np.all(kappas[:, wide] <= bounds[scaling][wide])
        assert np.max(bounds[scaling][wide] / kappas.mean(0)[wide]) < 30


@pytest.mark.parametrize("case", ["signs", "symmetrized"])
@pytest.mark.parametrize("scaling", [-1.0, -0.5, 0.0])
def test_recorded_slopes_are_the_predicted_ones(case, scaling):
    """Within four standard errors of the mean slope plus 0.03 for the other term at finite width."""
    settings, cases = experiment.load_widths()
    fits = experiment.slopes(cases[case], scaling, n=settings.n)
    predicted = float(derivation_width.predicted_slope(scaling, centred=case == "symmetrized"))
    assert fits.size >= 20
    assert abs(fits.mean() - predicted) < 4 * fits.std(ddof=1) / fits.size**0.5 + 0.03


def test_normal_output_weights_add_a_logarithm():
    """The largest block grows for normal weights, within the corollary's bound, and not for signs."""
    settings, cases = experiment.load_widths()
    normal, signs = cases["normal"], cases["signs"]
    level = np.sqrt(2 * np.log(2 * normal.widths / 0.01))
    assert np.all(normal.hessian_upper <= width.TANH_CURVATURE * level + width.TANH_SLOPE)
    growth = normal.hessian_lower.mean(0)
    assert growth[-1] > 1.7 * growth[0]
    assert signs.hessian_lower.mean(0)[-1] == pytest.approx(signs.hessian_lower.mean(0)[2], rel=0.02)
    slower = experiment.slopes(normal, -0.5, n=settings.n).mean()
    assert slower > experiment.slopes(signs, -0.5, n=settings.n).mean() + 0.04


def test_recorded_scan_is_reproduced():
    """The first draw of the recorded scan at three widths, from its seed."""
    settings, cases = experiment.load_widths()
    pool = width.draw_neurons(jax.random.split(jax.random.key(settings.seed), settings.draws)[0], 2**14, 2)
    x = half_circle(settings.n)
    for column in (0, 3, 5):
        m = cases["signs"].widths[column]
        part = width.Neurons(pool.a[m : 2 * m], pool.b[m : 2 * m])
        lower, _ = width.largest_block(width.curvature_blocks(part, x))
        squared = np.linalg.eigvalsh(width.kernel_sum(part, x))[-1]
        assert squared == pytest.approx(cases["signs"].jacobian_squared[0, column], rel=1e-9)
        assert lower == pytest.approx(cases["signs"].hessian_lower[0, column], rel=1e-6)


def test_alignment_of_the_best_labels_is_one():
    best = width.alignment_draws(jax.random.key(0), draws=5, n=6, d=3, m=20, labels="top")
    noise = width.alignment_draws(jax.random.key(0), draws=5, n=6, d=3, m=20, labels="noise")
    assert best["alignment"] == pytest.approx(np.ones(5))
    assert np.all((noise["least"] <= noise["alignment"]) & (noise["alignment"] < 1))


def test_bad_names_are_refused():
    with pytest.raises(ValueError, match="law: expected"):
        width.draw_neurons(jax.random.key(0), 3, 2, law="cauchy")
    with pytest.raises(ValueError, match="labels: expected"):
        width.alignment_draws(jax.random.key(0), draws=1, n=2, d=2, m=2, labels="odd")
    with pytest.raises(ValueError, match="name: expected"):
        experiment.run("everything")


def test_dead_neurons_do_not_move():
    """Padding adds critical points: the gradient at a = 0, b = 0 vanishes, whatever the loss."""
    params = models.init_two_layer(jax.random.key(0), 2, 4)
    grown = experiment.padded(params, 7)
    h = models.as_map(models.two_layer("tanh"), X)
    assert h(grown) == pytest.approx(np.asarray(h(params)))
    gradient = jax.grad(lambda w: jnp.sum((h(w) - 1.0) ** 2))(grown)
    assert not np.any(gradient["input"][4:])
    assert not np.any(gradient["output"][:, 4:])


def test_interrupted_runs_are_taken_up_again(tmp_path):
    """A second call computes nothing, and other settings start a new record."""
    calls = []

    def job(name):
        return lambda: calls.append(name) or name

    jobs = {name: job(name) for name in ("a", "b")}
    settings = experiment.WidthSettings(draws=1)
    experiment.record(tmp_path / "run.json", settings, {"a": jobs["a"]})
    kept = experiment.record(tmp_path / "run.json", settings, jobs)
    assert calls == ["a", "b"]
    assert kept["results"] == {"a": "a", "b": "b"}
    assert {"settings", "versions", "wall_seconds"} <= set(kept)
    experiment.record(tmp_path / "run.json", experiment.WidthSettings(draws=2), jobs)
    assert calls == ["a", "b", "a", "b"]
