"""Depth and shape: the potentials against quadrature, the minimizers against the flows, and their limits."""

import jax
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from lazy_course.implicit_bias import depth, flow, numerics
from tests.implicit_bias.test_flow import TIMES
from tests.implicit_bias.test_numerics import drawn

POINTS = np.array([1e-12, 1e-3, 0.3, 5.0, 1e5])
UNEVEN = np.random.default_rng(5).uniform(0.6, 1.6, (2, 9))


def plain_link(z, deep):
    """h_D as it is written."""
    power = deep / (deep - 2)
    return (1 - z) ** -power - (1 + z) ** -power


@pytest.mark.parametrize("deep", [2.01, 2.5, 4.0, 30.0])
def test_newtons_method_for_the_inverse_falls_from_the_right(deep):
    """ln h_D is convex in ln z with slopes from 1 on: on a grid from z = 1e-4 to 1 - 1e-6."""
    logs = np.linspace(np.log(1e-4), -1e-3, 300)
    slopes = np.diff(np.log(np.asarray(depth.link(np.exp(logs), deep)))) / np.diff(logs)
    assert np.all(slopes > 1 - 1e-9)
    assert np.all(np.diff(slopes) > -1e-9)


@pytest.mark.parametrize("deep", [2.5, 3.0, 4.0, 8.0])
def test_link_potential_and_inverse(deep):
    assert float(depth.link(0.4, deep)) == pytest.approx(plain_link(0.4, deep))
    assert np.asarray(depth.link(depth.inverse_link(POINTS, deep), deep)) == pytest.approx(POINTS, rel=1e-9)
    assert np.asarray(depth.inverse_link(-POINTS, deep)) == pytest.approx(-np.asarray(depth.inverse_link(POINTS, deep)))
    assert not np.any(depth.inverse_link(np.zeros(2), deep))
    for b in (0.3, 5.0):
        expected = quad(lambda u: brentq(lambda z: plain_link(z, deep) - u, 0, 1 - 1e-13), 0, b)[0]
        assert float(depth.q(b, deep)) == pytest.approx(expected, rel=1e-8)
    # q = (D-2) b^2 / (4D) near 0, without cancellation
    assert float(depth.q(1e-9, deep)) == pytest.approx((deep - 2) / (4 * deep) * 1e-18, rel=1e-9)
    slope = jax.vmap(jax.grad(lambda b: depth.q(b, deep)))(np.array([0.3, 40.0]))
    assert np.asarray(slope) == pytest.approx(np.asarray(depth.inverse_link(np.array([0.3, 40.0]), deep)), rel=1e-8)


def test_depth_four_in_closed_form():
    z = 0.6
    b = 4 * z / (1 - z**2) ** 2
    assert float(depth.link(z, 4)) == pytest.approx(b)
    assert float(depth.q(b, 4)) == pytest.approx(2 * z**2 * (1 + z**2) / (1 - z**2) ** 2)


@pytest.mark.parametrize("deep", [2, 3, 4])
@pytest.mark.parametrize("shape", [None, UNEVEN[0], UNEVEN], ids=["ones", "uneven", "two-sided"])
def test_minimizer_is_where_the_flow_ends(deep, shape):
    """All 2d weights integrated, for even, uneven and unbalanced starts: the limits agree to 1e-8."""
    x, y = drawn(3)
    end = 15.0 / (deep**2 * np.min(np.linalg.svd(x, compute_uv=False)) ** 2)
    path = flow.integrated_flow(x, y, 1.0, end / 4 * TIMES, depth=deep, shape=shape)
    assert float(path.loss[-1]) < 1e-17
    found = np.asarray(depth.minimum_interpolator(x, y, 1.0, depth=deep, shape=shape))
    assert np.asarray(path.beta[-1]) == pytest.approx(found, abs=1e-8)
    # the conserved quantity, and the proved rate
    s = np.broadcast_to(np.ones(9) if shape is None else shape, (2, 9))
    plus, minus = np.asarray(path.plus), np.asarray(path.minus)
    if deep == 2:
        assert plus * minus == pytest.approx(np.broadcast_to(s[0] * s[1], plus.shape), rel=1e-7)
    else:
        kept = plus ** (2.0 - deep) + minus ** (2.0 - deep)
        assert kept == pytest.approx(np.broadcast_to(np.sum(s ** (2.0 - deep), axis=0), plus.shape), rel=1e-7)
    if shape is None:
        bound = 8 * deep**2 * np.min(np.linalg.svd(x, compute_uv=False)) ** 2
        assert np.all(np.asarray(path.loss) <= float(path.loss[0]) * np.exp(-bound * np.asarray(path.times)) + 1e-16)


def test_minimizer_has_the_least_potential(key):
    x, y = drawn(4)
    for deep, shape in ((2, None), (2, UNEVEN[0]), (3.0, UNEVEN[0])):
        beta = np.asarray(depth.minimum_interpolator(x, y, 0.3, depth=deep, shape=shape))
        steps = 0.05 * np.asarray(jax.random.normal(key, (10, 9)))
        inside = steps - np.linalg.lstsq(x, x @ steps.T, rcond=None)[0].T
        least = float(depth.potential(beta, 0.3, deep, shape))
        assert np.all(np.asarray(depth.potential(beta[None] + inside, 0.3, deep, shape)) > least)


def test_depth_two_is_the_limit_of_depth():
    x, y = drawn(5)
    two = np.asarray(numerics.minimum_q_interpolator(x, y, 0.4))
    gaps = [np.linalg.norm(np.asarray(depth.minimum_interpolator(x, y, 0.4, depth=2 + e)) - two) for e in (0.02, 0.002)]
    assert gaps[1] / gaps[0] == pytest.approx(0.1, rel=0.1)


def test_shape_in_the_lazy_end_and_in_the_active_end():
    """Lazy: least sum beta^2/s^2 at depth 2. Active: s is forgotten at depth 2, and a weight s^(2-D) at depth 3."""
    x, y = drawn(2, nonzeros=2)
    s = UNEVEN[0]
    lazy = np.asarray(depth.minimum_interpolator(x, y, 1e3, shape=s))
    assert lazy == pytest.approx(s * (np.linalg.pinv(x * s) @ y), abs=1e-9)
    active = np.asarray(depth.minimum_interpolator(x, y, 1e-9, shape=s))
    assert active == pytest.approx(numerics.minimum_l1(x, y).beta, abs=1e-6)
    weighted = numerics.minimum_l1(x * s, y).beta * s
    deep = np.asarray(depth.minimum_interpolator(x, y, 1e-4, depth=3, shape=s))
    assert deep == pytest.approx(weighted, abs=1e-6)
    # and the weights matter: on other data the two supports differ
    other = numerics.minimum_l1(*drawn(0)).beta != 0
    assert np.any(other != (numerics.minimum_l1(drawn(0)[0] * s, drawn(0)[1]).beta != 0))


def test_bad_input_is_named():
    x, y = drawn(0)
    with pytest.raises(ValueError, match="depth: expected a finite number above 2"):
        depth.link(0.3, 2.0)
    with pytest.raises(ValueError, match="depth: expected a finite number above 2"):
        depth.minimum_interpolator(x, y, 1.0, depth=1.5)
    with pytest.raises(ValueError, match="shape: expected positive entries"):
        depth.minimum_interpolator(x, y, 1.0, shape=np.zeros(9))
    with pytest.raises(ArithmeticError, match=r"at depth 6 take a larger alpha"):
        depth.minimum_interpolator(x, y, 1e-5, depth=6)
