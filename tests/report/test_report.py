"""The report against what is known in closed form, and its record against JSON."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course import models
from lazy_course.losses import log_cosh_loss
from lazy_course.report import LazinessReport, figures, laziness_report, parts, words

N, D, M = 6, 3, 16


def data(dtype=float):
    x = jax.random.normal(jax.random.key(5), (N, D), dtype=dtype)
    return x, jnp.sin(2 * x[:, 0]) + x[:, 1]


def network(params, x):
    return jnp.tanh(x @ params["input"].T) @ params["output"].T / M**0.5


@pytest.fixture(scope="module")
def start():
    return models.init_two_layer(jax.random.key(1), D, M)


@pytest.fixture(scope="module")
def full(start):
    """The course's own network at a scale at which theorems apply, trained by a budget."""
    x, y = data()
    f = models.two_layer("tanh", scale=M**-0.5)
    start = models.init_two_layer(jax.random.key(1), D, M, symmetrized=True)
    found = laziness_report(f, start, x, y, alpha=1e4, budget=300, activations=lambda w, r: r @ w["input"].T)
    return f, start, x, y, found


def dense(f, params, x):
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    return np.asarray(jax.jacrev(lambda w: jnp.ravel(f(unravel(w), x)))(flat)), np.asarray(flat), unravel


def test_the_start_is_that_of_dense_matrices(full):
    f, start, x, y, found = full
    jacobian = dense(f, start, x)[0]
    values = np.linalg.svd(jacobian, compute_uv=False)
    assert (found.samples, found.outputs, found.parameters) == (N, 1, jacobian.shape[1])
    np.testing.assert_allclose(found.jacobian_norm, values[0], rtol=1e-10)
    np.testing.assert_allclose(found.sigma_min, values[-1], rtol=1e-8)
    np.testing.assert_allclose(found.condition_number, (values[0] / values[-1]) ** 2, rtol=1e-8)
    np.testing.assert_allclose(found.eigenvalues, values**2, rtol=1e-8)
    assert found.rank == N
    np.testing.assert_allclose(found.residual, jnp.linalg.norm(y), rtol=1e-10)


def test_kappa_brackets_the_value_of_the_blocks(full):
    """For a sum over neurons the norm of D2h is the largest of a block's (criterion-block-diagonal)."""
    from lazy_course.criterion.width import block_norms

    _, start, x, y, found = full

    def neuron(theta):
        return theta[D] * jnp.tanh(x @ theta[:D]) / M**0.5

    thetas = jnp.concatenate([start["input"], start["output"].T], axis=1)
    exact = np.max(np.asarray(block_norms(np.asarray(jax.vmap(jax.hessian(neuron))(thetas)))))
    assert found.hessian_norm[0] == pytest.approx(exact, rel=1e-6)
    assert found.hessian_norm[1] >= exact
    kappa = np.linalg.norm(y) * exact / found.jacobian_norm[0] ** 2 / 1e4
    assert found.kappa[0] <= kappa * (1 + 1e-6)
    assert kappa <= found.kappa[1] * (1 + 1e-6)


def test_what_is_proved_holds_and_is_the_theorem(full):
    *_, found = full
    proved, measured = found.certified, found.measured
    assert proved.applies_path
    assert found.alpha > proved.threshold_path
    assert measured.displacement <= proved.displacement
    assert measured.function_gap <= proved.output_gap
    assert measured.parameter_gap * measured.displacement <= proved.parameter_gap
    # h(w0) = 0 and the square loss: (ii) of the theorem with E = D.
    omega = np.sqrt(1 - 2 * proved.lip_dh * found.residual / (found.sigma_min**2 * found.alpha))
    expected = 2 / (1 + omega) * found.residual / (found.sigma_min * found.alpha)
    assert proved.displacement == pytest.approx(expected, rel=1e-8)
    assert proved.displacement < 100 * measured.displacement


def test_a_lazy_model_is_called_lazy_and_predicted_as_it_comes(full):
    *_, found = full
    assert found.verdict == "lazy"
    assert found.measured.loss_end < 0.05 * found.measured.loss_start
    assert found.predicted.displacement == pytest.approx(found.measured.displacement, rel=0.5)
    assert found.predicted.jacobian_drift == pytest.approx(found.measured.jacobian_drift, rel=0.5)
    assert found.measured.activation_stability > 0.99
    assert not any("nothing is proved" in limit for limit in found.limits)


def test_the_prediction_is_the_end_of_the_linearized_flow(start):
    """Against the flow's closed form by a singular value decomposition, at the time that the report names."""
    from lazy_course.flows import linearized_flow_closed_form

    x, y = data()
    found = laziness_report(network, start, x, y, effort="quick", fit=0.9)
    h = models.as_map(network, x)
    flow = linearized_flow_closed_form(h, start, y, alpha=1.0, times=[found.predicted.time])
    assert float(flow.distance[0]) == pytest.approx(found.predicted.displacement, rel=1e-8)
    r0 = jnp.linalg.norm(h(start) - y)
    assert float(flow.loss[0]) == pytest.approx(0.05 * float(r0) ** 2, rel=1e-6)
    end = jax.tree.map(lambda leaf: leaf[0], flow.params)
    moved = jnp.linalg.norm(flow.outputs[0] - h(start))
    assert found.predicted.gap == pytest.approx(float(jnp.linalg.norm(h(end) - flow.outputs[0]) / moved), rel=1e-6)
    before, after = dense(network, start, x)[0], dense(network, end, x)[0]
    drift = np.linalg.norm(after @ after.T - before @ before.T) / np.linalg.norm(before @ before.T)
    assert found.predicted.kernel_drift == pytest.approx(drift, rel=1e-8)
    # A probe of 8 directions estimates a Frobenius norm: within four standard errors.
    exact = np.linalg.norm(after - before) / np.linalg.norm(before)
    assert found.predicted.jacobian_drift == pytest.approx(exact, rel=1.0)


def test_the_prediction_of_a_rich_start_warns_and_training_confirms(start):
    x, y = data()
    small = jax.tree.map(lambda leaf: 0.05 * leaf, start)
    found = laziness_report(network, small, x, y, effort="quick", budget=4000, step_size=0.2)
    assert laziness_report(network, small, x, y, effort="quick").verdict == "not lazy"
    assert found.verdict == "not lazy"
    assert found.measured.kernel_drift > 1
    assert found.measured.loss_end < 0.1 * found.measured.loss_start


def test_given_parameters_are_compared_with_the_linear_model_at_the_same_loss(start):
    x, y = data()
    h = models.as_map(network, x)
    trained = start
    for _ in range(5):
        trained = jax.tree.map(
            lambda w, g: w - 0.1 * g, trained, jax.grad(lambda w: 0.5 * jnp.sum((h(w) - y) ** 2))(trained)
        )
    found = laziness_report(network, start, x, y, trained_params=trained, effort="quick").measured
    gap = parts.linearization_gap(h, start, trained)
    assert found.gap == pytest.approx(float(gap.relative), rel=1e-6)
    assert found.loss_end == pytest.approx(float(0.5 * jnp.sum((h(trained) - y) ** 2)))
    assert 0 < found.function_gap < 0.2
    assert 0 < found.parameter_gap < 0.5
    assert found.source == "the parameters given"


def test_a_training_that_did_not_train_is_not_praised(start):
    x, y = data()
    found = laziness_report(network, start, x, y, effort="quick", budget=1, step_size=1e-4)
    assert found.verdict == "lazy"
    assert any("hardly trained" in reason for reason in found.reasons)


def test_a_linear_model_has_no_gap(key):
    x, y = data()
    found = laziness_report(lambda w, rows: rows @ w, jnp.ones((D, 1)), x, y, budget=50, effort="quick")
    assert found.verdict == "lazy"
    assert found.hessian_norm == (0.0, np.inf)
    assert found.predicted.gap < 1e-12
    assert found.measured.function_gap < 1e-12
    # Three parameters cannot meet six targets: the rank says so.
    assert found.rank == D
    assert found.sigma_min == 0
    assert found.condition_number == np.inf
    assert any("rank 3 of 6" in limit for limit in found.limits)


@pytest.mark.parametrize("given", ["known", "plain"])
def test_losses_of_ones_own(start, given):
    x, y = data()
    loss = log_cosh_loss(y, 3.0) if given == "known" else lambda z: jnp.sum(jnp.logaddexp(0.0, -z * jnp.sign(y)))
    found = laziness_report(network, start, x, None, loss=loss, budget=200, effort="quick", lip_dh=4.0)
    assert found.measured.loss_end < 0.5 * found.measured.loss_start
    assert found.predicted.time is None
    assert found.predicted.steps > 1
    assert (found.certified is not None) == (given == "known")
    assert np.isnan(found.kappa[0]) == (given == "plain")
    assert found.measured.gap > 0


def test_samples_are_drawn_where_the_kernel_would_be_large(start, key):
    x = jax.random.normal(key, (40, D))
    found = laziness_report(network, start, x, x[:, 0], largest_kernel=N, effort="quick")
    assert (found.samples, found.samples_given) == (N, 40)
    assert any("6 samples drawn from 40" in limit for limit in found.limits)


def test_blocks_change_nothing(start):
    x, _y = data()
    whole = models.as_map(network, x)
    blocks = models.as_map(parts.InBlocks(network, 4), x)
    np.testing.assert_allclose(blocks(start), whole(start), rtol=1e-12)
    a, b = (jax.grad(lambda w, h=h: jnp.sum(h(w) ** 2))(start)["input"] for h in (whole, blocks))
    np.testing.assert_allclose(a, b, rtol=1e-10)


def test_single_precision_stays_single_and_agrees(start):
    x, y = data()
    small = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), start)
    single = laziness_report(network, small, x.astype(jnp.float32), y.astype(jnp.float32), effort="quick")
    double = laziness_report(network, start, x, y, effort="quick")
    assert single.dtype == "float32"
    assert double.dtype == "float64"
    for field in ("gap", "kernel_drift", "displacement"):
        assert getattr(single.predicted, field) == pytest.approx(getattr(double.predicted, field), rel=2e-2)
    assert single.hessian_norm[0] == pytest.approx(double.hessian_norm[0], rel=0.3)
    assert double.kappa[1] == np.inf


def test_a_large_scale_is_not_called_rich_by_rounding(start):
    x, y = data(jnp.float32)
    small = jax.tree.map(
        lambda leaf: leaf.astype(jnp.float32), models.init_two_layer(jax.random.key(1), D, M, symmetrized=True)
    )
    found = laziness_report(network, small, x, y, effort="quick", alpha=1e5)
    assert found.verdict == "lazy"
    assert any("are rounding" in limit for limit in found.limits)


def test_json_and_back(full, tmp_path):
    *_, found = full
    path = tmp_path / "report.json"
    text = found.to_json(path)
    assert LazinessReport.from_json(path) == found
    assert LazinessReport.from_json(text) == found
    assert json.loads(text)["verdict"] == "lazy"
    rich = dataclasses.replace(found, kappa=(0.5, np.inf), measured=None)
    assert "Infinity" not in rich.to_json()
    assert LazinessReport.from_json(rich.to_json()) == rich
    for bad in ("nonsense", "{}", '{"format": 1}'):
        with pytest.raises(ValueError, match="source"):
            LazinessReport.from_json(bad)


def test_a_report_prints_shows_and_draws_itself(full):
    *_, found = full
    text, page = str(found), found._repr_html_()
    for part in (text, page):
        assert "path-length theorem" in part
        assert "Measured" in part
    assert text.startswith("Laziness report: LAZY")
    assert page.count("<tr>") == sum(1 + len(rows) for _, rows in found.rows())
    left, right = found.plot().axes
    assert left.get_ylabel() == "eigenvalue of the kernel"
    assert [label.get_text() for label in right.get_yticklabels()] == list(figures.ROWS.values())


@pytest.mark.parametrize(
    ("gap", "drift", "word"), [(0.1, 0.0, "lazy"), (0.2, 0.05, "partly lazy"), (0.0, 0.5, "not lazy")]
)
def test_the_words_of_the_verdict(full, gap, drift, word):
    *_, found = full
    predicted = dataclasses.replace(found.predicted, gap=gap, kernel_drift=drift)
    assert words.verdict(predicted, None, None, 1.0).word == word
    nothing = dataclasses.replace(predicted, gap=float("nan"))
    assert words.verdict(nothing, None, None, 1.0).word == "unknown"


def test_the_parts_work_under_jit_and_vmap(start):
    x, _y = data()
    h = models.as_map(network, x)
    other = jax.tree.map(lambda leaf: 1.1 * leaf, start)
    gap = jax.jit(lambda w: parts.linearization_gap(h, start, w).relative)
    both = jax.vmap(gap)(jax.tree.map(lambda a, b: jnp.stack([a, b]), other, other))
    np.testing.assert_allclose(both, gap(other), rtol=1e-10)
    drift = jax.jit(lambda w: parts.jacobian_drift(h, start, w, key=jax.random.key(0), probes=2000))(other)
    before, after = dense(network, start, x)[0], dense(network, other, x)[0]
    assert float(drift) == pytest.approx(np.linalg.norm(after - before) / np.linalg.norm(before), rel=0.05)
