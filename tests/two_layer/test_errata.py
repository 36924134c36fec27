"""Each erratum of the chapter, shown."""

import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.half_spaces import half_space_moments
from lazy_course.two_layer import experiment, numerics, readings


def test_C13_the_plateau_is_the_linearized_model_at_the_same_step_and_not_its_limit():
    record, linearized = experiment.load("fig1c"), experiment.load("fig1c-linearized")
    end = np.asarray([job["test_end"][-1] for job in record["jobs"]])
    same = np.asarray([job["test_end"][-1] for job in linearized["jobs"]])
    limit = np.asarray([job["test_limit"] for job in linearized["jobs"]])
    assert len(end) == 10
    np.testing.assert_allclose(end, same, rtol=2e-3)
    assert np.mean(limit) > np.mean(end) * 7 / 6
    assert np.all(limit > 1.05 * end)
    assert abs(readings.gaps(record, linearized)[-1]) < 1e-3


def test_C14_the_differential_of_the_population_model_is_not_lipschitz(key):
    """Turn b by theta: E |x 1(<b, x> > 0) - x 1(<b', x> > 0)|^2 = theta / pi, by moments and by points."""
    angles = np.array([0.3, 0.03, 0.003])
    turned = jnp.stack([jnp.cos(angles), jnp.sin(angles), jnp.zeros(3)], axis=1)
    fixed = jnp.array([[1.0, 0.0, 0.0]])
    traces = [jnp.trace(half_space_moments(a, b)[0], axis1=1, axis2=2) for a, b in ((fixed, fixed), (fixed, turned))]
    # E |x|^2 1(<b, x> > 0) is the same for b and b'.
    squared = 2 * traces[0] - 2 * traces[1]
    np.testing.assert_allclose(squared, angles / np.pi, rtol=1e-9)
    quotient = np.sqrt(np.asarray(squared)) / (2 * np.sin(angles / 2))
    assert quotient[2] > 9 * quotient[0]
    x = numerics.sphere(key, 200_000, 3)
    differ = jnp.mean((x @ fixed[0] > 0) != (x @ turned[0] > 0))
    assert float(differ) == pytest.approx(angles[0] / np.pi, rel=0.03)
