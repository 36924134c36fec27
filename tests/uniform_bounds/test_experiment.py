"""The kept measurements: complete, plausible, and reproduced in part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.uniform_bounds import experiment, features, numerics


@pytest.mark.parametrize("section", sorted(experiment.SECTIONS))
def test_every_section_is_kept_with_its_settings(section):
    kept = experiment.load(section)
    assert kept["values"]
    assert kept["settings"]
    assert kept["seconds"] > 0
    assert set(kept["versions"]) == {"jax", "diffrax", "numpy"}


def test_an_unknown_section_is_refused():
    with pytest.raises(ValueError, match="section"):
        experiment.main(["nothing"])


def test_kept_gaps_are_flat_and_below_both_bounds():
    """Three models, two losses: within 1 % of the last value from alpha = 100 on, and below both explicit bounds."""
    kept, steps = experiment.load("gaps"), experiment.load("steps")
    alphas = np.asarray(kept["settings"]["alphas"])
    assert len(kept["values"]) == 3
    for name, values in kept["values"].items():
        scaled = np.asarray(values["parameter_gap"])
        assert np.max(np.abs(scaled[:, alphas >= 100] / scaled[:, -1:] - 1)) < 0.01
        for weight, row in zip(kept["settings"]["weights"], scaled, strict=True):
            case = steps["values"][f"{name}, c = {weight:g}"]
            assert np.max(row) < case["path"][-1][2] < case["uniform"][-1][2]
            assert all(bound >= measured for _, measured, bound in case["path"] + case["uniform"])


def test_kept_gaps_tend_to_the_kept_limits():
    """At 1e5 the scaled gap is sup |v1| up to O(1/alpha), for every model and both losses."""
    kept, limits = experiment.load("gaps"), experiment.load("limits")
    alphas = np.asarray(kept["settings"]["alphas"])
    for name, values in kept["values"].items():
        off = np.abs(np.asarray(values["parameter_gap"]) / np.asarray(limits["values"][name])[:, None] - 1)
        assert np.max(off[:, -1]) < 1e-5
        assert np.all(off[:, -1] < off[:, alphas == 100][:, 0])
    problem = numerics.problems(jax.random.key(limits["settings"]["seed"]))["diagonal"]
    assert numerics.limiting_gap(problem) == pytest.approx(limits["values"]["diagonal"][0], rel=1e-6)


def test_kept_gaps_are_reproduced():
    kept = experiment.load("gaps")
    problem = numerics.problems(jax.random.key(kept["settings"]["seed"]))["diagonal"]
    fresh = numerics.gap_sweep(problem, [30.0, 100.0, 1e3, 1e5])
    wanted = np.asarray(kept["values"]["diagonal"]["parameter_gap"])[:, [2, 3, 4, 6]]
    assert np.asarray(fresh.parameter_gap) == pytest.approx(wanted, rel=1e-6)


def test_the_onset_is_reproduced():
    """Two draws of the first shape, by the same bisection."""
    kept = experiment.load("pessimism")["values"][0]
    n, m = kept["n"], kept["m"]
    drawn = [numerics.input_problem(jax.random.key(1000 * n + 10 * m + j), n=n, m=m) for j in range(2)]
    assert experiment.onset(drawn) == pytest.approx(kept["onset"][:2], rel=1e-6)


def test_thresholds_are_above_the_onset():
    for row in experiment.load("pessimism")["values"]:
        onset, path, uniform = (np.asarray(row[name]) for name in ("onset", "path", "uniform"))
        assert np.all(np.isnan(onset) | (onset < path))
        assert np.all(path < uniform / 16)


def test_the_share_left_is_reproduced():
    kept = experiment.load("dimension")
    fresh = float(features.left_over(jax.random.key(200), d=2, m=2))
    assert fresh == pytest.approx(kept["values"]["2"][0][0], rel=1e-6)
    last = {int(d): np.mean(rows[-1]) for d, rows in kept["values"].items()}
    assert last[2] < 1e-3 < last[5] < last[10] < last[20] < last[40]


def test_the_moments_of_half_spaces_are_right():
    """The closed form against an average over points, and against the cases known without it."""
    a, b = features.sphere(jax.random.key(1), 3, 4), features.sphere(jax.random.key(2), 2, 4)
    moments = jax.jit(features.half_space_moments)
    x = features.sphere(jax.random.key(3), 20_000, 4)
    inside, other = ((x @ v.T > 0).astype(float) for v in (a, b))
    arrays = [np.asarray(array) for array in (inside, other, x, x)]
    averaged = np.einsum("nj,nk,na,nb->jkab", *arrays, optimize=True) / x.shape[0]
    assert np.asarray(moments(a, b)) == pytest.approx(averaged, abs=6e-3)
    itself, opposite = moments(a, jnp.concatenate([a, -a]))[0][jnp.asarray([0, 3])]
    assert np.asarray(itself) == pytest.approx(np.eye(4) / 8, abs=1e-12), "half of the sphere, E x x^T = Id/d"
    assert np.asarray(opposite) == pytest.approx(np.zeros((4, 4)), abs=1e-12)
    assert float(jnp.mean(jax.nn.relu(x @ a[0]))) == pytest.approx(float(features.mean_of_relu(4)), abs=6e-3)


def test_the_share_left_is_that_of_the_tangent_features():
    """Least squares on many points with jax's own Jacobian of a network, output weights among the parameters."""
    x, student = features.sphere(jax.random.key(9), 20_000, 3), features.sphere(jax.random.key(8), 4, 3)
    teacher, b = features.sphere(jax.random.key(7), 3, 3), jnp.asarray([0.5, -1.0, 2.0, 1.0])

    def network(a, b):
        return jax.nn.relu(x @ a.T) @ b

    by_a, by_b = jax.jacfwd(network, argnums=(0, 1))(student, b)
    tangent = np.concatenate([np.asarray(by_a).reshape(x.shape[0], -1), np.asarray(by_b)], axis=1)
    wanted = np.asarray(jax.nn.relu(x @ teacher.T) @ jnp.asarray([1.0, -1.0, 1.0]))
    left = wanted - tangent @ np.linalg.lstsq(tangent, wanted, rcond=None)[0]
    assert float(features.share_left(student, teacher)) == pytest.approx(np.mean(left**2) / np.var(wanted), rel=0.05)
    assert float(features.share_left(teacher, teacher)) == pytest.approx(0.0, abs=1e-12), (
        "its own features leave nothing"
    )
