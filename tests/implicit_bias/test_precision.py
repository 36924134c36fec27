"""What `minimum_q_interpolator` says of its precision, against fifty digits."""

import mpmath
import numpy as np
import pytest

from lazy_course.implicit_bias import numerics


def exact(X, y, alpha, start):
    """Newton's method on the dual with fifty digits, from a multiplier that is nearly right."""
    scale, rows, target, nu = mpmath.mpf(alpha) ** 2, mpmath.matrix(X), mpmath.matrix(y), mpmath.matrix(start)
    for _ in range(8):
        u = rows.T * nu
        weight = mpmath.diag([2 * scale * mpmath.cosh(entry) for entry in u])
        missing = target - rows * mpmath.matrix([2 * scale * mpmath.sinh(entry) for entry in u])
        step = mpmath.lu_solve(rows * weight * rows.T, missing)
        nu += step
    assert mpmath.norm(step) < mpmath.mpf(10) ** -40
    return [2 * scale * mpmath.sinh(entry) for entry in rows.T * nu]


@pytest.mark.parametrize("alpha", [1e-3, 1e-12])
def test_entries_are_exact_to_rounding(alpha):
    rng = np.random.default_rng(3)
    X, sparse = rng.standard_normal((4, 10)), np.r_[1.0, -2.0, np.zeros(8)]
    y = X @ sparse
    found, l1 = numerics.minimum_q_solution(X, y, alpha), numerics.minimum_l1(X, y)
    with mpmath.workdps(50):
        beta = exact(X.tolist(), y.tolist(), alpha, np.asarray(found.multiplier).tolist())
        error = np.array([float(abs(mpmath.mpf(float(a)) - b)) for a, b in zip(found.beta, beta, strict=True)])
    size = np.abs(np.array(beta, dtype=float))
    assert np.max(error) <= 1e-14 * np.max(size)
    # Off the support entries are small, and the same absolute error is a larger relative one.
    assert not np.all(l1.support)
    assert np.max(error[~l1.support] / size[~l1.support]) > 1e-14
