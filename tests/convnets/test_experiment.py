"""The panels: whole at `quick`, the same after a kill, and recorded with what they were made of."""

import dataclasses
import json

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from lazy_course.convnets import (
    baselines,
    data,
    experiment,
    linearized,
    panels,
    readings,
    runs,
    scale,
    spectrum,
    training,
)
from lazy_course.kernels import tangent_kernel
from lazy_course.store import Store


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """Every computation at `quick`, through the registry."""
    folder = tmp_path_factory.mktemp("quick")
    for run in experiment.REGISTRY.values():
        run(preset="quick", folder=folder)
    return folder


@pytest.mark.parametrize("panel", ["fig3a", "fig3b"])
def test_every_study_is_whole_at_quick(quick, panel):
    kept = experiment.load(panel, "quick", folder=quick)
    for study, found in zip(panels.PANELS[panel]["quick"], kept["studies"], strict=True):
        assert found["settings"] == json.loads(json.dumps(dataclasses.asdict(study)))
        assert found["seconds"] > 0
        assert {"optax", "jax", "python"} <= set(found["versions"])
        assert len(found["jobs"]) == study.jobs
        assert found["epochs"] == [0, *range(study.every, study.epochs + 1, study.every)]
        for job in found["jobs"]:
            members = max(1, len(job["alphas"]))
            assert np.asarray(job["test_accuracy"]).shape == (members, len(found["epochs"]))
            assert np.asarray(job["train_loss"])[:, -1].max() < 10
            assert len(job["stability"]) == len(job["linearization_gap"]) == members
            if job["linearized"]:
                assert job["linearization_gap"] == job["remainder"] == [0.0]
        lines = found["baselines"]
        assert all(0 <= share <= 1 for pair in [lines["linear"], *lines["random_features"]] for share in pair)
    assert list(quick.glob("*.partial")) == []


def test_losses_are_those_of_figure_3a(quick):
    kept, whole = experiment.load("fig7a", "quick", folder=quick), experiment.load("fig3a", "quick", folder=quick)
    rows = {(row["alpha"], row["run"]): row for row in kept["rows"]}
    assert rows[(1000.0, 1)]["test"] == whole["studies"][0]["jobs"][2]["test_loss"][1][-1]
    assert rows[("linearized", 0)]["train"] == whole["studies"][0]["jobs"][1]["train_loss"][0][-1]
    assert len(rows) == 8


class Stop(Exception):
    """A kill, in the middle of a job."""


def test_a_stopped_run_goes_on_to_the_same_bits(tmp_path):
    study = dataclasses.replace(panels.PANELS["fig3a"]["quick"][0], runs=1)
    split = study.split()
    whole = runs.run_job(study, 0, split)
    store = Store(tmp_path / "partial", dataclasses.asdict(study))

    def stop(done, of):
        if done == 3:
            raise Stop

    with pytest.raises(Stop):
        runs.run_job(study, 0, split, store=store, seconds=0.0, tell=stop)
    assert int(store.load("job.checkpoint")["done"]) == 2
    resumed = runs.run_job(study, 0, split, store=Store(tmp_path / "partial", dataclasses.asdict(study)))
    for name in (*runs.MEASURES, "outputs", "stability", "remainder"):
        np.testing.assert_array_equal(resumed[name], whole[name])


def test_jobs_of_a_study_cover_widths_repetitions_and_scales():
    study = panels.PANELS["fig3b"]["laptop"][0]
    places = [study.place(index) for index in range(study.jobs)]
    assert len(set(places)) == study.jobs == 4 * 3 * 2
    assert places[:3] == [(6, 0, (1.0,)), (6, 0, ()), (6, 1, (1.0,))]
    one, bar = study.job(0, (40,)), study.job(1, (40,))
    assert (one.rule.linear, bar.rule.linear) == (False, True)
    for here, there in zip(jax.tree.leaves(one.start), jax.tree.leaves(bar.start), strict=True):
        np.testing.assert_array_equal(here, there)


def test_the_paper_preset_is_the_published_setting():
    (study,) = panels.PANELS["fig3a"]["paper"]
    assert (study.epochs, study.batch, study.momentum, study.rate, study.augmented) == (70, 128, 0.9, 1.0, True)
    assert [group[0] for group in study.groups] == [10.0**k for k in range(8)]
    wide, residual = panels.PANELS["fig3b"]["paper"]
    assert (wide.widths, wide.gain, residual.widths, residual.gain) == ((8.0,), 1.3, (7.0,), 1.2)
    job = jax.eval_shape(lambda: wide.job(0, (32, 32, 3)).start)
    assert sum(leaf.size for leaf in jax.tree.leaves(job)) > 5e8
    rates = [dataclasses.replace(wide, widths=(1 / 64,)).job(index, (32, 32, 3)).rates.item() for index in range(2)]
    assert rates == [0.01, 1.0]
    with pytest.raises(ValueError, match="preset: expected one of paper, laptop, quick"):
        experiment.reproduce("fig3a", preset="slow")
    with pytest.raises(ValueError, match="network: 'vgg11' does not take inputs of shape"):
        panels.draw(jax.random.key(0), "vgg11", 1.0, (40,))
    with pytest.raises(ValueError, match="network: expected one of"):
        panels.draw(jax.random.key(0), "mlp", 1.0, (40,))


def test_the_spectrum_is_whole_at_quick(quick):
    kept, settings = experiment.load("fig7b", "quick", folder=quick), spectrum.SPECTRA["quick"]
    assert set(kept["spectra"]) == {"uniform", "photographs"}
    for found in kept["spectra"].values():
        assert found["indices"][-1] == settings.n * data.CLASSES
        assert found["values"][0] == 1.0
        assert np.all(np.diff(found["values"]) <= 0)
        assert found["gap"] == pytest.approx(found["values"][9] / found["values"][10], rel=1e-4)


def test_modes_of_a_product_kernel():
    """A kernel Theta (x) I: k-fold eigenvalues, first vectors in u (x) R^k, no distance; noise adds its own share."""
    draw = np.random.default_rng(0)
    root = draw.normal(size=(6, 6))
    theta = 4.0 + root @ root.T / 6
    kernel = np.einsum("ij,ab->iajb", theta, np.eye(3))
    found = spectrum.modes(kernel, 5)
    np.testing.assert_allclose(found.values[:3], np.linalg.eigvalsh(theta)[-1])
    np.testing.assert_allclose(found.leading[:3], 1.0)
    np.testing.assert_allclose(found.leading[3:], 0.0, atol=1e-12)
    assert found.product < 1e-6
    assert found.mean_share == pytest.approx(found.constant[0])
    other = np.einsum("ij,ab->iajb", theta, np.diag([1.0, -1.0, 0.0]))
    size = np.linalg.norm(other) / np.hypot(np.linalg.norm(kernel), np.linalg.norm(other))
    assert spectrum.modes(kernel + other, 2).product == pytest.approx(size)


def test_unknown_images_are_refused():
    with pytest.raises(ValueError, match="images: expected uniform, photographs or cifar10"):
        spectrum.images("faces", jax.random.key(0), 2, 8)


def test_kappa_is_what_its_parts_say(quick):
    (row,) = experiment.load("convnets-kappa", "quick", folder=quick)["rows"]
    (settings,) = scale.SCALES["quick"]
    f, params, x, y = scale.drawn(settings.cases[0], settings.seed, "float64")
    kernel = np.asarray(tangent_kernel(f, params, x)).reshape(60, 60) / 6
    assert row["jacobian"][0] == pytest.approx(np.sqrt(np.linalg.eigvalsh(kernel)[-1]), rel=1e-3)
    assert 0 < row["kappa"][0] <= row["kappa"][1]
    assert row["kappa"][0] == pytest.approx(row["hessian"][0] / row["jacobian"][1] ** 2, rel=1e-3)
    np.testing.assert_allclose(jnp.sum(y**2, axis=1), 1.0)
    assert len(row["change"]) == 2


def test_least_squares_separates_what_is_linear():
    draw = np.random.default_rng(1)
    centres = draw.normal(size=(10, 30))
    y = np.arange(400) % 10
    x = centres[y] + 0.05 * draw.normal(size=(400, 30))
    train, test = baselines.ridge_accuracy(*(jnp.asarray(part) for part in (x[:300], y[:300], x[300:], y[300:])))
    assert train == test == 1.0


def test_random_features_are_those_before_the_last_layer():
    f, params = panels.draw(jax.random.key(3), "sequence", 4, (40,))
    x = jax.random.normal(jax.random.key(4), (5, 40))
    np.testing.assert_allclose(baselines.last_features(f, params, x), f.features(params, x), atol=1e-12)


def test_the_exact_flow_solves_the_linearized_problem():
    """Against small steps of descent on the linearized model, and against least squares at infinite time."""
    f, start = panels.draw(jax.random.key(5), "sequence", 1, (40,))
    keys = jax.random.split(jax.random.key(6))
    x, y = jax.random.normal(keys[0], (30, 40)), np.arange(30) % 10
    targets = jnp.asarray(data.one_hot(y))
    found = linearized.quadratic(f, start, x, targets)
    flat, unravel = ravel_pytree(start)
    jacobian = np.asarray(jax.jacrev(lambda w: f(unravel(w), x).reshape(-1))(flat))
    hessian, moment = 2 / 300 * jacobian.T @ jacobian, 2 / 300 * jacobian.T @ np.asarray(targets).reshape(-1)
    way, step = np.zeros(flat.size), 1e-3
    for _ in range(2000):
        half = way + step / 2 * (moment - hessian @ way)
        way = way + step * (moment - hessian @ half)
    at_two, end = linearized.flow(found, np.asarray([2.0, np.inf]))
    np.testing.assert_allclose(at_two, way, atol=1e-7)
    best = np.linalg.lstsq(jacobian, np.asarray(targets).reshape(-1), rcond=1e-7)[0]
    np.testing.assert_allclose(jacobian @ end, jacobian @ best, atol=1e-6)


def test_the_time_of_a_descent_counts_momentum():
    study = dataclasses.replace(panels.PANELS["fig3a"]["quick"][0], epochs=2, decay=1.0, linear_rate=0.5)
    assert linearized.descent_time(study, 205) == pytest.approx(10 * (0.5 + 0.25) / 0.1)


def test_the_exact_flow_is_whole_at_quick(quick):
    kept = experiment.load("fig3a-exact", "quick", folder=quick)
    assert kept["times"][-1] is None
    assert len(kept["test_accuracy"]) == len(kept["times"]) == 4
    assert np.all(np.diff(np.asarray(kept["train_loss"])) < 0)


@pytest.mark.parametrize("panel", ["fig3a", "fig3b"])
def test_the_paper_preset_is_a_program(panel):
    """An epoch of the first job of each published study is traced, shapes and all, without its 600 million numbers."""
    for study in panels.PANELS[panel]["paper"]:
        small = dataclasses.replace(study, widths=(1 / 64,))
        job = small.job(0, (32, 32, 3))
        state = training.begin(job.start, 1, job.rule, 2)
        x = jax.ShapeDtypeStruct((2 * study.batch, 32, 32, 3), jnp.float64)
        y = jax.ShapeDtypeStruct((2 * study.batch,), jnp.int64)
        found = eqx.filter_eval_shape(
            training.epoch, job.f, job.rule, job.start, state, job.alphas, job.rates, x, y, job.key
        )
        assert jax.tree.map(lambda leaf: leaf.shape, found.way) == jax.tree.map(
            lambda leaf: (1, *leaf.shape), job.start
        )


def test_readings_of_records(quick):
    trained, measured = experiment.load("fig3a", "quick", folder=quick), experiment.load("fig3b", "quick", folder=quick)
    found = readings.drop(trained)
    assert found.difference == pytest.approx(found.standard - found.linearized)
    text = readings.table(measured)
    assert "| VGG-11 wide, linearized | CIFAR-10, published | 61.0 | 61.7 |" in text
    assert text.count("mnist1d, quick") == text.count("digits, quick") == 2 + 1
    alphas = np.asarray([1.0, 10.0, 100.0])
    assert readings.crossing(alphas, np.asarray([1.0, 0.1, 0.01]), 0.05) == pytest.approx(20.0)
    with pytest.raises(ValueError, match="level: expected one between"):
        readings.crossing(alphas, np.asarray([1.0, 0.9, 0.8]), 0.5)
