"""Wide networks: two parameterizations, descent measured at every step, and the theorems with their constants."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from lazy_course.kernels import tangent_kernel
from lazy_course.ntk import derivation_wide, experiment, wide, wide_bounds
from lazy_course.ntk.numerics import infinite_width_kernels

X, X_TEST = experiment.sphere_data(jax.random.key(2), 3, 2, 3)
Y = jnp.array([1.0, -1.0, 0.5])
OPTIONS = {"sigma_w": 1.5, "sigma_b": 0.3}
SHAPE = (3, 7, 7, 1)


def network(parameterization="ntk", activation="tanh"):
    return wide.fully_connected(activation, **OPTIONS, parameterization=parameterization)


def drawn(net, seed=0, shape=SHAPE):
    return wide.init_fully_connected(jax.random.key(seed), shape, network=net)


def loss(net, target):
    return lambda params: 0.5 * jnp.sum((net(params, X)[:, 0] - target) ** 2)


def test_the_network_is_the_formula():
    net, params = network(), drawn(network())
    x = X
    for layer in params[:-1]:
        x = jnp.tanh(1.5 / x.shape[1] ** 0.5 * x @ layer["weight"].T + 0.3 * layer["bias"][None])
    last = params[-1]
    expected = 1.5 / 7**0.5 * x @ last["weight"].T + 0.3 * last["bias"][None]
    assert np.asarray(net(params, X)) == pytest.approx(np.asarray(expected), rel=1e-13)


def test_one_key_is_one_function_in_both_parameterizations():
    ntk, standard = network(), network("standard")
    one, other = drawn(ntk), drawn(standard)
    assert np.asarray(ntk(one, X)) == pytest.approx(np.asarray(standard(other, X)), rel=1e-12)
    assert float(jnp.std(other[1]["weight"])) == pytest.approx(1.5 / 7**0.5, rel=0.3)


def test_the_dictionary_of_step_sizes_gives_the_same_training():
    """Twenty steps of plain jax.grad in both: the same outputs, and parameters that correspond."""
    ntk, standard = network(), network("standard")
    w, big = drawn(ntk), drawn(standard)
    steps = wide.standard_steps(w, ntk, 0.1)
    in_w, in_big = (jax.jit(jax.grad(loss(net, Y))) for net in (ntk, standard))
    for _ in range(20):
        w = jax.tree.map(lambda a, g: a - 0.1 * g, w, in_w(w))
        big = jax.tree.map(lambda a, s, g: a - s * g, big, steps, in_big(big))
    assert np.asarray(ntk(w, X_TEST)) == pytest.approx(np.asarray(standard(big, X_TEST)), rel=1e-11)
    expected = wide.as_standard(w, ntk)
    for one, other in zip(jax.tree.leaves(expected), jax.tree.leaves(big), strict=True):
        assert np.asarray(one) == pytest.approx(np.asarray(other), rel=1e-10)


@pytest.mark.parametrize("parameterization", ["ntk", "standard"])
def test_layers_add_up_to_the_tangent_kernel(parameterization):
    net = network(parameterization)
    params = drawn(net)
    expected = wide.normalization(net, params) * tangent_kernel(net, params, X)[:, 0, :, 0]
    assert np.sum(wide.layer_kernels(net, params, X), axis=(0, 1)) == pytest.approx(np.asarray(expected), rel=1e-12)


def test_the_dictionary_of_kernels():
    """Weights of the standard kernel are (fan in)/(m sigma_w^2) of the other's, biases 1/(m sigma_b^2)."""
    ntk, standard = network(), network("standard")
    one = np.asarray(wide.layer_kernels(ntk, drawn(ntk), X))
    other = np.asarray(wide.layer_kernels(standard, drawn(standard), X))
    fan_in = np.array([3, 7, 7])[:, None, None]
    assert other[:, 0] == pytest.approx(one[:, 0] * fan_in / (7 * 1.5**2), rel=1e-12)
    assert other[:, 1] == pytest.approx(one[:, 1] / (7 * 0.3**2), rel=1e-12)


def test_kernels_tend_to_the_closed_form():
    net = network(activation="erf")
    limit = infinite_width_kernels(X, activation="erf", depth=2, **OPTIONS).ntk
    away = []
    for m in (64, 1024):
        draws = [
            np.sum(wide.layer_kernels(net, drawn(net, seed, (3, m, m, 1)), X), axis=(0, 1)) - limit for seed in range(8)
        ]
        away.append(np.sqrt(np.mean(np.square(draws))))
    assert 2.0 < away[0] / away[1] < 8.0, "m^(-1/2): a ratio of 4 up to the draws"
    assert away[1] < 0.05 * np.max(limit)


@pytest.mark.parametrize("parameterization", ["ntk", "standard"])
def test_descent_is_plain_gradient_descent(parameterization):
    net = network(parameterization)
    start = drawn(net)
    run = wide.descend(net, start, X, X_TEST, Y, 0.1, steps=5)
    scale, w, slope = wide.normalization(net, start), start, jax.jit(jax.grad(loss(net, Y)))
    for k in range(6):
        moved = sum(jnp.sum((a - b) ** 2) for a, b in zip(jax.tree.leaves(w), jax.tree.leaves(start), strict=True))
        points = jnp.concatenate([X, X_TEST])
        assert np.asarray(run.outputs[k]) == pytest.approx(np.asarray(net(w, points)[:, 0]), rel=1e-11)
        assert float(run.distance[k]) == pytest.approx(float(moved) ** 0.5, abs=1e-12)
        if k in (0, 5):
            kernel = scale * tangent_kernel(net, w, points, X)[:, 0, :, 0]
            assert np.asarray(run.kernels[k]) == pytest.approx(np.asarray(kernel), rel=1e-10)
        w = jax.tree.map(lambda a, g: a - 0.1 * scale * g, w, slope(w))


def test_suprema_are_taken_against_the_linearized_network():
    net = network()
    start = drawn(net)
    run = wide.descend(net, start, X, X_TEST, Y, 0.05, steps=30)
    seen = wide.suprema(run, Y, 0.05, displacement_factor=2.0)
    points = jnp.concatenate([X, X_TEST])
    outputs, push = jax.linearize(lambda w: net(w, points)[:, 0], start)
    pull = jax.jit(lambda g: jax.vjp(lambda w: net(w, X)[:, 0], start)[1](g)[0])
    push, w, gaps = jax.jit(push), jax.tree.map(jnp.zeros_like, start), []
    for k in range(31):
        linear = outputs + push(w)
        gaps.append(np.asarray(run.outputs[k] - linear))
        w = jax.tree.map(lambda a, g: a - 0.05 * g, w, pull(linear[:3] - Y))
    assert float(seen.gap) == pytest.approx(np.max(np.linalg.norm(np.array(gaps)[:, :3], axis=1)), rel=1e-8)
    assert float(seen.test_gap) == pytest.approx(np.max(np.linalg.norm(np.array(gaps)[:, 3:], axis=1)), rel=1e-8)
    assert float(seen.displacement) == pytest.approx(2 * float(np.max(run.distance)))
    change = np.asarray(run.kernels - run.kernels[0][None])
    assert float(seen.drift) == pytest.approx(max(np.linalg.norm(c[:3]) for c in change))
    assert float(seen.test_drift) == pytest.approx(max(np.linalg.norm(c[3:]) for c in change))


def test_many_are_trained_as_one():
    net = network()
    stacked = jax.vmap(lambda key: wide.init_fully_connected(key, SHAPE, network=net))(
        jax.random.split(jax.random.key(4), 2)
    )
    found = wide.train_many(net, stacked, X, X_TEST, Y, 0.1, saved=(0, 2, 5))
    for j in range(2):
        alone = wide.descend(net, jax.tree.map(lambda a, j=j: a[j], stacked), X, X_TEST, Y, 0.1, steps=5)
        assert np.asarray(found[j]) == pytest.approx(np.asarray(alone.outputs[jnp.array([0, 2, 5]), 3:]), rel=1e-10)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="parameterization"):
        wide.fully_connected("tanh", **OPTIONS, parameterization="mean field")
    with pytest.raises(ValueError, match="activation"):
        wide.fully_connected("sine", **OPTIONS)
    with pytest.raises(ValueError, match="widths"):
        wide.init_fully_connected(jax.random.key(0), (3,), network=network())
    with pytest.raises(ValueError, match="one output"):
        wide.layer_kernels(network(), drawn(network(), shape=(3, 4, 2)), X)
    with pytest.raises(ValueError, match="law"):
        experiment.with_output_law(drawn(network()), "cauchy")


@pytest.mark.parametrize("name", sorted(derivation_wide.all_wide()))
def test_every_derivation_holds(name):
    row = derivation_wide.all_wide()[name]
    assert {check: value for check, value in row.remainders().items() if value != 0} == {}
    assert row.checks


def test_a_wrong_constant_is_seen():
    """17 in place of 18 in the condition: the three parts no longer fit."""
    d = derivation_wide
    parts = 1 - d.RHO + d.RHO / 3 + d.ETA * 6 * d.ETA * d.B**2 * d.L * d.R0 / d.RHO
    wrong = parts.subs(d.L, d.RHO**2 / (17 * d.ETA**2 * d.B**2 * d.R0)) - (1 - d.RHO / 3)
    assert sp.simplify(wrong) == d.RHO / 51


def test_coded_bounds_are_the_derived_ones():
    d, rows = derivation_wide, derivation_wide.all_wide()
    numbers = {d.B: 1.3, d.L: 0.2, d.R0: 0.7, d.RHO: 0.4, d.ETA: 0.5}
    coded = wide_bounds.step_bounds(bound=1.3, lipschitz=0.2, residual=0.7, rho=0.4, step_size=0.5)
    numbers[d.DRIFT] = float(coded.drift)
    for value, name in zip(coded, ("path", "kernel_split", "step_gap", "gap_off_training"), strict=True):
        assert float(value) == pytest.approx(float(rows[name].equation.rhs.subs(numbers)), rel=1e-12)


def test_the_theorems_hold_at_their_threshold():
    """Quadratic models that just meet the condition, with steps below and above the rate-optimal one."""
    for share, least in ((0.9, 0.2), (1.2, 0.2)):
        ratios = wide_bounds.quadratic_ratios(jax.random.key(5), cases=200, share=share)
        assert max(float(jnp.max(values)) for values in ratios) < 1
        assert float(jnp.max(ratios.path)) > least, (
            "the path is what is left to be gained: a factor 3 and the drift of J"
        )


def test_what_is_certain_at_which_width():
    """On three orthogonal points the path-length theorem applies from width 256 on, the notes' condition from 65536."""
    x, y = jnp.eye(3), jnp.array([1.0, -1.0, 0.5])
    rows = {p: wide_bounds.guarantee(jax.random.key(p), x, y, width=2**p) for p in (7, 8, 12, 15, 16)}
    assert rows[7].path > 1 > rows[8].path
    assert rows[15].notes > 1 > rows[16].notes
    assert np.isinf(rows[12].notes)
    assert max(row.deviation for row in rows.values()) < 1


def test_the_jacobian_is_bounded_and_nearly_lipschitz():
    """Drawn pairs in a ball of radius 2, tanh, two hidden layers: ||J|| stays, sqrt(m/log m) Lip(J) does not grow."""
    norms, ratios = [], []
    for m in (32, 128, 512):
        net = network()
        start = drawn(net, 3, (3, m, m, 1))
        jacobian = jax.jit(jax.jacrev(lambda w, net=net: net(w, X)[:, 0]))
        at = jacobian(start)
        here = []
        for seed in range(4):
            move = drawn(net, 10 + seed, (3, m, m, 1))
            size = 2 / float(jnp.sqrt(sum(jnp.sum(a**2) for a in jax.tree.leaves(move))))
            other = jacobian(jax.tree.map(lambda a, b, size=size: a + size * b, start, move))
            change = jax.tree.map(jnp.subtract, other, at)
            here.append(float(jnp.sqrt(sum(jnp.sum(a**2) for a in jax.tree.leaves(change)))) / 2)
        norms.append(float(jnp.sqrt(sum(jnp.sum(a**2) for a in jax.tree.leaves(at)))))
        ratios.append(max(here) * (m / np.log(m)) ** 0.5)
    assert max(norms) < 1.5 * min(norms)
    assert ratios[0] >= ratios[1] >= ratios[2] > 0


def test_the_worst_neuron_is_a_lower_bound_of_the_lipschitz_constant():
    """Against a finite change of the Jacobian of a small network along that neuron's direction."""
    net = network()
    start = drawn(net, 1, (3, 16, 16, 1))
    x, eps = X[0], 1e-6
    jacobian = jax.jit(jax.grad(lambda w: net(w, x[None])[0, 0]))
    before = wide.passes(net, start, x[None]).inputs[-2][0]
    at, changes = jacobian(start), []
    for j in range(16):
        row = start[1]["weight"].at[j].add(eps * before / jnp.linalg.norm(before))
        moved = jacobian([start[0], {**start[1], "weight": row}, start[2]])
        gap = jax.tree.map(jnp.subtract, moved, at)
        changes.append(float(jnp.sqrt(sum(jnp.sum(a**2) for a in jax.tree.leaves(gap)))) / eps)
    bound = float(wide_bounds.largest_neuron(net, start, x))
    assert 0.5 * 4 * max(changes) < bound < 4 * max(changes)


def test_symmetric_output_weights_cancel_the_first_order():
    """sqrt(m) times the first-order drift: tends to 0 for signs, to a constant, the measured one, for ones."""
    net, x = experiment.network(experiment.SYMMETRY), experiment.data()[0]
    residual = -jnp.asarray(experiment.TARGET)
    found = {}
    for law in ("signs", "ones"):
        for m in (256, 16384):
            params = wide.init_fully_connected(jax.random.key(m), (3, m, 1), network=net)
            change = wide_bounds.first_order_drift(net, experiment.with_output_law(params, law), x, residual)
            found[law, m] = m**0.5 * float(jnp.linalg.norm(change))
    assert found["signs", 256] > 3 * found["signs", 16384]
    assert found["ones", 256] == pytest.approx(found["ones", 16384], rel=0.2)
    kept = np.asarray(experiment.load("symmetry")["values"]["ones, 4096"]["drift"])
    assert 4096**0.5 * np.mean(kept) == pytest.approx(found["ones", 16384], rel=0.03)
