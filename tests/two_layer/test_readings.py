"""What the page reads off the records, on records made up for the purpose and on the committed ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.two_layer import (
    comparisons,
    differences,
    experiment,
    figures,
    linearized,
    numerics,
    readings,
    sliders,
    trajectories,
)
from lazy_course.two_layer.numerics import Weights
from lazy_course.two_layer.panels import Population


def made(ends, **more):
    """A record of a panel with these end losses, one row a repetition."""
    logs = np.linspace(-1, 1, len(ends[0])).tolist()
    settings = {"logs": logs, "teacher_scale": 1.0} | more.pop("settings", {})
    return {"settings": settings, "jobs": [{"test_end": row} for row in ends]} | more


@pytest.fixture(scope="module")
def panel():
    return experiment.load("fig1c"), experiment.load("fig1c-linearized")


@pytest.fixture(scope="module")
def population():
    return experiment.load("fig2b"), experiment.load("fig2b-plateau")


@pytest.fixture(scope="module")
def plane():
    return experiment.load("fig1a")


def test_a_band_is_mean_and_standard_deviation():
    found = readings.band(made([[1.0, 2.0, 5.0], [3.0, 2.0, 7.0]]), "test_end", factor=10.0)
    np.testing.assert_allclose(found.mean, [20, 20, 60])
    np.testing.assert_allclose(found.deviation, [10 * 2**0.5, 0, 10 * 2**0.5])


def test_lazy_from_needs_all_larger_tau_to_be_near():
    record, linear = made([[1.0, 0.2, 0.97, 1.0, 1.0]]), made([[1.0] * 5])
    assert readings.lazy_from(record, linear) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="near: expected a share"):
        readings.lazy_from(made([[1.0, 0.5]]), made([[1.0, 1.0]]))


def test_half_way_is_where_a_straight_line_passes_half():
    assert readings.half_way(made([[0.0, 0.5, 1.0, 1.5, 2.0]])) == pytest.approx(1.0)
    assert readings.half_way(made([[0.0, 0.0, 2.0]])) == pytest.approx(10**0.5)


def test_slow_is_falling_and_not_yet_small():
    """Of four curves one is flat, one slow, one done, and one falls by less than the share."""
    curves = [[1.0, 1.0, 1.0], [1.0, 0.8, 0.5], [1.0, 1e-4, 1e-6], [1.0, 0.8, 0.75]]
    record = {"settings": {"teacher_scale": 1.0}, "steps": [0, 50, 100], "jobs": [{"test": curves}]}
    np.testing.assert_allclose(readings.fallen(record), [0, 0.375, 0.99, 0.0625])
    assert readings.still_falling(record, 1.0).tolist() == [False, True, False, False]


def test_widths_are_read_in_their_order():
    settings = {"widths": [[2, 3], [8]], "teacher_scale": 10.0}
    ends = [[100.0, 1.0, 200.0, 2.0], [300.0, 3.0]]
    m, bands = readings.widths({"settings": settings, "jobs": [{"test_end": row} for row in ends * 2]})
    assert m.tolist() == [2, 3, 8]
    np.testing.assert_allclose(bands["root"].mean, [1, 2, 3])
    np.testing.assert_allclose(bands["mean"].mean, [0.01, 0.02, 0.03])


def test_aligned_counts_neurons_of_the_right_sign_and_direction():
    positions = [[[3.0, 0.1], [0.0, 2.0], [-1.0, 0.0], [1.0, 0.0]]]
    record = {
        "positions": [positions],
        "signs": [[1, 1, 1, -1]],
        "teacher": [[1.0, 0.0], [0.0, 1.0]],
        "teacher_signs": [1, -1],
    }
    size = float(np.hypot(3.0, 0.1))
    assert readings.aligned(record, 0) == pytest.approx(size / (size + 4))


def test_the_transition_of_figure_1c(panel):
    """kappa is 1 before the loss is at half of its rise, and the network is lazy only far behind."""
    record, linear = panel
    tau, kappa = readings.taus(record), readings.kappas(*panel)
    one, half, lazy = kappa[0] ** 0.5 * tau[0], readings.half_way(record), readings.lazy_from(*panel)
    assert one < half < lazy
    assert np.interp(np.log(half), np.log(tau), kappa) > 0.1
    assert np.interp(np.log(lazy), np.log(tau), kappa) < 0.01
    assert np.all(np.diff(readings.band(record, "test_end").mean[tau < 2.5]) > 0)
    assert abs(readings.gaps(record, linear)[-1]) < 1e-3


def test_the_plateau_of_figure_2b_is_that_of_as_many_linearized_steps(population):
    """Above tau = 1: descent on the linearized model, without noise, ends within 3 % below; its infimum is lower."""
    record, plateau = population
    ends = np.mean(plateau["test_end"], axis=0)
    large = readings.taus(record) >= 1.9
    ratio = readings.band(record, "test_end").mean[large] / ends[large]
    assert np.all(np.abs(ratio - 1) < 0.03)
    assert np.all(ends >= np.mean(plateau["values"]))
    slow = readings.still_falling(record, float(np.mean(plateau["values"])))
    assert 0 < slow.sum() < len(slow)
    assert not slow[0]
    assert not slow[-1]


def test_linearized_descent_is_that_of_many_points(key):
    """Descent on 40 000 points with the Jacobian of both layers, to their sampling error; its limit is the infimum."""
    settings = Population(d=4, m=6, n_test=20, dtype="float64")
    job = settings.job(0)
    unit = comparisons.unit_start(settings, job)
    half = Weights(unit.inputs[:, :3], unit.outputs[:, :3])
    sizes, factors = np.array([0.3]), (2.0, 2.0)
    x = numerics.sphere(key, 40_000, 4)
    z = x @ unit.inputs[0].T
    by_inputs = (unit.outputs * (z > 0))[:, :, None] * x[:, None, :]
    features = jnp.concatenate([by_inputs.reshape(40_000, 24), jnp.maximum(z, 0)], axis=1)
    gram, right = features.T @ features / 40_000, features.T @ job.teacher(x) / 40_000
    v = jax.lax.fori_loop(0, 40, lambda i, v: v - 0.3 * (gram @ v - right), jnp.zeros(30))
    expected = float(0.5 * jnp.mean((features @ v - job.teacher(x)) ** 2))
    found = comparisons.linearized_descent(half, job.teacher, sizes, 40, factors)
    assert float(found[0]) == pytest.approx(expected, rel=0.03)
    limit = comparisons.linearized_descent(half, job.teacher, sizes, 10**8, factors)
    assert float(limit[0]) == pytest.approx(float(comparisons.best_tangent_fit(half.inputs[0], job.teacher)), rel=1e-9)
    assert float(limit[0]) < 0.999 * float(found[0])


def test_only_neurons_with_small_output_weights_change_their_sign(plane):
    """a^2 - |b|^2 is kept by the flow, so where it is positive at the start a cannot vanish: for every recorded tau."""
    start = trajectories.scene(trajectories.PLANES["fig1a"]["paper"]).weights
    flipped = np.asarray(plane["signs"]) != np.sign(np.asarray(start.outputs))
    small = np.abs(np.asarray(start.outputs)) < np.linalg.norm(np.asarray(start.inputs), axis=2)
    assert flipped.sum(axis=1).tolist() == plane["flips"]
    assert flipped.any()
    assert not small.all()
    assert not np.any(flipped & ~small)


def test_balance_changes_only_in_second_order(key):
    """One step changes a^2 - |b|^2 by eta^2 (<b, g>^2 - a^2 |g|^2), to rounding."""
    settings = Population(d=4, m=6, n_test=20, dtype="float64")
    job = settings.job(0)
    one = Weights(job.weights.inputs[-1:], job.weights.outputs[-1:])
    rates = numerics.Rates(jnp.ones(1), jnp.full(1, 0.3), jnp.full(1, 0.3))
    slope = numerics.gradient(one, rates.scale, job.data.x, job.data.y)
    after = numerics.moved_from(one, numerics.step(one, numerics.still(one), rates, job.data.x, job.data.y))
    change = [w.outputs**2 - jnp.sum(w.inputs**2, axis=2) for w in (one, after)]
    expected = 0.09 * (slope.outputs**2 - jnp.sum(slope.inputs**2, axis=2))
    assert float(jnp.max(jnp.abs(expected))) > 1e-6
    np.testing.assert_allclose(change[1] - change[0], expected, atol=1e-12)


def test_symmetrized_kernel_is_twice_that_of_the_half(key):
    student = numerics.draw_student(key, 3, 8, symmetrized=True)
    half = Weights(student.inputs[:, :4], student.outputs[:, :4])
    x = numerics.sphere(key, 9, 3)
    np.testing.assert_allclose(
        linearized.kernel(student, x, x), 2 * linearized.kernel(half, x, x), rtol=1e-12, atol=1e-14
    )


def test_feature_learning_in_the_plane(plane):
    """Nearly all of the student lies along the teacher at the end at small tau, and nearly nothing at large tau."""
    shares = [readings.aligned(plane, case) for case in range(len(plane["signs"]))]
    assert min(shares[:5]) > 0.7
    assert max(shares[-4:]) < 0.1
    assert np.all(np.diff(plane["moved"]) < 0)
    assert plane["moved"][-1] / plane["moved"][-4] == pytest.approx(10**-0.6, rel=0.05)


def test_every_difference_is_measured_or_tested():
    found = differences.rows()
    assert len({row["id"] for row in found}) == len(found)
    assert set(differences.MEASURED) <= {row["id"] for row in found}
    for row in found:
        assert row["shown"]
        assert differences.measured(row["id"]) or any("::" in shown for shown in row["shown"])
        for shown in row["shown"]:
            if "::" not in shown:
                figure, preset = shown.split()
                assert figure in experiment.REGISTRY
                assert preset
    assert differences.table().count("\n") == len(found) + 1


def test_the_size_of_the_teacher_changes_the_picture_and_not_the_order():
    """Figure 2(a) at the largest width, teacher of norm 1: both losses are 9 times smaller as coded, 1/m is lower."""
    (_, text), (_, coded) = (readings.widths(experiment.load("fig2a", p)) for p in ("paper", "as-coded-2-runs"))
    for name in ("root", "mean"):
        assert 9 * coded[name].mean[-1] < text[name].mean[-1]
    for bands in (text, coded):
        assert 4 * bands["mean"].mean[-1] < bands["root"].mean[-1]


def test_the_figures_draw_what_they_say(panel, population, plane):
    top, bottom = figures.against_tau(*panel).axes
    assert [line.get_label() for line in top.lines[:4]] == [
        "linearized, end",
        "linearized, best",
        "network, end",
        "network, best",
    ]
    np.testing.assert_allclose(bottom.lines[0].get_ydata(), readings.kappas(*panel))
    left, right = figures.population(*population).axes
    slow = readings.still_falling(population[0], float(np.mean(population[1]["values"])))
    purple = [line for line in right.lines if line.get_color() == "#CC79A7" and len(line.get_xdata())]
    assert len(purple) == slow.sum()
    assert len(left.lines) == 3
    drawn = figures.planes(plane, (4, 17), closer=0.2)
    assert [axis.get_title() for axis in drawn.axes[:2]] == [
        r"$\tau$ = 0.1, symmetrized",
        r"$\tau$ = 2, symmetrized",
    ]
    assert figures.learning_table(plane, (0.1, 2.0)).count("\n") == 3


def test_the_slider_has_all_tau_and_keeps_directions(plane):
    assert len(plane["settings"]["cases"]) >= 15
    html = sliders.trajectories(plane, alt="neurons in the plane", twin="A figure tells more.").data
    assert 'max="18"' in html
    points = np.array([[0.001, 0.0], [3.0, 4.0], [0.0, 0.0]])
    moved = sliders.compressed(points)
    np.testing.assert_allclose(moved[0], points[0] / 0.3, rtol=1e-4)
    np.testing.assert_allclose(moved[1], np.arcsinh(5 / 0.3) * np.array([0.6, 0.8]), rtol=1e-12)
    assert not moved[2].any()
