"""Each mistake of the sources that the chapter names, shown by a computation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.ntk import (
    derivation_dynamics,
    derivation_gaussian,
    derivation_wide,
    dynamics,
    spectral,
    wide,
    wide_bounds,
)
from lazy_course.ntk.numerics import infinite_width_kernels, two_layer_limits
from lazy_course.ntk.prediction import kernel_blocks, posterior, predict

X = jnp.array([[1.0, 0.2], [-0.4, 0.9], [0.3, -1.1]])
X_TEST = jnp.array([[0.5, 0.5], [-1.0, 0.1]])
Y = jnp.array([1.0, -1.0, 0.5])
OPTIONS = {"sigma_w": 1.5, "sigma_b": 0.3}


def blocks():
    return kernel_blocks(X, X_TEST, activation="erf", depth=1, **OPTIONS)


def test_L3_the_printed_variance_is_zero():
    k = float(blocks().nngp_test[0, 0])
    assert k - k * k**-1 * k == pytest.approx(0.0, abs=1e-15)
    assert float(posterior(blocks(), Y).covariance[0, 0, 0]) > 0.05
    assert derivation_gaussian.conditioning().holds


def test_L4_a_second_moment_is_not_the_covariance():
    """A large ensemble drawn from the Gaussian start: its second moment is the formula plus the mean squared."""
    found, time = blocks(), 1.5
    predicted = predict(found, Y, [time])
    joint = np.block([[found.nngp_test, found.nngp_test_train], [found.nngp_test_train.T, found.nngp_train]])
    start = np.random.default_rng(0).multivariate_normal(np.zeros(5), joint, size=200_000)
    training = dynamics.linearized_dynamics(found.ntk_train)
    lever = np.diag(spectral.flow_filter(training.eigenvalues, jnp.array([time])).lever[0])
    operator = np.asarray(found.ntk_test_train) @ training.eigenvectors @ lever @ training.eigenvectors.T
    moved = start[:, :2] - (start[:, 2:] - np.asarray(Y)) @ np.asarray(operator).T
    second = float(np.mean(moved[:, 0] ** 2))
    variance, mean = float(predicted.covariance[0, 0, 0]), float(predicted.mean[0, 0])
    assert second == pytest.approx(variance + mean**2, rel=0.02)
    assert second > 1.2 * variance
    assert derivation_gaussian.covariance_of_training().holds


def test_L5_the_readout_kernel_has_the_size_of_the_data():
    features = jax.random.normal(jax.random.key(0), (3, 5))
    assert (features @ features.T).shape == (3, 3)
    assert (features.T @ features).shape == (5, 5)
    assert derivation_gaussian.readout_flow().holds


def test_L7_the_exponent_is_twice_as_large():
    """At a training point the output is y + e^(-Kt)(f_0 - y): its variance has e^(-2Kt), by hand for one point."""
    assert derivation_gaussian.readout_covariance().holds
    one = kernel_blocks(X[:1], X[:1], activation="erf", depth=1, **OPTIONS)
    k = float(one.nngp_train[0, 0])
    right = float(predict(one, Y[:1], [0.5 / k], trained="nngp").covariance[0, 0, 0])
    assert right == pytest.approx(k * np.exp(-1.0), rel=1e-12)
    printed = k - k * k**-1 * (1 - np.exp(-0.5)) * k
    assert printed == pytest.approx(k * np.exp(-0.5))
    assert printed > 1.6 * right


def test_L9_no_mean_value_on_the_circle():
    assert derivation_wide.mean_value().holds
    speeds = [np.hypot(-np.sin(t), np.cos(t)) for t in np.linspace(0, 2 * np.pi, 100)]
    assert min(speeds) == pytest.approx(1.0)


def test_L10_full_rank_is_not_enough():
    kernel, step = jnp.diag(jnp.array([1.0, 3.0])), 0.6
    assert step < float(dynamics.stability_limit(jnp.array([1.0, 3.0])))
    assert step > float(dynamics.rate_optimal_step(jnp.array([1.0, 3.0])))
    assert float(jnp.linalg.norm(jnp.eye(2) - step * kernel, 2)) == pytest.approx(0.8)
    assert 1 - step * 1.0 == pytest.approx(0.4)
    assert derivation_dynamics.norm_of_a_step().holds
    assert derivation_wide.contraction().holds


def test_L11_the_printed_width_leaves_a_rest():
    derived = derivation_wide.width_condition()
    assert "as printed it leaves eta (1 - lam) / 3" in derived.checks
    assert derived.holds


def test_L12_the_exponents_cancel():
    derived = derivation_wide.gronwall_route()
    assert {"(94) with exp(-lam0 s)", "(94) as printed"} <= set(derived.checks)
    assert derived.holds


def layers(parameterization, m):
    net = wide.fully_connected("erf", **OPTIONS, parameterization=parameterization)
    params = wide.init_fully_connected(jax.random.key(m), (2, m, m, 1), network=net)
    return np.asarray(wide.layer_kernels(net, params, X))


def test_L13_in_the_standard_kernel_biases_and_inputs_drop_out():
    """Their share falls like 1/m in the standard parameterization and stays in the other one."""
    shares = {}
    for name in ("ntk", "standard"):
        for m in (32, 512):
            traces = np.trace(layers(name, m), axis1=2, axis2=3)
            shares[name, m] = (traces[0, 0] + traces[:, 1].sum()) / traces.sum()
    assert shares["ntk", 512] == pytest.approx(shares["ntk", 32], rel=0.2)
    assert shares["ntk", 512] > 0.2
    assert shares["standard", 32] / shares["standard", 512] == pytest.approx(16, rel=0.3)


def test_L13_what_is_left_is_known():
    """The limit in Section 6 is the part of the other's that the weights above the first layer give, over sigma_w^2."""
    left = layers("standard", 1024).sum(axis=(0, 1))
    nngp, ntk = infinite_width_kernels(X, activation="erf", depth=2, **OPTIONS)
    gates = (ntk - nngp) / infinite_width_kernels(X, activation="erf", depth=1, **OPTIONS).ntk
    below = infinite_width_kernels(X, activation="erf", depth=1, **OPTIONS).nngp - OPTIONS["sigma_b"] ** 2
    expected = (nngp - OPTIONS["sigma_b"] ** 2 + gates * below) / OPTIONS["sigma_w"] ** 2
    assert left == pytest.approx(np.asarray(expected), abs=0.1 * float(jnp.max(expected)))


def test_L14_the_gap_is_integrable():
    derived = derivation_wide.gap_off_training()
    assert "the flow's integrals" in derived.checks
    assert derived.holds
    assert derivation_wide.flow_gap().holds


def test_L15_the_step_beside_the_normalized_kernel():
    """A small step of size eta0/n in the standard parameterization moves f by -eta0 Theta g."""
    m, step = 32, 1e-6
    net = wide.fully_connected("tanh", **OPTIONS, parameterization="standard")
    params = wide.init_fully_connected(jax.random.key(0), (2, m, m, 1), network=net)
    run = wide.descend(net, params, X, X_TEST, Y, step, steps=1)
    moved = np.asarray(run.outputs[1, :3] - run.outputs[0, :3]) / step
    expected = -np.asarray(run.kernels[0, :3] @ (run.outputs[0, :3] - Y))
    assert moved == pytest.approx(expected, rel=1e-4)


def test_L17_the_scales_count_twice():
    assert derivation_gaussian.readout_scales().holds
    m, sigma_w, sigma_b = 400, 1.5, 0.3
    features = np.random.default_rng(1).normal(size=m)
    xbar = np.append(sigma_w * features / m**0.5, sigma_b)
    right = xbar @ xbar
    scales = np.append(np.full(m, sigma_w / m**0.5), sigma_b)
    assert right == pytest.approx(sigma_w**2 * np.mean(features**2) + sigma_b**2)
    assert np.sum((xbar * scales) ** 2) < 0.02 * right


def test_L19_the_displacement_in_both_parameterizations():
    """The way of the NTK parameters tends to a constant, that of the standard ones falls like m^(-1/2)."""
    ways = {}
    for name in ("ntk", "standard"):
        net = wide.fully_connected("tanh", **OPTIONS, parameterization=name)
        for m in (16, 256):
            params = wide.init_fully_connected(jax.random.key(m), (2, m, m, 1), network=net)
            target = Y + net(params, X)[:, 0]
            run = wide.descend(net, params, X, X_TEST, target, 0.1 if name == "ntk" else 0.2, steps=40)
            ways[name, m] = float(run.distance[-1])
    assert ways["ntk", 256] == pytest.approx(ways["ntk", 16], rel=0.25)
    assert 4 * ways["standard", 256] == pytest.approx(ways["standard", 16], rel=0.3)
    assert ways["standard", 256] / 256**0.5 < 0.3 * 256**-0.5, "the quotient of (48) is far below its bound"


def test_L20_the_lipschitz_constant_grows():
    """The quotient along the worst neuron: grows with the width like sqrt(log m), and with C."""
    net = wide.fully_connected("tanh", sigma_w=1.5, sigma_b=0.3)
    means = []
    for m in (64, 2**16):
        keys = jax.random.split(jax.random.key(m), 10)
        draw = lambda key, m=m: wide.init_fully_connected(key, (2, m, 1), network=net)  # noqa: E731
        quotients = jax.jit(jax.vmap(lambda key, draw=draw: wide_bounds.largest_neuron(net, draw(key), X[0])))(keys)
        means.append(float(jnp.mean(quotients)))
    # The largest of m normal numbers grows by sqrt(log 2^16 / log 64) = 1.63; that its bend is small gets rarer, too.
    assert 1.5 < means[1] / means[0] < 3
    start = wide.init_fully_connected(jax.random.key(0), (2, 64, 1), network=net)
    hidden = start[-1]["weight"]
    far = [start[0], {**start[-1], "weight": hidden.at[0, 0].add(100.0)}]
    assert float(wide_bounds.largest_neuron(net, far, X[0])) > 10 * means[0]


def test_L20_holds_in_the_standard_parameterization_of_the_notes():
    """(1/sqrt n) ||J - J'||_F / ||theta - theta'|| there equals the quotient of the course up to sigma_w."""
    m, eps = 48, 1e-6
    ntk, standard = (wide.fully_connected("tanh", **OPTIONS, parameterization=p) for p in ("ntk", "standard"))
    one, other = (wide.init_fully_connected(jax.random.key(3), (2, m, m, 1), network=n) for n in (ntk, standard))
    before = wide.passes(standard, other, X[:1]).inputs[-2][0]
    gradient = jax.jit(jax.grad(lambda w: standard(w, X[:1])[0, 0]))
    quotients = []
    for j in range(m):
        row = other[1]["weight"].at[j].add(eps * before / jnp.linalg.norm(before))
        change = jax.tree.map(
            jnp.subtract, gradient([other[0], {**other[1], "weight": row}, other[2]]), gradient(other)
        )
        quotients.append(float(jnp.sqrt(sum(jnp.sum(a**2) for a in jax.tree.leaves(change)))) / eps / m**0.5)
    bound = float(wide_bounds.largest_neuron(ntk, one, X[0])) / OPTIONS["sigma_w"] ** 2
    assert bound <= 1.001 * max(quotients) < 2 * bound


def test_L21_relu_does_not_meet_the_assumptions():
    """Its derivative jumps at 0: no Lipschitz constant."""
    slope = jax.grad(jax.nn.relu)
    for eps in (1e-2, 1e-6):
        assert abs(float(slope(eps)) - float(slope(-eps))) == 1.0


def test_L22_the_direct_bound_is_better():
    """R0 (e^(-(lam0 - S)t) - e^(-lam0 t)) against the S R0 t e^(-(lam0 - S)t) of (97), for S up to lam0/2."""
    assert {"with the rates of the notes", "its integral"} <= set(derivation_wide.flow_gap().checks)
    assert derivation_wide.flow_gap().holds
    t = np.linspace(0.01, 20, 400)
    for drift in (0.01, 0.1, 0.5):
        direct = np.exp(-(1 - drift) * t) - np.exp(-t)
        notes = drift * t * np.exp(-(1 - drift) * t)
        assert np.all(direct < notes)
        assert np.max(direct) > 0.6 * np.max(notes)


def test_L23_a_singular_kernel_has_its_limits():
    """Two equal points: the inverse does not exist, the dynamics do."""
    x = jnp.concatenate([X, X[:1]])
    kernel = infinite_width_kernels(x, activation="erf", depth=1, **OPTIONS).ntk
    training = dynamics.linearized_dynamics(kernel)
    assert training.rank == 3
    target = jnp.append(Y, 3.0)
    end = np.asarray(training.outputs(jnp.zeros(4), target, [np.inf])[0])
    assert end == pytest.approx([2.0, -1.0, 0.5, 2.0], abs=1e-10)
    assert derivation_dynamics.null_space().holds


def test_S20_dependent_weights_change_the_kernel():
    """b = sqrt(2) 1{a_1 > 0}: E b^2 = 1, and at x = e_1 every active neuron counts twice."""
    x = jnp.array([[1.0, 0.0]])
    limit = float(two_layer_limits(x, activation="relu")[0][0, 0])
    a = jax.random.normal(jax.random.key(0), (100_000, 2))
    dependent = float(jnp.mean(2.0 * (a[:, 0] > 0) * (a[:, 0] > 0)))
    assert limit == pytest.approx(0.5)
    assert dependent == pytest.approx(1.0, abs=0.02)
