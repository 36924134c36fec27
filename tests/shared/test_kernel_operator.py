"""The tangent kernel as an operator: products, solves and eigenvalues against the matrix."""

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
import pytest

from lazy_course import models
from lazy_course.kernel_operator import largest_eigenvalues, tangent_operator
from lazy_course.kernels import tangent_kernel

F = models.two_layer("tanh")


@pytest.fixture
def problem(key):
    params = models.init_two_layer(key, 3, 8, 2)
    return params, jax.random.normal(key, (7, 3)), jax.random.normal(key, (4, 3)) + 0.2


@pytest.mark.parametrize("memory", [2**30, 2500])
def test_products_equal_the_matrix(problem, memory):
    """With all values kept, and computed again in blocks that divide neither 7 nor 4."""
    params, x1, x2 = problem
    for second, v in ((x2, np.cos(np.arange(8.0)).reshape(4, 2)), (None, np.cos(np.arange(14.0)).reshape(7, 2))):
        operator = tangent_operator(F, params, x1, second, memory=memory)
        expected = jnp.einsum("iajb,jb->ia", tangent_kernel(F, params, x1, second), v)
        np.testing.assert_allclose(operator.mv(jnp.asarray(v)), expected, rtol=1e-11, atol=1e-12)
        assert lx.is_positive_semidefinite(operator) == (second is None)


def test_a_linear_system(problem):
    params, x, _ = problem
    kernel, y = tangent_kernel(F, params, x).reshape(14, 14), jnp.sin(jnp.arange(14.0))
    found = lx.linear_solve(tangent_operator(F, params, x), y.reshape(7, 2), lx.CG(rtol=1e-12, atol=1e-12))
    np.testing.assert_allclose(found.value.ravel(), jnp.linalg.solve(kernel, y), rtol=1e-6)


def test_eigenvalues_without_the_matrix(problem, key):
    params, x, _ = problem
    exact = np.linalg.eigvalsh(tangent_kernel(F, params, x).reshape(14, 14))[::-1]
    whole = largest_eigenvalues(tangent_operator(F, params, x), 5, key=key)
    np.testing.assert_allclose(whole.values, exact[:5], rtol=1e-10)
    assert np.all(whole.residuals < 1e-9 * exact[0])
    early = largest_eigenvalues(tangent_operator(F, params, x), 2, key=key, steps=4)
    assert np.all(early.values <= exact[:2] * (1 + 1e-12))
    distances = np.min(np.abs(np.asarray(early.values)[:, None] - exact[None, :]), axis=1)
    assert np.all(distances <= early.residuals)
    assert early.residuals[1] > 1e-6 * exact[0], "four steps cannot have found two eigenvalues exactly"


def test_bad_requests_are_refused(problem, key):
    params, x1, x2 = problem
    with pytest.raises(ValueError, match="x2: expected rows of shape"):
        tangent_operator(F, params, x1, np.ones((2, 5)))
    with pytest.raises(ValueError, match="give memory="):
        tangent_operator(F, params, x1, memory=100)
    with pytest.raises(ValueError, match="operator: expected a square one"):
        largest_eigenvalues(tangent_operator(F, params, x1, x2), 2, key=key)
    with pytest.raises(ValueError, match="count: expected between 1 and 14"):
        largest_eigenvalues(tangent_operator(F, params, x1), 15, key=key)
