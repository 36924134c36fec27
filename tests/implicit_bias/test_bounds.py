"""The explicit bounds of the chapter: true on drawn instances, and as tight as the page says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import lambertw

from lazy_course import kernels, models, norms
from lazy_course.flows import linearized_flow_closed_form
from lazy_course.implicit_bias import bounds, derivation_bounds, flow, numerics

ALPHAS = np.logspace(1, -8, 19)


def drawn(seed, n=4, d=9, nonzeros=2):
    """Gaussian data with a target of few entries, and that target."""
    generator = np.random.default_rng(seed)
    target = np.zeros(d)
    target[:nonzeros] = generator.normal(size=nonzeros)
    data = generator.normal(size=(n, d))
    return data, data @ target, target


@pytest.fixture(scope="module")
def instances():
    """Six instances of one shape with their minimizers at ALPHAS and their l1 solutions."""
    found = []
    for seed in range(6):
        x, y, _ = drawn(seed)
        found.append((x, y, np.asarray(numerics.minimum_q_interpolator(x, y, ALPHAS)), numerics.minimum_l1(x, y)))
    return found


def test_kernel_scale_and_linearized_limit_of_the_start():
    """K = 8 alpha^2 x.x', kappa in closed form against the shared norms, and the linearized flow ends at beta_2."""
    x, y, _ = drawn(2)
    for alpha in (0.3, 2.0):
        params = models.init_diagonal(9, alpha)
        theta = np.asarray(kernels.tangent_kernel(models.diagonal(), params, x))[:, 0, :, 0]
        assert theta == pytest.approx(8 * alpha**2 * x @ x.T)
        h = models.as_map(models.diagonal(), jnp.asarray(x))
        lower, upper = norms.inverse_relative_scale(h, params, jnp.asarray(y), key=jax.random.key(0))
        exact = bounds.inverse_relative_scale(x, y, alpha)
        assert lower * (1 - 1e-6) <= exact <= upper * (1 + 1e-6)
        assert lower == pytest.approx(exact, rel=1e-3)
        end = linearized_flow_closed_form(h, params, y, alpha=1.0, times=[0.0, 1e4]).params
        moved = 2 * alpha * (np.asarray(end["plus"][-1]) - np.asarray(end["minus"][-1]))
        assert moved == pytest.approx(np.asarray(numerics.minimum_l2(x, y)), abs=1e-10)


@pytest.mark.parametrize("name", list(derivation_bounds.all_bounds()))
def test_every_step_is_zero(name):
    derived = derivation_bounds.all_bounds()[name]
    assert derived.holds, derived.remainders()


def test_the_conjugate_is_the_maximum():
    """phi*(s) = 2 alpha^2 (cosh s - 1) against a search over b, with numerics.q."""
    for alpha, s in ((0.5, 1.3), (1.5, 0.2)):
        b = np.linspace(0, 20, 200_001)
        searched = np.max(s * b - alpha**2 * np.asarray(numerics.q(b / alpha**2)))
        assert searched == pytest.approx(2 * alpha**2 * (np.cosh(s) - 1), rel=1e-8)


def test_the_functional_lies_between_its_bounds():
    """0 <= b (log(b/alpha^2) - 1) + 2 alpha^2 - phi(b) <= alpha^4/b; the upper one is approached for large b."""
    z = np.logspace(-6, 4, 401)
    difference = z * (np.log(z) - 1) + 2 - np.asarray(numerics.q(z))
    assert np.all(difference >= -1e-11 * z)
    assert np.all(difference <= 1 / z + 1e-11 * z)
    assert difference[np.searchsorted(z, 100.0)] * 100 == pytest.approx(1.0, rel=0.02)


def test_the_large_scale_bounds_hold_and_the_correction_is_the_first_term(instances):
    met = 0
    for x, y, betas, _ in instances:
        least = np.asarray(numerics.minimum_l2(x, y))
        for alpha, beta in zip(ALPHAS, betas, strict=True):
            found = bounds.large_scale(x, y, alpha)
            if found.applies:
                met += 1
                gap = beta - least
                assert np.linalg.norm(gap) <= found.distance
                assert np.linalg.norm(gap - found.correction) <= found.remainder + 1e-14
                assert np.linalg.norm(found.correction) <= 21 / 24 * found.distance
    assert met >= 10


def test_the_large_scale_remainder_is_of_order_alpha_to_minus_eight():
    x, y = np.array([[1.0, 0.5]]), np.array([1.0])
    left = []
    for alpha in (2.0, 4.0):
        beta = np.asarray(numerics.minimum_q_interpolator(x, y, alpha))
        found = bounds.large_scale(x, y, alpha)
        assert found.correction * alpha**4 == pytest.approx([2 / 625, -4 / 625])
        left.append(np.linalg.norm(beta - np.array([0.8, 0.4]) - found.correction))
    assert np.log2(left[0] / left[1]) == pytest.approx(8.0, abs=0.1)


def test_the_logarithmic_bound_holds_for_all_instances(instances):
    met = 0
    for _, _, betas, l1 in instances:
        least = np.sum(np.abs(l1.beta))
        for alpha, beta in zip(ALPHAS, betas, strict=True):
            if alpha**2 < 0.9 * least / 9:
                met += 1
                relative = float(numerics.excess(beta, l1)) / least
                assert 0 <= relative <= bounds.logarithmic_bound(least, int(l1.support.sum()), 9, alpha)
    assert met > 50


def test_the_logarithmic_bound_is_of_the_right_order():
    """X = (1, 1 - x/lambda): lambda times the excess tends to x/(1 + e^x), largest W(1/e); the bound is log 2."""
    best = 1 + float(lambertw(np.exp(-1)).real)
    off = []
    for alpha in (1e-4, 1e-8, 1e-12):
        lam = -2 * np.log(alpha)
        for x in (0.5, best, 3.0):
            data = np.array([[1.0, 1 - x / lam]])
            l1 = numerics.minimum_l1(data, np.array([1.0]))
            relative = float(numerics.excess(numerics.minimum_q_interpolator(data, np.array([1.0]), alpha), l1))
            assert relative <= bounds.logarithmic_bound(1.0, 1, 2, alpha)
            off.append(relative * lam - x / (1 + np.exp(x)))
    assert np.all(np.abs(off[6:]) < 0.01)
    assert np.all(np.abs(off[6:]) < 0.4 * np.abs(off[:3]))
    assert bounds.logarithmic_bound(1.0, 1, 2, 1e-12) * lam / (best - 1) == pytest.approx(2.5, abs=0.1)


def test_the_logarithmic_bound_asks_for_a_small_alpha():
    with pytest.raises(ValueError, match="alpha"):
        bounds.logarithmic_bound(1.0, 1, 10, 0.5)


def test_the_excess_bound_holds(instances):
    met = 0
    for x, _, betas, l1 in instances:
        for alpha, beta in zip(ALPHAS, betas, strict=True):
            if alpha**2 <= min(1.0, np.min(np.abs(l1.beta[l1.support])) / np.e):
                met += 1
                assert 0 <= float(numerics.excess(beta, l1)) <= bounds.excess_bound(x, l1, alpha)
    assert met > 60


def test_the_excess_bound_is_tight_up_to_a_factor():
    """X = (1, c), y = 1: the excess over alpha^(2(1-c)) tends to 1 - c; the bound has e^2."""
    for c in (0.3, 0.8):
        x, y, alpha = np.array([[1.0, c]]), np.array([1.0]), 1e-12
        l1 = numerics.minimum_l1(x, y)
        found = float(numerics.excess(numerics.minimum_q_interpolator(x, y, alpha), l1))
        assert found / alpha ** (2 * (1 - c)) == pytest.approx(1 - c, rel=1e-3)
        assert bounds.excess_bound(x, l1, alpha) / found == pytest.approx(np.e**2 / (1 - c), rel=2e-3)


def test_the_excess_bound_says_what_it_needs():
    x, y = np.array([[1.0, 0.5]]), np.array([1.0])
    with pytest.raises(ValueError, match="alpha"):
        bounds.excess_bound(x, numerics.minimum_l1(x, y), 0.7)


def test_the_excess_falls_with_the_exponent_of_the_certificate():
    """Both sides of the theorem: between two alpha far down, the slope of the excess is 2(1 - c)."""
    for seed in (0, 1, 3):
        x, y, _ = drawn(seed)
        l1 = numerics.minimum_l1(x, y)
        assert 0 < l1.largest < 1
        small = [1e-9, 1e-11]
        excess = np.asarray(numerics.excess(numerics.minimum_q_interpolator(x, y, small), l1))
        assert np.log10(excess[0] / excess[1]) / 2 == pytest.approx(2 * (1 - l1.largest), abs=0.02)


def test_among_several_l1_solutions_the_limit_has_the_greatest_entropy():
    """Three equal columns: every split has the same l1 norm, and the limit is the even one. With columns of the face
    b1 + b2 = 1, b1 - b3 = 0 the maximizer of -sum b log b is found by a search."""
    x, y = np.array([[1.0, 1.0, 1.0, 0.3]]), np.array([1.0])
    assert np.asarray(numerics.minimum_q_interpolator(x, y, 1e-10)) == pytest.approx([1 / 3] * 3 + [0.0], abs=1e-9)
    x = np.array([[1.0, 1.0, 1.0, 0.2], [1.0, -1.0, 0.5, 0.1]])
    y = np.array([1.0, 0.1])
    # x^T rho = (1, 1, 1, .2) for rho = (1, 0): the face is b1 + b2 + b3 = 1, b1 - b2 + b3/2 = 0.1.
    b3 = np.linspace(1e-6, 0.73, 400_001)
    b1 = (1.1 - 1.5 * b3) / 2
    b2 = 1 - b1 - b3
    inside = (b1 > 0) & (b2 > 0)
    entropy = -sum(b[inside] * np.log(b[inside]) for b in (b1, b2, b3))
    best = [b[inside][np.argmax(entropy)] for b in (b1, b2, b3)]
    assert np.asarray(numerics.minimum_q_interpolator(x, y, 1e-10))[:3] == pytest.approx(best, abs=1e-5)


def test_on_the_way_beta_is_the_minimizer_for_its_own_outputs():
    """At three times of the dual flow: the minimizer of Q for the outputs X beta(t) is beta(t)."""
    x, y, _ = drawn(4)
    path = flow.flow(x, y, 0.3, [0.02, 0.1, 0.4])
    for beta in np.asarray(path.beta):
        assert np.linalg.norm(x @ beta - y) > 1e-3, "not yet at the end"
        assert np.asarray(numerics.minimum_q_interpolator(x, x @ beta, 0.3)) == pytest.approx(beta, abs=1e-9)


def test_the_condition_number_grows_at_least_as_fast_as_the_excess_falls():
    """Rank X = 8 above |S| = 1: the condition number times the excess stays away from 0."""
    x, y, _ = drawn(11, n=8, d=24, nonzeros=1)
    l1 = numerics.minimum_l1(x, y)
    assert l1.support.sum() == 1
    small = [1e-3, 1e-5, 1e-7]
    betas = numerics.minimum_q_interpolator(x, y, small)
    condition = np.array([bounds.stiffness(x, b, a).condition_number for a, b in zip(small, betas, strict=True)])
    excess = np.asarray(numerics.excess(betas, l1))
    assert np.all(condition * excess > 0.02)
    assert condition[2] / condition[0] >= (1e-3 / 1e-7) ** (2 * (1 - l1.largest)) / 3


def test_the_largest_step_is_where_descent_stops_settling():
    """Started beside the limit, descent returns for steps below 2/fastest and leaves for steps above."""
    x, y = np.array([[1.0, 0.5], [0.3, -1.0]]), np.array([1.0, 0.2])
    alpha = 0.3
    beta = np.asarray(numerics.minimum_q_interpolator(x, y, alpha))
    root = np.hypot(beta, 2 * alpha**2)
    shape = np.sqrt(np.stack([root + beta, root - beta]) / 2) + 1e-6
    largest = bounds.stiffness(x, beta, alpha).largest_step
    settled, left = (
        flow.descent(x, y, 1.0, step_size=s * largest, save_at=[0, 60], shape=shape).path.loss for s in (0.95, 1.05)
    )
    assert float(settled[1]) < 0.1 * float(settled[0])
    assert float(left[1]) > 10 * float(left[0])


def test_lazy_training_keeps_the_share_of_the_samples():
    """E |beta_2 - beta*|^2 = (1 - N/d) |beta*|^2 over Gaussian data: 400 draws, within four standard errors."""
    n, d, target = 12, 40, np.zeros(40)
    target[:3] = 1.0
    generator = np.random.default_rng(5)
    errors = []
    for x in generator.normal(size=(400, n, d)):
        errors.append(np.sum((np.linalg.pinv(x) @ (x @ target) - target) ** 2) / 3)
    assert np.mean(errors) == pytest.approx(1 - n / d, abs=4 * np.std(errors) / 20)


def test_the_statistical_dimension_at_its_ends_and_against_draws():
    assert bounds.statistical_dimension(50, 50) == pytest.approx(50.0, abs=1e-6)
    assert bounds.statistical_dimension(1000, 5) < 2 * 5 * np.log(1000 / 5) + 5 * 5 / 4
    with pytest.raises(ValueError, match="nonzeros"):
        bounds.statistical_dimension(10, 0)
    # The definition: the expected squared distance of a normal vector to the scaled subdifferential, by sampling.
    d, k = 100, 5
    normal = np.asarray(jax.random.normal(jax.random.key(0), (4000, d)))
    taus = np.linspace(0.5, 3.0, 51)
    distances = [
        np.mean(np.sum((normal[:, :k] - t) ** 2, 1) + np.sum(np.maximum(np.abs(normal[:, k:]) - t, 0) ** 2, 1))
        for t in taus
    ]
    assert min(distances) == pytest.approx(bounds.statistical_dimension(d, k), rel=0.02)


def test_l1_recovers_above_the_statistical_dimension_and_fails_below():
    centre = bounds.statistical_dimension(100, 3)
    recovered = []
    for n in (int(centre) - 7, int(centre) + 13):
        hits = 0
        for seed in range(8):
            x, y, target = drawn(100 + seed, n=n, d=100, nonzeros=3)
            hits += np.allclose(numerics.minimum_l1(x, y).beta, target, atol=1e-7)
        recovered.append(hits)
    assert recovered[0] <= 2
    assert recovered[1] >= 7
