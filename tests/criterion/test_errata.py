"""The mistakes of the sources that concern the criterion, each shown by a computation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.criterion import derivation_width, numerics, width


def test_P9_a_positive_minimum_is_no_contradiction():
    """h(w) = (w, 1), y* = 0: F(0) = 1/2 > 0, and 0 is a minimizer."""
    w = np.linspace(-2, 2, 401)
    values = 0.5 * (w**2 + 1)
    assert values[200] == 0.5
    assert np.all(values >= values[200])


def test_P10_the_bound_on_dh_is_not_an_approximation():
    """The example with y* = (1, 0): Dh does not change at all, while the bound is eta c a^2 |y1| / a > 0."""
    changes = numerics.relative_changes(
        numerics.smallest_example(2.0, 1.0, 3.0), jnp.zeros(2), jnp.array([1.0, 0.0]), np.array([1e-3])
    )
    assert changes.differential[0] == 0.0
    assert changes.differential_bound[0] == pytest.approx(changes.steps[0] * 2.0 * 3.0 / 2.0)


def test_P11_small_kappa_does_not_imply_the_criterion():
    """kappa = 0.01, but ||grad F|| / F = 0.02 is five times smaller than ||D2h|| / ||Dh|| = 0.1."""
    found = numerics.criterion(numerics.smallest_example(10, 0.01, 1), jnp.zeros(2), jnp.array([0.0, -1.0]))
    assert found.kappa == pytest.approx(0.01)
    assert found.ratio == pytest.approx(0.02 / 0.1)


def test_C12_bound_on_the_step_needs_its_remainder():
    """h = w + w^3, w0 = 0, y* = 1: grad F = -1 and D2h(0) = 0, so the printed bound is 0; Dh(eta) - Dh(0) = 3 eta^2."""

    def differential(w):
        return 1 + 3 * w**2

    def second(w):
        return 6 * w

    gradient = -differential(0.0)
    for eta in (1e-3, 1e-1):
        change = abs(differential(-eta * gradient) - differential(0.0)) / differential(0.0)
        printed = eta * abs(gradient) * abs(second(0.0)) / differential(0.0)
        assert printed == 0.0
        # 1 + 3 eta^2 is rounded at 1e-16.
        assert change == pytest.approx(3 * eta**2, rel=1e-9)
        # The course's remainder M eta^2 |g|^2 / (2 |Dh|), with M = 6, is met with equality.
        assert change == pytest.approx(6 * eta**2 * gradient**2 / 2, rel=1e-9)


def test_S10_norm_and_expectation_do_not_commute():
    """A random basis vector of R^n: E ||e e^T|| = 1 and ||E e e^T|| = 1/n."""
    n = 7
    projections = np.einsum("ki,kj->kij", np.eye(n), np.eye(n))
    assert np.mean([np.linalg.norm(p, 2) for p in projections]) == 1.0
    assert np.linalg.norm(projections.mean(0), 2) == pytest.approx(1 / n)


def test_S11_expectation_of_kappa_can_be_infinite():
    """Coins: kappa is infinite with probability 2^-m, while its median falls with m."""
    assert derivation_width.coin_kappa().holds
    draws = 40_000
    for m in (2, 4):
        share = np.mean(np.isinf(width.coin_kappas(jax.random.key(m), m, draws=draws)))
        # Four standard deviations of a binomial share.
        assert abs(share - 2.0**-m) < 4 * (2.0**-m / draws) ** 0.5
    medians = [np.median(width.coin_kappas(jax.random.key(0), m, draws=4000)) for m in (64, 1024)]
    assert medians[1] < 0.5 * medians[0]


def test_S12_second_differential_is_one_neurons():
    """||D2h|| = alpha max_i ||D2phi||, an equality: the dense norm of the whole sum against its blocks."""
    alpha = 0.3
    neurons = width.draw_neurons(jax.random.key(8), 3, 2, law="normal")
    blocks = np.asarray(width.curvature_blocks(neurons, numerics.half_circle(4)))
    whole = np.zeros((4, 9, 9))
    for i in range(3):
        whole[:, 3 * i : 3 * i + 3, 3 * i : 3 * i + 3] = alpha * blocks[i]
    expected = alpha * np.max(width.block_norms(blocks))
    assert width.block_norms(whole[None])[0] == pytest.approx(expected, rel=1e-8)
