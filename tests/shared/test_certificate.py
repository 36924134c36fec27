"""The certificate against numbers by hand, its answer to singular kernels, and `verify` on flows known exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course import certificate as certificates
from lazy_course import models
from lazy_course.certificate import certificate
from lazy_course.lipschitz import SLOPES, lipschitz_of_differential
from lazy_course.losses import log_cosh_loss, square_loss
from lazy_course.models import ACTIVATIONS
from lazy_course.verification import verify


def hill(w):
    """h(w) = 2 w - 3 w^2 / 2: sigma = 2, Lip(Dh) = 3, and the largest output is 2/3."""
    return 2 * w - 1.5 * w**2


START = jnp.zeros(1)


def test_numbers_by_hand():
    """sigma = S = 2, L = 3, D = 1/2: C0 = 8 / (32 * 2 * 3) = 1/24, thresholds D/C0 = 12 and 2 * 3 * 0.5 / 4 = 3/4."""
    c = certificate(hill, START, square_loss([0.5]), lip_dh=3.0)
    assert (c.sigma_min, c.jacobian_norm, c.rank, c.outputs, c.parameters) == pytest.approx((2, 2, 1, 1, 1))
    assert pytest.approx(1 / 24) == c.C0
    assert c.alpha_threshold == pytest.approx(12.0)
    assert c.rate == pytest.approx(1.0)
    assert c.path_threshold == pytest.approx(0.75)
    assert c.path_rate(1.5) == pytest.approx(2.0)
    assert c.path_rate(0.5) == 0.0
    assert c.applies
    assert "alpha > 12" in c.reason


def test_the_condition_number_enters():
    """kappa = 4 divides C0 by 8; the loss distance is the root of twice the loss at 0."""
    losses = square_loss([0.5]), log_cosh_loss([0.5], 3.0)
    square, tilted = (certificate(hill, START, loss, lip_dh=3.0) for loss in losses)
    assert pytest.approx(square.C0 / 8) == tilted.C0
    assert tilted.condition_number == pytest.approx(4.0)
    energy = np.sqrt(2 * (0.125 + 3 * np.log(np.cosh(0.5))))
    assert tilted.loss_distance == pytest.approx(energy)
    assert square.target_norm <= tilted.loss_distance <= 2 * square.target_norm


@pytest.mark.parametrize(
    ("h", "start", "rank"),
    [
        (lambda w: jnp.stack([w[0] + w[1], 2 * (w[0] + w[1]), w[0] - w[1]]), jnp.zeros(4), 2),
        (lambda w: jnp.stack([w[0], w[0] ** 2, 0 * w[0]]), jnp.ones(1), 1),
        (lambda w: jnp.stack([w[0] ** 2, w[1] ** 3]), jnp.zeros(2), 0),
    ],
)
def test_a_singular_kernel_gets_an_answer(h, start, rank):
    c = certificate(h, start, square_loss(jnp.ones(h(start).size)), lip_dh=1.0)
    assert c.rank == rank
    assert not c.applies
    assert c.sigma_min == 0.0
    assert c.alpha_threshold == c.path_threshold == np.inf
    assert f"rank Dh(w0) = {rank} < n" in c.reason
    assert "smallest singular value" in c.reason
    assert "if the rank is constant near w0" in c.reason
    assert c.path_rate(1e9) == 0.0
    assert not any(np.isnan(v) for v in dataclasses.astuple(c) if isinstance(v, float))


def test_a_large_initial_output_is_said():
    c = certificate(lambda w: hill(w) + 1.0, START, square_loss([0.5]), lip_dh=3.0)
    assert not c.applies
    assert "initial output" in c.reason
    assert c.path_threshold == np.inf


def test_a_small_initial_output_is_allowed():
    """||h(w0)|| = 0.01: room = 4 - 6 * 0.01, so the path threshold is 2 * 3 * 0.5 / 3.94; and the flow agrees."""

    def shifted(w):
        return hill(w) + 0.01

    c = certificate(shifted, START, square_loss([0.5]), lip_dh=3.0)
    assert c.applies
    assert c.path_threshold == pytest.approx(3 / 3.94)
    assert verify(c, shifted, START, square_loss([0.5]), alpha=2.0, times=np.linspace(0, 5, 100)).holds


def test_the_rate_pays_for_an_initial_output():
    """h(w0) = -1/4, sigma = L = 1: room = 1/2, threshold 4, so the rate at alpha = 10 is 0.3; the flow has just that.

    It ends where w - w^2/2 = 0.35, at the slope sqrt(0.3). The formula with sigma^2 for the room would promise 0.6.
    """

    def below(w):
        return -0.25 + w - w**2 / 2

    loss, times = square_loss([1.0]), np.linspace(0.0, 40.0, 200)
    c = certificate(below, START, loss, lip_dh=1.0)
    assert c.path_threshold == pytest.approx(4.0)
    assert c.path_rate(10.0) == pytest.approx(0.3)
    seen = verify(c, below, START, loss, alpha=10.0, times=times)
    assert seen.holds
    late = (times > 20.0) & (seen.residual.measured > 1e-6)
    slope = np.polyfit(times[late], np.log(seen.residual.measured[late]), 1)[0]
    assert -slope == pytest.approx(c.path_rate(10.0), rel=1e-2)
    assert -slope >= c.path_rate(10.0) * (1 - 1e-6)


def test_a_linear_model_is_certified_from_zero_on():
    c = certificate(lambda w: 2 * w, START, square_loss([0.5]), lip_dh=0.0)
    assert c.applies
    assert c.alpha_threshold == c.path_threshold == 0.0
    assert c.path_rate(0.1) == pytest.approx(4.0)


def test_a_function_of_the_radius_is_solved():
    """L(r) = 1 + r: r (1 + r) = sigma = 2 gives r = 1, L = 2."""
    c = certificate(hill, START, square_loss([0.5]), lip_dh=lambda r: 1.0 + r)
    assert c.lip_dh == pytest.approx(2.0)


def test_the_sharp_example_attains_the_path_bounds():
    """hill has its bounds as its flow: E e^(-m sigma^2 omega^2 t) in the end, and the travel to 1e-5."""
    loss = square_loss([0.5])
    c = certificate(hill, START, loss, lip_dh=3.0)
    times = np.concatenate([[0.0], np.geomspace(0.01, 12.0, 99)])
    seen = verify(c, hill, START, loss, alpha=1.0, times=times)
    assert seen.holds
    assert seen.distance.looseness == pytest.approx(1.0, abs=1e-5)
    late = (times > 3.0) & (seen.residual.measured > 1e-6)
    slope = np.polyfit(times[late], np.log(seen.residual.measured[late]), 1)[0]
    assert -slope == pytest.approx(c.path_rate(1.0), rel=1e-2)
    assert 1.0 < seen.parameter_gap.looseness < 10.0


def test_both_theorems_hold_and_the_path_theorem_is_tighter():
    loss = log_cosh_loss([0.5], 3.0)
    c = certificate(hill, START, loss, lip_dh=3.0)
    times = np.linspace(0.0, 6.0, 100)
    uniform = verify(c, hill, START, loss, alpha=1.1 * c.alpha_threshold, times=times, theorem="uniform")
    path = verify(c, hill, START, loss, alpha=1.1 * c.alpha_threshold, times=times)
    assert uniform.holds
    assert path.holds
    for name in ("distance", "output_gap", "parameter_gap"):
        assert path.comparisons[name].looseness < uniform.comparisons[name].looseness


def test_verify_fails_if_the_constant_is_a_lie():
    """A Lipschitz constant ten times too small makes the bounds false, and `verify` says so."""
    loss = square_loss([0.5])
    c = certificate(hill, START, loss, lip_dh=0.3)
    assert not verify(c, hill, START, loss, alpha=3.0, times=np.linspace(0, 6, 100)).holds


def test_below_the_threshold_is_refused():
    loss = square_loss([0.5])
    c = certificate(hill, START, loss, lip_dh=3.0)
    with pytest.raises(ValueError, match=r"alpha: expected more than 0\.75"):
        verify(c, hill, START, loss, alpha=0.7, times=[0.0, 1.0])
    with pytest.raises(ValueError, match=r"the path-length theorem applies for alpha > 0\.75"):
        verify(c, hill, START, loss, alpha=0.7, times=[0.0, 1.0])
    with pytest.raises(ValueError, match="alpha: expected more than 12"):
        verify(c, hill, START, loss, alpha=5.0, times=[0.0, 1.0], theorem="uniform")
    singular = certificate(lambda w: 0 * w, START, loss, lip_dh=3.0)
    with pytest.raises(ValueError, match="not over-parameterized"):
        verify(singular, lambda w: 0 * w, START, loss, alpha=1e9, times=[0.0, 1.0])


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="lip_dh"):
        certificate(hill, START, square_loss([0.5]), lip_dh=-1.0)
    with pytest.raises(ValueError, match="loss: expected the attributes"):
        certificate(hill, START, lambda y: jnp.sum(y**2), lip_dh=1.0)
    with pytest.raises(ValueError, match="flat"):
        certificate(lambda w: jnp.outer(w, w), START, square_loss([0.5]), lip_dh=1.0)
    relu = models.as_map(models.two_layer("relu"), jnp.ones((2, 2)))
    with pytest.raises(ValueError, match="activation"):
        lipschitz_of_differential(relu, models.init_two_layer(jax.random.key(0), 2, 4))
    with pytest.raises(ValueError, match="no bound"):
        lipschitz_of_differential(hill, START)


class Claimed:
    """A loss that says of itself what it is told to."""

    def __init__(self, m, big_m, minimizer):
        self.strong_convexity, self.smoothness, self.minimizer = m, big_m, jnp.asarray(minimizer)

    def __call__(self, y):
        return 0.5 * jnp.sum((y - 0.5) ** 2)


@pytest.mark.parametrize(
    ("m", "big_m", "minimizer", "says"),
    [
        (0.0, 1.0, [0.5], "0 < strong_convexity"),
        (2.0, 1.0, [0.5], "0 < strong_convexity"),
        (1.0, np.inf, [0.5], "0 < strong_convexity"),
        (1.0, 1.0, [0.5, 0.5], r"shape \(1,\)"),
        (1.0, 1.0, [0.7], "zero gradient"),
    ],
)
def test_a_loss_that_contradicts_itself_is_refused(m, big_m, minimizer, says):
    with pytest.raises(ValueError, match=says):
        certificate(hill, START, Claimed(m, big_m, minimizer), lip_dh=3.0)


def test_a_jacobian_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="finite Jacobian"):
        certificate(lambda w: jnp.sqrt(w), START, square_loss([0.5]), lip_dh=3.0)


def test_records_show_themselves_as_tables():
    loss = square_loss([0.5])
    c = certificate(hill, START, loss, lip_dh=3.0)
    text = c._repr_markdown_()
    assert "| $C_0$ | 0.04167 |" in text
    assert r"| Theorem 2.4 from $\alpha >$ | 12 |" in text
    assert c.reason in text
    singular = certificate(lambda w: 0 * w, START, loss, lip_dh=3.0)._repr_markdown_()
    assert "| inf |" in singular
    assert "not over-parameterized" in singular
    shown = verify(c, hill, START, loss, alpha=2.0, times=[0.0, 0.5, 3.0])._repr_markdown_()
    assert shown.count("| yes |") == 4
    lie = certificate(hill, START, loss, lip_dh=0.3)
    assert "| NO |" in verify(lie, hill, START, loss, alpha=3.0, times=[0.0, 0.5, 6.0])._repr_markdown_()
    assert {line.count("|") for line in shown.splitlines()} == {6}


@pytest.mark.parametrize("name", sorted(SLOPES))
def test_slopes_of_activations(name):
    """The constants are suprema over a grid: true to 1e-12, attained to 1e-5."""
    t = jnp.linspace(-12.0, 12.0, 24001)
    first = jax.grad(lambda s: ACTIVATIONS[name](s))
    second = jax.grad(first)
    largest = [float(jnp.max(jnp.abs(jax.vmap(f)(t)))) for f in (first, second)]
    for found, stated in zip(largest, SLOPES[name], strict=True):
        assert found <= stated + 1e-12
        assert found >= stated - 1e-5


def _models():
    key_x, key_w = jax.random.split(jax.random.key(5))
    x = jax.random.normal(key_x, (4, 3))
    network = models.as_map(models.two_layer("tanh", scale=0.5), x, normalize=True)
    diagonal = models.as_map(models.diagonal(), x)
    return {
        "two layers": (models.scaled(network, 2.0), models.init_two_layer(key_w, 3, 5)),
        "diagonal": (diagonal, models.init_diagonal(3, 1.0, jax.random.normal(key_w, (2, 3)))),
    }


@pytest.mark.parametrize("name", ["two layers", "diagonal"])
def test_lipschitz_bounds_are_true(name):
    """||Dh(w) - Dh(w')|| <= L(r) ||w - w'|| for pairs of points in the ball of radius r."""
    h, params = _models()[name]
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    jacobian = jax.jit(jax.vmap(jax.jacrev(lambda w: h(unravel(w)))))
    bound = lipschitz_of_differential(h, params)
    for radius, scale in ((1.0, 0.02), (1.0, 1.0), (4.0, 4.0)):
        away = jax.random.normal(jax.random.key(7), (2, 100, flat.size))
        away = scale * away / jnp.linalg.norm(away, axis=2, keepdims=True)
        left, right = (jacobian(flat[None] + a) for a in away)
        ratios = jnp.linalg.norm(left - right, 2, axis=(1, 2)) / jnp.linalg.norm(away[0] - away[1], axis=1)
        assert float(jnp.max(ratios)) <= bound(radius) * (1 + 1e-12)
        assert bound(radius) >= bound(0.0)


def test_the_diagonal_bound_is_attained():
    h, params = _models()["diagonal"]
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    jacobian = jax.jacrev(lambda w: h(unravel(w)))
    longest = int(jnp.argmax(jnp.linalg.norm(h.x, axis=0)))
    moved = jnp.linalg.norm(jacobian(flat + jnp.eye(6)[3 + longest]) - jacobian(flat), 2)
    assert float(moved) == pytest.approx(lipschitz_of_differential(h, params)(1.0), rel=1e-12)


def test_the_records_are_frozen():
    c = certificate(hill, START, square_loss([0.5]), lip_dh=3.0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        c.rate = 2.0
    assert isinstance(c, certificates.Certificate)
