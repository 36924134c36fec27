"""The kept measurements: complete, plausible, reproduced in part, and what the page reads off them."""

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.figure import Figure

from lazy_course.implicit_bias import bounds, curves, experiment, figures, flow, numerics


@pytest.mark.parametrize("section", sorted(experiment.SECTIONS))
def test_every_section_is_kept_with_its_settings(section):
    kept = experiment.load(section)
    assert kept["values"]
    assert kept["settings"]["seed"] == experiment.SEED
    assert kept["seconds"] > 0
    assert set(kept["versions"]) == {"jax", "diffrax", "numpy", "scipy"}


def test_an_unknown_section_is_refused():
    with pytest.raises(ValueError, match="section"):
        experiment.main(["nothing"])


def test_kept_exact_errors_are_reproduced():
    """Draw 1 of the sparse problem, d = 1000: three of its alphas, and the least-norm end."""
    kept = experiment.load("sparse")
    x, y, target = experiment.problem(1, noise=0.1)
    row = kept["values"]["0.1"]["exact"][1]
    some = [0, 10, 20]
    found = numerics.minimum_q_interpolator(x, y, experiment.ALPHAS[some])
    assert curves.population_error(found, target) == pytest.approx(np.asarray(row["error"])[some], rel=1e-6)
    assert float(curves.population_error(numerics.minimum_l2(x, y), target)) == pytest.approx(row["l2"], rel=1e-6)


def test_kept_descents_are_reproduced():
    """Ten thousand steps at alpha = 0.1 and 1e-3, and the stop at a mean square of 1e-4 at alpha = 0.3."""
    kept = experiment.load("sparse")["values"]["0.0"]
    alphas = np.asarray(experiment.load("sparse")["settings"]["alphas"])
    at = int(np.argmin(np.abs(np.log(alphas / 0.3))))
    fresh = experiment.stopped(0, 0.0, "tolerance", alphas[at : at + 1])
    assert fresh["steps"][0] == kept["tolerance"]["steps"][at]
    assert fresh["error"][0] == pytest.approx(kept["tolerance"]["error"][at], rel=1e-6)


def test_stopped_descent_is_descent():
    """The loop of the experiment against flow.descent, and both near the flow at the same time."""
    x, y, _ = experiment.problem(0, n=4, d=9, k=2)
    beta, count = experiment.stopped_descent(
        jnp.asarray(x), jnp.asarray(y), jnp.asarray(0.1), jnp.asarray(1e-3), jnp.asarray(500), jnp.asarray(0.0)
    )
    assert int(count) == 500
    path = flow.descent(x, y, 0.1, step_size=1e-3, save_at=[500]).path
    assert np.asarray(path.beta[-1]) == pytest.approx(np.asarray(beta), abs=1e-12)
    end = flow.flow(x, y, 0.1, np.linspace(0.0, 0.5, 200)).beta[-1]
    assert np.asarray(end) == pytest.approx(np.asarray(beta), abs=0.02)


def test_published_points_had_not_converged():
    """Without noise, alpha = 1e-5: the exact error is thousands of times below all three stopped runs."""
    kept = experiment.load("sparse")
    row = kept["values"]["0.0"]
    exact = np.asarray(row["exact"][0]["error"])
    assert np.all(np.diff(exact) > 0)
    assert exact[-1] == pytest.approx(row["exact"][0]["l2"], rel=0.01)
    for budget, factor in (("tolerance", 1000), ("ten thousand steps", 1000), ("ten million steps", 5)):
        assert row[budget]["error"][0] > factor * exact[0]
    # at a large scale every budget is enough
    assert row["tolerance"]["error"][-1] == pytest.approx(exact[-1], rel=1e-3)
    # the limit fits the noise, too: every limit is worse than the best run that was stopped after ten thousand steps
    noisy = kept["values"]["0.1"]
    assert min(noisy["ten thousand steps"]["error"]) < 0.1 * min(noisy["exact"][0]["error"])


def test_sample_sizes_go_from_one_end_to_the_other():
    """N for a tenth of the error: 0.9 d where training is lazy, between delta and its bound where it is not."""
    kept = experiment.load("samples")
    settings = kept["settings"]
    needed = experiment.needed(kept)
    scales = np.asarray(settings["alphas"])
    assert np.all(np.diff(needed[np.argsort(scales)]) > -1e-9)
    assert needed[np.argmax(scales)] == pytest.approx(0.9 * settings["d"], rel=0.03)
    d, k = settings["d"], settings["k"]
    assert bounds.statistical_dimension(d, k) < needed[np.argmin(scales)] < 2 * k * np.log(d / k) + 1.25 * k
    # lazy training sees 1 - N/d
    lazy = np.mean(np.asarray(kept["values"]), axis=1)[:, np.argmax(scales)]
    assert lazy == pytest.approx(1 - np.asarray(settings["sizes"]) / settings["d"], abs=0.05)
    fresh = experiment.errors_of_samples(0, 15)
    assert fresh == pytest.approx(kept["values"][settings["sizes"].index(15)][0], rel=1e-5)


def test_recovery_begins_at_the_statistical_dimension():
    """Twelve pairs (d, k): half of the draws succeed within 25 % of delta, never above 2k ln(d/k) + 5k/4."""
    kept = experiment.load("recovery")
    halves = np.asarray([experiment.half(row) for row in kept["values"]])
    delta = np.asarray([row["delta"] for row in kept["values"]])
    bound = np.asarray([2 * r["k"] * np.log(r["d"] / r["k"]) + 1.25 * r["k"] for r in kept["values"]])
    assert np.all(np.abs(halves / delta - 1) < 0.25)
    assert np.all(delta <= bound)
    row = kept["values"][0]
    sizes, share = experiment.successes(row["d"], row["k"], 10, slice(3, 13, 4))
    kept_share = [row["share"][row["sizes"].index(size)] for size in sizes]
    assert share == pytest.approx(kept_share)


def test_figures_of_the_record_are_drawn():
    drawn = [getattr(figures, name)(experiment.load(name)) for name in ("sparse", "samples", "recovery")]
    for figure in drawn:
        assert isinstance(figure, Figure)
        assert all(axis.get_xlabel() and axis.lines for axis in figure.axes)
