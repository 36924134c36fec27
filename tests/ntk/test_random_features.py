"""Random two-layer kernels: unbiased, and at a distance of order m^(-1/2) from their limit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.ntk import random_features


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_the_distance_to_the_limit_falls_like_the_root_of_the_width(activation):
    section = random_features.kernels_on_a_section(
        jax.random.key(0), (4, 16, 64), draws=3000, activation=activation, count=9
    )
    assert section.slope == pytest.approx(-0.5, abs=0.04)
    # Opposite inputs are left out: there every draw for ReLU is 0, like the limit.
    off = np.asarray(jnp.mean(section.draws, axis=1) - section.limit[None])[:, :-1]
    scatter = np.asarray(jnp.std(section.draws, axis=1, ddof=1))[:, :-1] / 3000**0.5
    assert np.max(np.abs(off) / scatter) < 4.5, "the mean of the draws is the limit, within sampling error"


def test_relu_at_both_ends_of_the_section():
    """Theta(x, x) = 1/2 + 1/2 for unit x, and Theta(x, -x) = 0; the variance at x is 3/m."""
    section = random_features.kernels_on_a_section(jax.random.key(1), (64,), draws=2000, count=3)
    assert float(section.limit[0]) == pytest.approx(1.0)
    assert float(section.limit[-1]) == pytest.approx(0.0, abs=1e-12)
    # One neuron: 1{u > 0}(b^2 + u^2) with u, b normal: mean 1, second moment (E b^4 + 2 E b^2 u^2 + E u^4)/2 = 4.
    assert 64 * float(jnp.var(section.draws[0, :, 0])) == pytest.approx(3.0, rel=0.1)
