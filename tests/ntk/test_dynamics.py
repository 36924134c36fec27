"""Closed forms of linearized training beside matrix exponentials, loops of descent, and the course's own flows."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp
from jaxtyping import config as jaxtyping_config
from scipy.linalg import expm

from lazy_course import flows, models
from lazy_course.losses import square_loss
from lazy_course.ntk import derivation_dynamics, spectral
from lazy_course.ntk.derivation_dynamics import LAM, TIME, C
from lazy_course.ntk.dynamics import (
    LinearizedDynamics,
    contraction_factor,
    linearized_dynamics,
    rate_optimal_step,
    stability_limit,
)

RANDOM = np.random.default_rng(5)
J, AT_TEST = RANDOM.normal(size=(4, 7)), RANDOM.normal(size=(3, 7))
F0, F0_TEST, Y = RANDOM.normal(size=4), RANDOM.normal(size=3), RANDOM.normal(size=4)
KERNEL, CROSS = J @ J.T, AT_TEST @ J.T
TIMES = [0.0, 0.03, 0.7, 20.0]
FACTOR = 0.25
TRAINING = linearized_dynamics(KERNEL, loss_factor=FACTOR)


@pytest.fixture
def unchecked():
    """Without the run-time types, as a user has it: the package's own checks of shapes must speak."""
    jaxtyping_config.update("jaxtyping_disable", True)
    yield
    jaxtyping_config.update("jaxtyping_disable", False)


def test_flow_against_matrix_exponentials():
    decay = np.array([expm(-FACTOR * KERNEL * t) for t in TIMES])
    lever = np.array([np.linalg.solve(KERNEL, np.eye(4) - e) for e in decay])
    np.testing.assert_allclose(TRAINING.outputs(F0, Y, TIMES), Y + decay @ (F0 - Y), atol=1e-12)
    np.testing.assert_allclose(
        TRAINING.test_outputs(F0_TEST, CROSS, F0, Y, TIMES), F0_TEST - (CROSS @ lever) @ (F0 - Y), atol=1e-12
    )
    np.testing.assert_allclose(TRAINING.parameters(J, F0, Y, TIMES), -(J.T @ lever) @ (F0 - Y), atol=1e-12)


def test_outputs_are_those_of_the_parameters():
    """f0 + J omega_t on the training set, f0(x) + j omega_t off it, at infinite time too."""
    times = [*TIMES, np.inf]
    omega = np.asarray(TRAINING.parameters(J, F0, Y, times))
    np.testing.assert_allclose(F0 + omega @ J.T, TRAINING.outputs(F0, Y, times), atol=1e-12)
    np.testing.assert_allclose(
        F0_TEST + omega @ AT_TEST.T, TRAINING.test_outputs(F0_TEST, CROSS, F0, Y, times), atol=1e-12
    )
    np.testing.assert_allclose(TRAINING.outputs(F0, Y, [np.inf])[0], Y, atol=1e-12)


def test_several_outputs_share_the_kernel():
    f0, y, f0_test = np.stack([F0, -F0], 1), np.stack([Y, 2 * Y], 1), np.stack([F0_TEST, F0_TEST], 1)
    both = TRAINING.outputs(f0, y, TIMES), TRAINING.test_outputs(f0_test, CROSS, f0, y, TIMES)
    for k, start in enumerate((F0, -F0)):
        np.testing.assert_allclose(both[0][..., k], TRAINING.outputs(start, y[:, k], TIMES), atol=1e-13)
        np.testing.assert_allclose(
            both[1][..., k], TRAINING.test_outputs(F0_TEST, CROSS, start, y[:, k], TIMES), atol=1e-13
        )


def test_the_linearized_flow_of_a_network(key):
    """The kernel of a small network: outputs and displacement of flows.linearized_flow (square loss, alpha = 1)."""
    x, target = jnp.asarray(RANDOM.normal(size=(4, 2))), jnp.asarray(Y)
    h = models.as_map(models.two_layer("tanh", scale=0.5), x)
    params0 = models.init_two_layer(key, 2, 3)
    times = jnp.array([0.0, 0.5, 2.0])
    flow = flows.linearized_flow(h, params0, square_loss(target), alpha=1.0, times=times)
    flat, unravel = jax.flatten_util.ravel_pytree(params0)
    jacobian = jax.jacrev(lambda w: h(unravel(w)))(flat)
    training = linearized_dynamics(jacobian @ jacobian.T)
    np.testing.assert_allclose(flow.outputs, training.outputs(h(params0), target, times), atol=2e-6)
    moved = jnp.stack(
        [jnp.ravel(leaf) for leaf in jax.vmap(lambda v: jax.flatten_util.ravel_pytree(v)[0])(flow.displacement)]
    )
    np.testing.assert_allclose(moved, training.parameters(jacobian, h(params0), target, times), atol=2e-6)


def test_descent_against_a_loop():
    """Below and above the step where a factor changes its sign; on and off the training set; parameters."""
    steps = [0, 1, 2, 7]
    for share in (0.2, 1.05):
        size = share * float(stability_limit(TRAINING.eigenvalues, loss_factor=FACTOR))
        omega, path = np.zeros(7), []
        for _ in range(8):
            path.append(omega)
            omega = omega - size * FACTOR * J.T @ (F0 + J @ omega - Y)
        path = np.array(path)[steps]
        got = TRAINING.descent_parameters(J, F0, Y, steps, step_size=size)
        np.testing.assert_allclose(got, path, atol=1e-12)
        on, off = (
            TRAINING.descent_outputs(F0, Y, steps, step_size=size),
            TRAINING.descent_test_outputs(F0_TEST, CROSS, F0, Y, steps, step_size=size),
        )
        np.testing.assert_allclose(on, F0 + path @ J.T, atol=1e-12)
        np.testing.assert_allclose(off, F0_TEST + path @ AT_TEST.T, atol=1e-12)


def test_descent_tends_to_the_flow():
    """At flow time t = eta k the error is O(eta): it halves with the step size."""
    t = 0.6
    flow = TRAINING.outputs(F0, Y, [t])[0]
    errors = [
        float(jnp.linalg.norm(TRAINING.descent_outputs(F0, Y, [k], step_size=t / k)[0] - flow)) for k in (400, 800)
    ]
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.02)


def test_the_stability_limit_and_the_rate_optimal_step_are_two_things():
    """Just below the limit descent converges, just above it diverges; the other step has the least factor of all."""
    values = jnp.array([1.0, 3.0])
    training = LinearizedDynamics(values, jnp.eye(2), jnp.asarray(1.0))
    limit, optimal = stability_limit(values), rate_optimal_step(values)
    assert float(limit) == pytest.approx(2 / 3)
    assert float(optimal) == pytest.approx(1 / 2)
    start, zero = np.ones(2), np.zeros(2)
    below, above = (
        float(jnp.linalg.norm(training.descent_outputs(start, zero, [2000], step_size=share * float(limit))[0]))
        for share in (0.99, 1.01)
    )
    assert below < 1e-15
    assert above > 1e15
    factors = np.array([float(contraction_factor(values, s)) for s in np.linspace(0.01, 0.7, 70)])
    assert float(contraction_factor(values, float(optimal))) == pytest.approx(1 / 2)  # (3 - 1) / (3 + 1)
    assert np.all(factors >= 1 / 2 - 1e-12)
    assert float(contraction_factor(values, float(limit))) == pytest.approx(1.0)
    # Erratum L10: at 0.6, below the stability limit, the factor is not 1 - 0.6 lambda_min.
    assert float(contraction_factor(values, 0.6)) == pytest.approx(0.8)
    assert float(stability_limit(values, loss_factor=0.5)) == pytest.approx(4 / 3)
    assert float(rate_optimal_step(jnp.array([0.0, 1.0, 3.0]))) == pytest.approx(1 / 2)


def test_equal_training_points_learn_their_mean_and_keep_their_difference():
    """A doubled row of J: the null vector (1, -1)/sqrt 2 of the kernel never moves, on any clock."""
    doubled = np.concatenate([J, J[-1:]])
    target, start = np.append(Y, Y[-1] + 2.0), np.append(F0, F0[-1])
    training = linearized_dynamics(doubled @ doubled.T)
    assert training.rank == 4
    times = [0.0, 1.0, 1e6, np.inf]
    outputs = training.outputs(start, target, times)
    np.testing.assert_allclose(outputs[:, 4] - outputs[:, 3], 0.0, atol=1e-12)
    expected = np.append(Y[:3], [Y[-1] + 1.0] * 2)
    np.testing.assert_allclose(outputs[-1], expected, atol=1e-11)
    np.testing.assert_allclose(
        training.descent_outputs(start, target, [10**6], step_size=float(rate_optimal_step(training.eigenvalues)))[0],
        expected,
        atol=1e-9,
    )
    # Off the training set and in the parameters: the limit is that of the four points with the mean target.
    single = linearized_dynamics(KERNEL)
    mean = np.append(Y[:3], Y[-1] + 1.0)
    off = training.test_outputs(F0_TEST, AT_TEST @ doubled.T, start, target, times)
    assert np.all(np.isfinite(off))
    np.testing.assert_allclose(off[-1], single.test_outputs(F0_TEST, CROSS, F0, mean, [np.inf])[0], atol=1e-10)
    np.testing.assert_allclose(
        training.parameters(doubled, start, target, [np.inf])[0],
        single.parameters(J, F0, mean, [np.inf])[0],
        atol=1e-10,
    )


def test_more_points_than_parameters():
    """Rank 2 of 4: the limit is the least-squares fit."""
    thin = J[:, :2]
    training = linearized_dynamics(thin @ thin.T)
    assert training.rank == 2
    fit = F0 + thin @ np.linalg.lstsq(thin, Y - F0, rcond=None)[0]
    np.testing.assert_allclose(training.outputs(F0, Y, [np.inf])[0], fit, atol=1e-11)


def test_the_limit_predictor_is_a_kernel_method_with_an_offset():
    r"""f0(x) + sum beta_i K(x_i, x) at infinite time, and K beta = y - f0."""
    beta = TRAINING.limit_coefficients(F0, Y)
    np.testing.assert_allclose(KERNEL @ beta, Y - F0, atol=1e-11)
    np.testing.assert_allclose(
        F0_TEST + CROSS @ beta, TRAINING.test_outputs(F0_TEST, CROSS, F0, Y, [np.inf])[0], atol=1e-12
    )


def test_the_lever_loses_no_digits():
    """The derived lever of the flow, and that of descent, in fifty digits, from lambda t = 1e-18 on."""
    values = jnp.asarray(np.logspace(-18, 1, 40))
    flow = spectral.flow_filter(values, jnp.array([0.7])).lever[0]
    steps = spectral.descent_filter(values, jnp.array([9]), 0.15).lever[0]
    with mpmath.workdps(50):
        exact = [mpmath.mpf(float(v)) for v in values]
        derived = sp.lambdify([LAM, TIME, C], derivation_dynamics.lever(LAM), "mpmath")
        of_flow = [float(derived(v, mpmath.mpf(0.7), mpmath.mpf(1))) for v in exact]
        of_steps = [float((1 - (1 - mpmath.mpf(0.15) * v) ** 9) / v) for v in exact]
    np.testing.assert_allclose(flow, of_flow, rtol=1e-15)
    np.testing.assert_allclose(steps, of_steps, rtol=3e-15)
    zero = jnp.zeros(1)
    assert spectral.flow_filter(zero, jnp.array([0.7]), 2.0).lever[0, 0] == pytest.approx(1.4)
    assert spectral.descent_filter(zero, jnp.array([9]), 0.5, 2.0).lever[0, 0] == pytest.approx(9.0)
    assert spectral.flow_filter(zero, jnp.array([jnp.inf])).lever[0, 0] == 0.0


def test_it_can_be_compiled_and_differentiated():
    """d f_t / d y = I - e^(-c Theta t), through jit."""

    def ends(y):
        return linearized_dynamics(jnp.asarray(KERNEL), loss_factor=FACTOR).outputs(jnp.asarray(F0), y, [0.7])[0]

    slope = jax.jit(jax.jacrev(ends))(jnp.asarray(Y))
    np.testing.assert_allclose(slope, np.eye(4) - expm(-FACTOR * KERNEL * 0.7), atol=1e-12)


@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_refused():
    cases = [
        (lambda: linearized_dynamics(J), "kernel: expected a square matrix"),
        (lambda: linearized_dynamics(KERNEL + np.triu(np.ones((4, 4)))), "kernel: expected a symmetric matrix"),
        (lambda: linearized_dynamics(KERNEL - 100 * np.eye(4)), "kernel: expected a positive semidefinite"),
        (lambda: linearized_dynamics(np.full((2, 2), np.nan)), "kernel: expected finite numbers"),
        (lambda: linearized_dynamics(KERNEL, loss_factor=0.0), "loss_factor: expected"),
        (lambda: TRAINING.outputs(F0, Y, [-1.0]), "times: expected flow times >= 0"),
        (lambda: TRAINING.outputs(F0, Y, [float("nan")]), "times: expected flow times >= 0"),
        (lambda: TRAINING.outputs(F0, Y, 1.0), "times: expected a flat array"),
        (lambda: TRAINING.outputs(F0[:3], Y, [1.0]), "f0: expected the shape"),
        (lambda: TRAINING.outputs(F0, Y[:3], [1.0]), "y: expected shape"),
        (lambda: TRAINING.test_outputs(F0_TEST, CROSS.T, F0, Y, [1.0]), "k_test_train: expected shape"),
        (lambda: TRAINING.test_outputs(F0_TEST[:1], CROSS, F0, Y, [1.0]), "f0_test: expected shape"),
        (lambda: TRAINING.parameters(J.T, F0, Y, [1.0]), "jacobian: expected shape"),
        (lambda: TRAINING.descent_outputs(F0, Y, [-1], step_size=0.1), "steps: expected numbers >= 0"),
        (lambda: TRAINING.descent_outputs(F0, Y, [0.5], step_size=0.1), "steps: expected a flat array of whole"),
        (lambda: TRAINING.descent_outputs(F0, Y, [1], step_size=-0.1), "step_size: expected"),
        (lambda: stability_limit(np.zeros(3)), "eigenvalues: expected numbers >= 0"),
        (lambda: rate_optimal_step(np.ones((2, 2))), "eigenvalues: expected a flat array"),
    ]
    for call, said in cases:
        with pytest.raises(ValueError, match=said):
            call()
