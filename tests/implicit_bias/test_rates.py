"""The order of the excess, from above and from below: true at every alpha, and tight."""

import numpy as np
import pytest

from lazy_course.implicit_bias import curves, depth, numerics, rates
from lazy_course.implicit_bias.numerics import L1Solution
from tests.implicit_bias.test_numerics import drawn

SCALES = np.array([3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 1e-3, 1e-4, 1e-5, 1e-6])


@pytest.mark.parametrize("nonzeros", [1, 2, 9])
def test_both_bounds_hold_at_every_scale(nonzeros):
    for seed in range(5):
        x, y = drawn(seed, nonzeros=nonzeros)
        l1 = numerics.minimum_l1(x, y)
        found = numerics.minimum_q_interpolator(x, y, SCALES)
        for alpha, beta, measured in zip(SCALES, found, np.asarray(numerics.excess(found, l1)), strict=True):
            noise = 1e-12 * np.sum(np.abs(l1.beta))
            assert measured <= rates.excess_ceiling(x, l1, alpha) + noise
            assert measured >= rates.excess_floor(beta, l1, alpha) - noise


@pytest.mark.parametrize("c", [0.1, 0.5, 0.9])
def test_bounds_are_tight_for_two_inputs(c):
    """X = (1, c): the excess is (1-c) alpha^(2(1-c)) to leading order, the floor; the ceiling is e times that."""
    x, y = curves.two_inputs(c)
    l1 = numerics.minimum_l1(x, y)
    assert l1.largest == pytest.approx(c)
    low, high = rates.excess_constants(x, l1)
    assert (low, high) == (pytest.approx(1 - c), pytest.approx(np.e * (1 - c)))
    found = numerics.minimum_q_interpolator(x, y, 1e-12)
    measured = float(numerics.excess(found, l1))
    assert measured / 1e-12 ** (2 * (1 - c)) == pytest.approx(low, rel=0.02)
    assert rates.excess_floor(found, l1, 1e-12) == pytest.approx(measured, rel=1e-6)
    assert rates.excess_ceiling(x, l1, 1e-12) / measured == pytest.approx(np.e, rel=0.05)


@pytest.mark.parametrize(("c", "tolerance"), [(0.1, 1e-4), (0.5, 1e-4), (0.9, 1e-2), (0.96, 0.02)])
def test_slopes_from_a_tenth_to_a_trillionth(c, tolerance):
    """Small c and c near 1: the slope over the last decades is 2 (1 - c)."""
    curve = curves.excess(*curves.two_inputs(c), np.logspace(-1, -12, 12))
    assert curve.c == pytest.approx(c)
    assert curve.slope(4) == pytest.approx(2 * (1 - c), abs=tolerance)


def test_the_constant_of_generic_data_is_the_floor():
    """Four samples and nonzeros, one j far ahead with |c_j| = c: the scaled excess tends to the lower constant."""
    seen = 0
    for seed in range(25):
        x, y = drawn(seed)
        l1 = numerics.minimum_l1(x, y)
        second, first = np.sort(np.abs(l1.correlations[~l1.support]))[-2:]
        if first > 0.85 or first - second < 0.15:
            continue
        seen += 1
        low, high = rates.excess_constants(x, l1)
        assert high == pytest.approx(np.e * low)
        measured = float(numerics.excess(numerics.minimum_q_interpolator(x, y, 1e-12), l1))
        assert measured / 1e-12 ** (2 - 2 * l1.largest) == pytest.approx(low, rel=0.03)
    assert seen >= 4


@pytest.mark.parametrize("nonzeros", [1, 2])
def test_sparse_data_stay_between_the_constants(nonzeros):
    """Fewer nonzeros than samples: several j have |c_j| = c; at alpha = 1e-6 the scaled excess is between both."""
    seen = 0
    for seed in range(10):
        x, y = drawn(seed, nonzeros=nonzeros)
        l1 = numerics.minimum_l1(x, y)
        if np.count_nonzero(l1.support) > nonzeros or l1.largest > 0.8:
            continue
        seen += 1
        low, high = rates.excess_constants(x, l1)
        measured = float(numerics.excess(numerics.minimum_q_interpolator(x, y, 1e-6), l1))
        assert low < measured / 1e-6 ** (2 - 2 * l1.largest) < high
    assert seen >= 1


def test_depth_has_its_own_order():
    """The smallest example at depths 3 and 4: excess / alpha^D tends to (1-c) h_D(c), within its two constants."""
    x, y = curves.SMALLEST
    l1 = numerics.minimum_l1(x, y)
    for deep, alpha in ((3, 1e-4), (4, 1e-3)):
        low, high = rates.excess_constants(x, l1, deep)
        assert low == pytest.approx(0.5 * float(depth.link(0.5, deep)))
        measured = float(numerics.excess(depth.minimum_interpolator(x, y, alpha, depth=deep), l1)) / alpha**deep
        assert measured == pytest.approx(low, rel=1e-3)
        assert low < high < 4 * low


def test_a_solution_that_is_not_unique_is_refused():
    """X = (1, 1): every convex combination of the unit vectors is an l1 solution, and c = 1."""
    x = np.array([[1.0, 1.0]])
    l1 = numerics.minimum_l1(x, np.ones(1))
    with pytest.raises(ValueError, match="l1: expected the only solution of least l1 norm"):
        rates.excess_ceiling(x, l1, 0.1)
    spread = L1Solution(np.array([0.5, 0.5]), np.array([True, True]), np.ones(1), np.ones(2), 0.0, np.zeros(2))
    with pytest.raises(ValueError, match="2 nonzeros of rank 1"):
        rates.excess_constants(x, spread)
    alone = numerics.minimum_l1(np.array([[1.0, 0.0]]), np.ones(1))
    with pytest.raises(ValueError, match="expected c > 0"):
        rates.excess_constants(np.array([[1.0, 0.0]]), alone)
