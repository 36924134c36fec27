"""Mean and covariance along training: reference values, a second way to compute them, limits, singular kernels."""

from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import config as jaxtyping_config
from scipy.linalg import expm

from lazy_course.ntk.prediction import KernelBlocks, kernel_blocks, posterior, predict
from tests.ntk.test_numerics import REFERENCE, X1, X2

Y = np.array(REFERENCE["y"])
SETTINGS = {"activation": "erf", "depth": 1, "sigma_w": 1.5, "sigma_b": 0.3}
BLOCKS = kernel_blocks(X1, X2, **SETTINGS)
MEAN_LOSS = 1 / Y.size
TIMES = sorted({np.inf if row["t"] is None else row["t"] for row in REFERENCE["predict"]})


@pytest.mark.parametrize("trained", ["ntk", "nngp"])
def test_predictions_agree_with_the_reference(trained):
    got = predict(BLOCKS, Y, TIMES, trained=trained, loss_factor=MEAN_LOSS)
    rows = [row for row in REFERENCE["predict"] if row["get"] == trained]
    assert len(rows) == len(TIMES) == 5
    for row in rows:
        at = TIMES.index(np.inf if row["t"] is None else row["t"])
        np.testing.assert_allclose(got.mean[at], row["mean"], rtol=0, atol=1e-10)
        np.testing.assert_allclose(got.covariance[at], row["covariance"], rtol=0, atol=1e-10)


def by_matrix_functions(blocks, y, t, trained):
    """The same by inverses and exponentials of whole matrices, without an eigenbasis."""
    k, k_xt, k_tt = (np.asarray(b) for b in (blocks.nngp_train, blocks.nngp_test_train.T, blocks.nngp_test))
    theta, theta_tx = (np.asarray(b) for b in (blocks.ntk_train, blocks.ntk_test_train))
    if trained == "nngp":
        theta, theta_tx = k, k_xt.T
    a = theta_tx @ np.linalg.solve(theta, np.eye(len(k)) - expm(-theta * t))
    return a @ y, k_tt - a @ k_xt - (a @ k_xt).T + a @ k @ a.T


@pytest.mark.parametrize("trained", ["ntk", "nngp"])
def test_predictions_by_matrix_functions(trained):
    """The read-out's formula with exp(-2cKt) is the general one at Theta = K; several outputs; variances alone."""
    y, times = np.concatenate([Y, Y**2], axis=1), [0.1, 1.0, 5.0]
    got = predict(BLOCKS, y, times, trained=trained)
    variances = predict(BLOCKS, y[:, 0], times, trained=trained, covariance="diagonal")
    for i, t in enumerate(times):
        mean, covariance = by_matrix_functions(BLOCKS, y, t, trained)
        np.testing.assert_allclose(got.mean[i], mean, atol=1e-11)
        np.testing.assert_allclose(got.covariance[i], covariance, atol=1e-11)
        np.testing.assert_allclose(variances.mean[i], mean[:, 0], atol=1e-11)
        np.testing.assert_allclose(variances.covariance[i], np.diag(covariance), atol=1e-11)


def test_the_start_is_the_prior_and_the_readout_ends_at_the_posterior():
    """Full training ends elsewhere: it is no posterior of this prior."""
    exact = posterior(BLOCKS, Y)
    readout = predict(BLOCKS, Y, [0.0, np.inf], trained="nngp")
    full = predict(BLOCKS, Y, [0.0, np.inf], trained="ntk")
    for got in (readout, full):
        np.testing.assert_allclose(got.mean[0], 0.0, atol=1e-14)
        np.testing.assert_allclose(got.covariance[0], BLOCKS.nngp_test, atol=1e-14)
    np.testing.assert_allclose(readout.mean[1], exact.mean[0], atol=1e-11)
    np.testing.assert_allclose(readout.covariance[1], exact.covariance[0], atol=1e-11)
    assert np.max(np.abs(full.covariance[1] - exact.covariance[0])) > 1e-3
    # No other choice of an affine map of the start can leave less variance than conditioning on all training outputs.
    excess = np.linalg.eigvalsh(np.asarray(full.covariance[1] - exact.covariance[0]))
    assert excess[0] > -1e-12


def test_training_the_readout_only_removes_variance():
    """Sigma_t falls in the order of matrices; every Sigma_t is positive semidefinite."""
    covariances = np.asarray(predict(BLOCKS, Y, [0.0, 0.1, 1.0, 10.0, np.inf], trained="nngp").covariance)
    for earlier, later in pairwise(covariances):
        assert np.linalg.eigvalsh(earlier - later)[0] > -1e-12
        assert np.linalg.eigvalsh(later)[0] > -1e-12


@pytest.mark.parametrize("trained", ["ntk", "nngp"])
def test_equal_training_points(trained):
    """A training point given twice with one target makes both kernels singular and the limit is that without it."""
    doubled = kernel_blocks(np.concatenate([X1, X1[-1:]]), X2, **SETTINGS)
    y = np.concatenate([Y, Y[-1:]])
    got = predict(doubled, y, [1.0, 1e3, np.inf], trained=trained)
    once = predict(BLOCKS, Y, [np.inf], trained=trained)
    assert np.all(np.isfinite(got.covariance))
    np.testing.assert_allclose(got.mean[-1], once.mean[0], atol=1e-10)
    np.testing.assert_allclose(got.covariance[-1], once.covariance[0], atol=1e-10)
    with pytest.raises(ValueError, match="positive definite"):
        posterior(doubled._replace(nngp_train=jnp.ones((7, 7)) - 1e-9 * jnp.eye(7)), y)


def test_single_precision():
    single = KernelBlocks(*(block.astype(jnp.float32) for block in BLOCKS))
    for trained in ("ntk", "nngp"):
        got, exact = (predict(b, Y, [1.0, 30.0], trained=trained) for b in (single, BLOCKS))
        assert got.mean.dtype == got.covariance.dtype == jnp.float32
        np.testing.assert_allclose(got.mean, exact.mean, atol=2e-5)
        np.testing.assert_allclose(got.covariance, exact.covariance, atol=2e-5)


def test_bad_input_is_refused():
    lopsided = BLOCKS.ntk_train.at[0, 1].add(1.0)
    cases = [
        (lambda: predict(BLOCKS, Y, [1.0], trained="all"), "trained: expected"),
        (lambda: predict(BLOCKS, Y, [1.0], covariance="none"), "covariance: expected"),
        (lambda: predict(BLOCKS, Y, [-1.0]), "times: expected"),
        (lambda: predict(BLOCKS, Y, [1.0], loss_factor=-1.0), "loss_factor: expected"),
        (lambda: predict(BLOCKS, Y[:5], [1.0]), "y: expected shape"),
        (
            lambda: predict(BLOCKS._replace(ntk_test_train=BLOCKS.ntk_train), Y, [1.0]),
            "blocks.ntk_test_train: expected",
        ),
        (lambda: predict(BLOCKS._replace(ntk_train=lopsided), Y, [1.0]), "blocks.ntk_train: expected a symmetric"),
        (
            lambda: predict(BLOCKS._replace(ntk_train=-BLOCKS.ntk_train), Y, [1.0]),
            "blocks.ntk_train: expected a positive",
        ),
    ]
    jaxtyping_config.update("jaxtyping_disable", True)
    try:
        for call, said in cases:
            with pytest.raises(ValueError, match=said):
                call()
    finally:
        jaxtyping_config.update("jaxtyping_disable", False)
