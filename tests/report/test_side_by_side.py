"""Descent of a model beside its linearization, against a loop by hand, and with steps that are too large."""

import jax
import jax.numpy as jnp
import numpy as np

from lazy_course.losses import SquareLoss
from lazy_course.report.side_by_side import side_by_side

W0, ALPHA, TARGET = jnp.array([0.3, -0.2]), 2.0, jnp.array([1.0, 0.5])


def h(w):
    """Two outputs of two parameters, curved."""
    return jnp.stack([w[0] + w[0] * w[1], jnp.sin(2.0 * w[1]) + w[0]])


J0 = jax.jacrev(h)(W0)
KERNEL = J0 @ J0.T
TOGETHER = jax.jit(
    lambda size, steps, shrink: side_by_side(h, W0, KERNEL, SquareLoss(TARGET), ALPHA, size, steps, shrink=shrink)
)


def test_both_descend_as_by_hand_and_the_largest_gap_is_that_of_the_way():
    found, size = TOGETHER(0.1, 40, False), 0.1
    w, v, gaps = np.asarray(W0), np.zeros(2), []
    for _ in range(40):
        y, linear = ALPHA * h(w), ALPHA * h(W0) + J0 @ v
        gaps.append(np.linalg.norm(y - linear))
        w = w - size / ALPHA * jax.jacrev(h)(w).T @ (y - TARGET)
        v = v - size * J0.T @ (linear - TARGET)
    gaps.append(np.linalg.norm(ALPHA * h(w) - (ALPHA * h(W0) + J0 @ v)))
    np.testing.assert_allclose(found.end.params, w, rtol=1e-12)
    np.testing.assert_allclose(found.end.outputs, ALPHA * h(W0) + J0 @ v, rtol=1e-12)
    np.testing.assert_allclose(-J0.T @ found.end.force, v, rtol=1e-10)
    np.testing.assert_allclose(found.largest_gap, max(gaps), rtol=1e-12)
    # The gap is largest on the way, not at the end: what a report of the end alone would miss.
    assert max(gaps) > 2 * gaps[-1]


def test_a_small_step_is_never_shrunk():
    kept, shrinking = TOGETHER(0.1, 40, False), TOGETHER(0.1, 40, True)
    assert float(shrinking.size) == 0.1
    np.testing.assert_array_equal(kept.end.params, shrinking.end.params)


def test_a_step_that_is_too_large_is_halved_until_the_loss_falls():
    loss = SquareLoss(TARGET)
    diverged, found = TOGETHER(8.0, 300, False), TOGETHER(8.0, 300, True)
    start = float(loss(ALPHA * h(W0)))
    assert not float(loss(ALPHA * h(diverged.end.params))) < start
    assert float(loss(ALPHA * h(found.end.params))) < 1e-6 * start
    halvings = np.log2(8.0 / float(found.size))
    assert halvings >= 1
    assert halvings == round(halvings)
