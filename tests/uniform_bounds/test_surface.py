"""Theorem 2.5: constant rank, a graph over the tangent plane, the rate, and a local minimum that is not global."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.uniform_bounds import surface

ALPHAS = [20.0, 1e3, 1e4, 1e5]


@functools.cache
def settled():
    return surface.settle(surface.neuron(), ALPHAS)


def test_ranks_are_as_stated():
    assert set(surface.ranks(surface.neuron(), jax.random.key(0))) == {2}
    assert set(surface.ranks(surface.figure_eight(), jax.random.key(0), radius=3.0)) == {1}
    found = surface.ranks(surface.smallest(0.0), jax.random.key(0))
    assert found[0] == 1
    assert set(found[1:]) == {2}


def test_the_image_is_a_graph_over_the_tangent_plane():
    """Outputs with the same projection on the tangent plane are equal; the height over it is of second order."""
    case = surface.neuron()
    basis, values, _ = np.linalg.svd(np.asarray(jax.jacfwd(case.h)(case.start)))
    assert np.sum(values > 1e-10) == 2
    tangent, normal = basis[:, :2], basis[:, 2]
    slid = case.start + jnp.asarray([0.05, 0.1, 0.0])
    other = slid * jnp.asarray([1.0, 1.3, 1 / 1.3])
    heights = [np.asarray(case.h(w)) for w in (slid, other)]
    assert np.allclose(tangent.T @ heights[0], tangent.T @ heights[1])
    assert np.allclose(*heights)
    steps = np.array([1e-1, 1e-2, 1e-3])
    direction = jnp.asarray([1.0, -1.0, 0.0])
    rise = [abs(normal @ np.asarray(case.h(case.start + s * direction))) for s in steps]
    assert np.polyfit(np.log(steps), np.log(rise), 1)[0] == pytest.approx(2.0, abs=0.05)


def test_the_rate_tends_to_that_of_the_linearized_flow():
    rates, limit = surface.late_rates(settled()), surface.tangent_rate(surface.neuron())
    errors = np.abs(rates / limit - 1)
    assert np.all(np.diff(errors) < 0)
    assert errors[-1] < 1e-3
    assert np.polyfit(np.log(ALPHAS[1:]), np.log(errors[1:]), 1)[0] == pytest.approx(-1.0, abs=0.05)


def test_the_gap_has_no_logarithm_at_rank_r():
    """alpha^2 sup |w - wbar| settles: a logarithm would have grown by 1.25 from 1e4 to 1e5, it moves by 1e-3."""
    scaled = surface.scaled_gaps(settled())
    assert scaled[-1] == pytest.approx(scaled[-2], rel=1e-3)
    assert scaled[-1] == pytest.approx(scaled[-3], rel=1e-2)
    assert scaled[-1] > 1.0, "a gap of a smaller order would test nothing"
    outputs = np.linalg.norm(settled().outputs - settled().linearized_outputs, axis=2).max(axis=1) * ALPHAS
    assert outputs[-1] == pytest.approx(outputs[-3], rel=1e-2)


def test_the_end_is_a_local_minimum_near_the_start():
    """The gradient vanishes, the Hessian is positive semidefinite with a kernel of dimension p - r = 1."""
    case, done = surface.neuron(), settled()
    # The distance to the limit falls at the rate of the linearized flow too.
    away = np.linalg.norm(done.params[-1] - done.params[-1, -1:], axis=1)
    late = (away < 1e-3 * away[0]) & (away > 1e-6 * away[0])
    slope = -np.polyfit(done.times[-1][late], np.log(away[late]), 1)[0]
    assert slope == pytest.approx(surface.tangent_rate(case), rel=1e-2)
    travel = np.asarray(ALPHAS) * np.linalg.norm(done.params[:, -1] - np.asarray(case.start), axis=1)
    assert np.ptp(travel[1:]) < 0.01 * travel[-1], "w - w0 is O(1/alpha)"
    for alpha, w in zip(ALPHAS[:2], done.params[:2, -1], strict=True):

        def objective(w, alpha=alpha):
            return case.loss(alpha * case.h(w)) / alpha**2

        at = jnp.asarray(w)
        assert float(jnp.linalg.norm(jax.grad(objective)(at))) < 1e-8
        values = np.linalg.eigvalsh(np.asarray(jax.hessian(objective)(at)))
        assert abs(values[0]) < 1e-8
        assert values[1] > 0.05


def test_the_minimum_is_not_strict():
    factors, losses = surface.fibre_loss(surface.neuron(), ALPHAS[0], settled().params[0, -1])
    assert factors[-1] > 1.5
    assert np.ptp(losses) < 1e-14


def test_the_figure_eight_has_a_local_minimum_that_is_not_global():
    done = surface.settle(surface.figure_eight(), [5.0, 100.0])
    assert done.loss[:, -1] == pytest.approx([8 / 25, 8 / 25], rel=2e-3)
    w, values = surface.loss_along_the_eight(5.0)
    assert np.min(values) < 1e-4
    assert w[np.argmin(values)] == pytest.approx(np.pi, abs=0.15)
    slid = surface.slide(5.0)
    assert slid.params[-1] == pytest.approx(done.params[0, -1, 0], abs=1e-8), "the flow ends where the path does"
    assert np.all(np.diff(slid.loss) < 0)
    here = int(np.argmin(np.abs(w - done.params[0, -1, 0])))
    assert values[here] == pytest.approx(np.min(values[here - 20 : here + 21]), rel=1e-4)


def test_the_patch_touches_its_tangent_plane():
    patch = surface.surface(surface.neuron(), 1e6, count=5)
    assert np.max(np.abs(patch.image - patch.plane)) < 1e-4
    curved = surface.surface(surface.neuron(), 2.0, count=5)
    assert np.max(np.abs(curved.image - curved.plane)) > 0.1
