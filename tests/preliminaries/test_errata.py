"""The mistakes of the sources that the preliminaries meet."""

import jax
import jax.numpy as jnp
import pytest

from lazy_course.preliminaries import numerics


def test_C7_lipschitz_constant_of_the_gradient_has_a_second_term():
    """h = sin has Lip(h) = 1, but with y* = 5 and alpha = 1 the gradient of F has the Lipschitz constant 6 or more."""
    w, target = jnp.array([-jnp.pi / 2]), jnp.array([5.0])
    measured = numerics.curvature(jnp.sin, w, target)
    assert measured == pytest.approx(6.0, rel=1e-12)
    # Lip(h)^2 = 1 is too small; with the second term, Lip(Dh) norm(h - y*) = 6 at w, it is 7: large enough.
    assert 1.0 < measured <= 1.0 + 1.0 * float(jnp.abs(jnp.sin(w) - target)[0])
    # In the regime of the theorem, h(w0) = 0 and w within O(1/alpha) of w0, the second term falls like 1/alpha.
    excess = [
        float(numerics.curvature(jnp.sin, jnp.array([-1 / alpha]), target, alpha=alpha)) - 1.0
        for alpha in (100.0, 1000.0)
    ]
    assert abs(excess[0]) <= 1.1 * (5.0 + 1.0) / 100
    assert abs(excess[1]) <= abs(excess[0]) / 10


def test_P13_locally_lipschitz_has_no_single_constant():
    """h = w^3 has a locally Lipschitz differential, and norm(Dh(w) - Dh(w')) / norm(w - w') is not bounded."""
    slope = jax.grad(lambda w: w**3)
    quotients = [float((slope(2 * r) - slope(r)) / r) for r in (1.0, 10.0, 100.0)]
    # (12 r^2 - 3 r^2) / r = 9 r: bounded for r up to R, by 9 R, and not for all r.
    assert quotients == pytest.approx([9.0, 90.0, 900.0])
