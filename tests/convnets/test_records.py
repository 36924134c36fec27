"""The committed records: what they show, and a part of each computed again."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from lazy_course.convnets import experiment, figures, live, panels, readings, runs, scale, spectrum


def as_json(settings):
    return json.loads(json.dumps(dataclasses.asdict(settings)))


def test_standard_training_beats_lazy_training():
    """Figure 3(a): high at alpha = 1, a plateau at the linearized model from 1000 on, above what learns no features."""
    (study,) = experiment.load("fig3a")["studies"]
    assert study["settings"] == as_json(panels.PANELS["fig3a"]["laptop"][0])
    alphas, test = readings.finite(study, "test_accuracy")
    bar = readings.lazy_end(study, "test_accuracy")
    assert alphas[-1] == 1e7
    assert len(test) == len(bar) == 5
    assert np.all(test[:, 0] > 0.93)
    lazy = test[:, alphas >= 1e3]
    assert np.all(np.abs(lazy - bar[:, None]) < 0.02)
    assert np.all(lazy < 0.6)
    _, train = readings.finite(study, "train_accuracy")
    assert np.all(train[:, -1] < 0.75)
    _, stability = readings.finite(study, "stability")
    assert np.all(np.diff(stability.mean(axis=0)) > -1e-3)
    assert np.all(stability[:, -1] > 0.9999)
    linear = study["baselines"]["linear"][1]
    assert linear < bar.min()


@pytest.mark.parametrize("name", ["linearization_gap", "remainder"])
def test_kinks_make_laziness_come_like_the_root_of_alpha(name):
    """The ReLU net is off its linearization like alpha^(-1/2), its smooth twin like 1/alpha, as derived."""
    (study,) = experiment.load("fig3a")["studies"]
    assert -0.65 < readings.slope(study, name, 100, 1e5) < -0.4
    (smooth,) = experiment.load("fig3a-smooth")["studies"]
    assert -1.1 < readings.slope(smooth, name, 1e3, 1e5) < -0.9


def test_figure_3a_is_reproduced_in_part():
    """Three members of the recorded stack, over its first five epochs."""
    (kept,) = experiment.load("fig3a")["studies"]
    study = panels.PANELS["fig3a"]["laptop"][0]
    places = [0, 4, 11]
    scales = tuple(study.groups[0][place] for place in places)
    short = dataclasses.replace(study, groups=(scales,), epochs=5, runs=1)
    found = runs.run_job(short, 0, short.split())
    for name in runs.MEASURES:
        then = np.asarray(kept["jobs"][0][name])[places, :2]
        # The record has five digits; a sample on the border of two classes may fall to the other one elsewhere.
        np.testing.assert_allclose(found[name].T, then, rtol=2e-5, atol=1e-3 if "accuracy" in name else 0)


def test_losses_of_figure_7a_are_in_the_other_record():
    kept, (study,) = experiment.load("fig7a"), experiment.load("fig3a")["studies"]
    ends = {row["alpha"]: row for row in kept["rows"] if row["run"] == 0}
    assert ends[1e7]["train"] == study["jobs"][0]["train_loss"][-1][-1]
    assert ends[1.0]["train"] < 0.25 * ends[1e7]["train"]


def test_wider_networks_do_not_close_the_gap():
    kept = experiment.load("fig3b")
    for study, settings in zip(kept["studies"], panels.PANELS["fig3b"]["laptop"], strict=True):
        assert study["settings"] == as_json(settings)
        for width in settings.widths:
            jobs = [job for job in study["jobs"] if job["width"] == width]
            standard = [job["test_accuracy"][0][-1] for job in jobs if not job["linearized"]]
            lazy = [job["test_accuracy"][0][-1] for job in jobs if job["linearized"]]
            assert len(standard) == len(lazy) == settings.runs
            # Nets of four to six channels are another matter: one of three VGG-11 of width 1/16 never starts.
            if width not in (6, 1 / 16):
                assert min(standard) > max(lazy) + 0.15


def test_descent_on_all_tangent_features_is_behind_a_fit_of_the_last_ones():
    """The narrowest VGG-11 on digits: 32 of its features fitted exactly, and the linearized net as it was trained."""
    study, settings = experiment.load("fig3b")["studies"][-1], panels.PANELS["fig3b"]["laptop"][-1]
    narrow = readings.of_width(study, settings.widths[0])
    found = live.own_features(dataclasses.replace(settings, widths=settings.widths[:1]))
    assert found.size == 32
    assert found.test > readings.lazy_end(narrow, "test_accuracy")[0] + 0.15


@pytest.mark.parametrize("kind", ["uniform", "photographs"])
def test_the_spectrum_has_ten_large_eigenvalues(kind):
    """Figure 7(b) at full size: a gap after the tenth, whose vectors are constant over images up to the outputs."""
    kept = experiment.load("fig7b")
    settings = spectrum.SPECTRA["laptop"]
    assert kept["settings"] == as_json(settings)
    part = kept["spectra"][kind]
    assert part["indices"][-1] == 5000
    values = np.asarray(part["values"])
    ratios = values[:29] / values[1:30]
    assert np.argmax(ratios) == 9
    assert part["gap"] > 3
    assert min(part["constant"][:10]) > 0.9
    assert max(part["constant"][10:]) < 0.1
    # Processor seconds of both cores: six minutes of the clock where nobody else computes.
    assert part["seconds_kernel"][1] + part["seconds_modes"][1] < 720
    assert part["peak_gib"] < 6


def test_the_first_entries_of_the_spectrum_are_reproduced():
    """At full width, for the first image of uniform pixels: nine million parameters."""
    kept, settings = experiment.load("fig7b"), spectrum.SPECTRA["laptop"]
    x = spectrum.images("uniform", jax.random.fold_in(jax.random.key(settings.seed), 0), settings.n, settings.size)
    found = np.diagonal(spectrum.kernel_at_start(settings, x[:1]).reshape(10, 10))
    np.testing.assert_allclose(found, kept["spectra"]["uniform"]["first_image"], rtol=1e-4)


def test_the_exact_flow_agrees_with_descent():
    """At the time of the descent the flow has the accuracies of the linearized model that was trained by batches."""
    kept, (study,) = experiment.load("fig3a-exact"), experiment.load("fig3a")["studies"]
    for name in ("train_accuracy", "test_accuracy"):
        assert kept[name][-2] == pytest.approx(readings.lazy_end(study, name)[0], abs=0.02)
    assert kept["rates"][0] < 2 * (1 + study["settings"]["momentum"])
    assert kept["train_accuracy"][-1] > kept["train_accuracy"][-2]


def test_kappa_of_the_trained_net_is_reproduced_in_its_first_norm():
    kept, settings = experiment.load("convnets-kappa"), scale.SCALES["laptop"]
    assert kept["settings"] == [as_json(group) for group in settings]
    row = kept["rows"][0]
    f, params, x, _ = scale.drawn(settings[0].cases[0], settings[0].seed, "float64")
    h = scale.network_map(f, x)
    kernel = jax.jit(lambda w: jax.jacrev(lambda v: h(v))(w))(params)
    flat = np.concatenate([np.asarray(leaf).reshape(1000, -1) for leaf in jax.tree.leaves(kernel)], axis=1)
    assert row["jacobian"][0] == pytest.approx(np.linalg.norm(flat, 2), rel=1e-4)
    assert all(0 < r["kappa"][0] <= r["kappa"][1] for r in kept["rows"])
    assert any(r["network"] == "vgg11" and r["width"] == 1 and r["parameters"] == 9_225_610 for r in kept["rows"])


def test_every_figure_is_drawn():
    names = ("fig3a", "fig3b", "fig3a-exact", "fig7a", "fig7b", "convnets-kappa")
    a, b, exact, losses, spectra, kappa = (experiment.load(name) for name in names)
    drawn = [
        figures.interpolation(a),
        figures.against_width(b),
        figures.exact_flow(exact, a),
        figures.end_losses(losses),
        figures.eigenvalues(spectra),
        figures.shares(spectra),
        figures.onset(a, kappa),
        figures.changes(kappa),
        figures.kappa_against_width(kappa),
    ]
    assert all(ax.lines or ax.patches for fig in drawn for ax in fig.axes)
