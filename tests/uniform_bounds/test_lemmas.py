"""Lemmas B.1 and B.2: true on 200 drawn metrics, and approached by constructed ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.uniform_bounds import metrics


def test_drawn_metrics_are_as_the_lemmas_ask():
    metric = metrics.draw_metric(jax.random.key(4))
    values = [np.asarray(metric(jnp.asarray(t))) for t in np.linspace(0, 6, 25)]
    assert all(np.allclose(v, v.T) for v in values)
    assert min(np.linalg.eigvalsh(v)[0] for v in values) >= float(metric.least) - 1e-12
    assert np.linalg.norm(values[0] - values[7]) > 0.1, "a metric that does not move tests nothing"


def test_both_lemmas_hold_on_two_hundred_cases():
    """The largest ratio is below 1, and not so far below that the test could not fail."""
    ratios = metrics.lemma_ratios(jax.random.key(0), cases=200)
    assert ratios.decay.shape == ratios.stability.shape == (200,)
    assert float(jnp.max(ratios.decay)) <= 1.0
    assert float(jnp.max(ratios.stability)) <= 1.0
    assert float(jnp.max(ratios.decay)) > 0.85, "some case is within 15 % of the bound, once lambda t >= 0.1"
    assert 0.15 < float(jnp.median(ratios.decay)) < 0.25, "1/3 or more would be the ratio at the start"


@pytest.mark.parametrize(("slope", "turn"), [(0.1, 1e-3), (0.01, 1e-3), (0.003, 1e-4)])
def test_lemma_b1_is_approached(slope, turn):
    """The turned path shrinks by e^(-(pi/2) slope), up to what the plain part of the flow does in the short turn."""
    ratio = metrics.rotation_ratio(slope, turn_time=turn)
    assert ratio <= 1.0
    assert ratio == pytest.approx(np.exp(-np.pi / 2 * slope), abs=10 * turn)


def test_lemma_b2_is_approached():
    ratios = [metrics.constant_push_ratio(start) for start in (10.0, 100.0, 1000.0)]
    assert all(ratio <= 1.0 for ratio in ratios)
    assert ratios[0] < ratios[1] < ratios[2]
    assert ratios[2] > 0.98
