"""The kept measurements of wide networks: complete, below the bounds, and reproduced in part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.ntk import comparison, experiment, wide

KINDS = {"widths": ("ntk", "standard"), "symmetry": ("normal", "signs", "ones")}


@pytest.mark.parametrize("section", sorted(experiment.SECTIONS))
def test_every_section_is_kept_with_its_settings(section):
    kept = experiment.load(section)
    settings, cases = experiment.SECTIONS[section]
    assert set(kept["values"]) == {name for name, _ in cases()}
    assert kept["settings"] == {
        name: list(value) if isinstance(value, tuple) else value for name, value in vars(settings).items()
    }
    assert kept["seconds"] > 0
    assert set(kept["versions"]) == {"jax", "equinox", "numpy"}


def test_an_unknown_section_is_refused():
    with pytest.raises(ValueError, match="section"):
        experiment.main(["nothing"])


@pytest.mark.parametrize("section", sorted(KINDS))
def test_training_came_to_its_end(section):
    assert max(max(row["left"]) for row in experiment.load(section)["values"].values()) < 2e-3


@pytest.mark.parametrize(("section", "kind"), [(s, k) for s, kinds in KINDS.items() for k in kinds])
def test_no_supremum_exceeds_c_over_the_root_of_the_width(section, kind):
    """Over R_0^2 (outputs) or R_0: no draw of a wider network is above C m^(-1/2), with C from the narrowest ones."""
    kept = experiment.load(section)
    widths = np.asarray(kept["settings"]["widths"], dtype=float)
    for name in ("gap", "test_gap", "drift", "test_drift"):
        values = comparison.scaled(kept, kind, name) * widths[:, None] ** 0.5
        assert np.max(values[1:]) < 1.1 * np.max(values[0]), name


@pytest.mark.parametrize("kind", KINDS["widths"])
def test_the_way_of_the_parameters_has_the_constant_of_the_linearization(kind):
    """sqrt(m) times the displacement over R_0 is at most 1/sqrt(lam_min), up to 5 % for drawn kernels."""
    kept = experiment.load("widths")
    net = experiment.network(experiment.WIDTHS, kind)
    params = wide.init_fully_connected(jax.random.key(0), (3, 1024, 1024, 1), network=net)
    kernel = jnp.sum(wide.layer_kernels(net, params, experiment.data()[0]), axis=(0, 1))
    most = float(jnp.linalg.eigvalsh(kernel)[0]) ** -0.5
    widths = np.asarray(kept["settings"]["widths"], dtype=float)
    way = comparison.scaled(kept, kind, "displacement") * widths[:, None] ** 0.5
    assert 0.5 * most < np.max(way) < 1.05 * most


@pytest.mark.parametrize("kind", KINDS["widths"])
def test_slopes_of_two_hidden_layers(kind):
    """Parameters: -1/2, as the bound. Outputs and kernel: -1, twice as steep, measured."""
    kept = experiment.load("widths")
    assert comparison.slope(kept, kind, "displacement").slope == pytest.approx(-0.5, abs=0.1)
    for name in ("gap", "test_gap", "drift", "test_drift"):
        assert comparison.slope(kept, kind, name).slope == pytest.approx(-1.0, abs=0.2), name


def test_symmetry_makes_the_difference():
    kept = experiment.load("symmetry")
    for name in ("gap", "test_gap", "drift", "test_drift"):
        for law in ("normal", "signs"):
            assert comparison.slope(kept, law, name).slope == pytest.approx(-1.0, abs=0.1), (law, name)
        assert comparison.slope(kept, "ones", name).slope == pytest.approx(-0.5, abs=0.05), name


def test_draws_are_reproduced():
    kept = experiment.load("widths")["values"]["ntk, 64"]
    fresh = experiment.width_draw("ntk", 64, 3)
    assert fresh == {name: pytest.approx(values[3], rel=1e-4) for name, values in kept.items()}
    kept = experiment.load("symmetry")["values"]["ones, 128"]
    fresh = experiment.symmetry_draw("ones", 128, 2)
    assert fresh == {name: pytest.approx(values[2], rel=1e-4) for name, values in kept.items()}


def test_a_network_of_the_ensemble_is_reproduced():
    """The first one of width 512, all 600 steps, on the whole grid."""
    kept = experiment.load("ensemble")["values"]["512"]
    fresh = experiment.ensemble_outputs(512, range(1))[0, -1]
    checks = len(experiment.ENSEMBLE.check_angles)
    assert fresh[checks:] == pytest.approx(np.asarray(kept["functions"][0]), abs=1e-4)


def test_the_ensemble_agrees_within_sampling_error():
    """400 networks of width 512: mean and variance at five points and four times, at the level 1/1000 each."""
    kept = experiment.load("ensemble")
    rows = comparison.ensemble_checks(kept, 512)
    assert kept["settings"]["draws"] >= 100
    assert min(min(row.mean_p, row.variance_p) for row in rows) > 1e-3
    assert max(row.largest for row in rows) < 3.5
    assert all(abs(row.variance - 1) < 0.1 for row in rows)


def test_the_test_sees_narrow_networks():
    """At width 32 the variance at the end is too large, far beyond sampling error, and the excess falls like 1/m."""
    kept = experiment.load("ensemble")
    narrow, middle = (comparison.ensemble_checks(kept, m)[-1] for m in (32, 128))
    assert narrow.variance_p < 1e-6
    assert narrow.variance - 1 > 2 * (middle.variance - 1)


def test_the_statistics_on_exact_samples():
    """A sample with the right moments gives ratio 1; a shifted mean and a scaled covariance are seen."""
    sigma = np.array([[2.0, 0.5], [0.5, 1.0]])
    same = comparison.check([1.0, 2.0], sigma, [1.0, 2.0], sigma, 100, 0)
    assert (same.mean, same.mean_p, same.largest) == (0.0, 1.0, 0.0)
    assert same.variance == pytest.approx(1.0)
    shifted = comparison.check([1.5, 2.0], 1.5 * sigma, [1.0, 2.0], sigma, 100, 0)
    assert shifted.mean == pytest.approx(100 * 0.25 * np.linalg.inv(sigma)[0, 0])
    assert shifted.mean_p < 1e-3
    assert shifted.variance == pytest.approx(1.5)
    assert shifted.variance_p < 1e-4


def test_the_prediction_uses_the_ensembles_own_settings():
    """At the training angles it ends in the target, without variance: 600 steps leave (1 - 0.02 lam_min)^600."""
    end = comparison.predicted(experiment.ENSEMBLE.train_angles)
    target = experiment.circle_target(experiment.ENSEMBLE.train_angles)
    assert np.asarray(end.mean[-1]) == pytest.approx(np.asarray(target), abs=1e-6)
    assert float(jnp.max(jnp.abs(end.covariance[-1]))) < 1e-10
