r"""Mean and covariance of infinitely wide networks along training, over the random start.

At infinite width the outputs at the start are a Gaussian process with mean 0 and covariance K (nngp), and training
under $R(f) = \frac c2\|f-y\|^2$ moves them along a fixed kernel: the tangent kernel $\Theta$ if all layers are
trained, K itself if only the read-out is. So the outputs at flow time t are again Gaussian. Conventions of time and c
as in `dynamics`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course.models import RealArray, Scalar
from lazy_course.ntk import numerics, spectral
from lazy_course.ntk.dynamics import Times

TRAINED = ("ntk", "nngp")


class KernelBlocks(NamedTuple):
    """The kernels on n training and m test points that a prediction needs; built by `kernel_blocks`."""

    nngp_train: Float[RealArray, "n n"]
    nngp_test_train: Float[RealArray, "m n"]
    nngp_test: Float[RealArray, "m m"]
    ntk_train: Float[RealArray, "n n"]
    ntk_test_train: Float[RealArray, "m n"]


class Prediction(NamedTuple):
    """A Gaussian at each of T times: mean (T, m) or (T, m, k); covariance (T, m, m), or variances (T, m).

    With k outputs the covariance is that of each output; different outputs are independent.
    """

    mean: Float[Array, "T m ..."]
    covariance: Float[Array, "T m ..."]


def kernel_blocks(
    x_train: Float[RealArray, "n d"],
    x_test: Float[RealArray, "m d"],
    *,
    activation: str = "relu",
    depth: int,
    sigma_w: Scalar,
    sigma_b: Scalar,
) -> KernelBlocks:
    """The kernels of `numerics.infinite_width_kernels` on training and test points, arguments and errors as there."""
    options: Any = {"activation": activation, "depth": depth, "sigma_w": sigma_w, "sigma_b": sigma_b}
    train = numerics.infinite_width_kernels(x_train, **options)
    cross = numerics.infinite_width_kernels(x_test, x_train, **options)
    test = numerics.infinite_width_kernels(x_test, **options)
    return KernelBlocks(train.nngp, cross.nngp, test.nngp, train.ntk, cross.ntk)


def _full_training(blocks: Any, y: Array, times: Array, c: Array, values: Array, vectors: Array, full: bool) -> Any:
    """With V the eigenvectors and W = Theta_tX V diag(lever): cov = K_tt + sym(W (V^T K V W^T - 2 V^T K_Xt))."""
    lever = spectral.flow_filter(values, times, c).lever
    basis = blocks.ntk_test_train @ vectors
    inner = vectors.T @ (blocks.nngp_train @ vectors)
    twice = 2 * vectors.T @ blocks.nngp_test_train.T
    target = vectors.T @ y

    def one_time(weights: Array) -> tuple[Array, Array]:
        w = basis * weights[None, :]
        right = inner @ w.T - twice
        if not full:
            return w @ target, jnp.diag(blocks.nngp_test) + jnp.sum(w * right.T, axis=1)
        change = w @ right
        return w @ target, blocks.nngp_test + (change + change.T) / 2

    return jax.lax.map(one_time, lever)


def _readout_training(blocks: Any, y: Array, times: Array, c: Array, values: Array, vectors: Array, full: bool) -> Any:
    """With A = K_tX V: cov = K_tt - A diag((1 - exp(-2 c lambda t)) / lambda) A^T, one product a time."""
    lever = spectral.flow_filter(values, times, c).lever
    # The lever of twice the time, without its limit 2ct: (1 - e^(-2ct lambda)) / lambda.
    doubled = spectral.flow_filter(values, times, 2 * c).lever
    basis = blocks.nngp_test_train @ vectors
    target = vectors.T @ y

    def one_time(weights: tuple[Array, Array]) -> tuple[Array, Array]:
        mean = (basis * weights[0][None, :]) @ target
        if not full:
            return mean, jnp.diag(blocks.nngp_test) - basis**2 @ weights[1]
        root = basis * jnp.sqrt(weights[1])[None, :]
        return mean, blocks.nngp_test - root @ root.T

    return jax.lax.map(one_time, (lever, doubled))


_predict = {
    "ntk": jax.jit(_full_training, static_argnames="full"),
    "nngp": jax.jit(_readout_training, static_argnames="full"),
}


def _checked(blocks: KernelBlocks, y: Any) -> tuple[KernelBlocks, Array]:
    n, m = np.shape(blocks.nngp_train)[0], np.shape(blocks.nngp_test)[0]
    expected = ((n, n), (m, n), (m, m), (n, n), (m, n))
    for name, block, shape in zip(KernelBlocks._fields, blocks, expected, strict=True):
        if np.shape(block) != shape:
            raise ValueError(f"blocks.{name}: expected shape {shape} (n = {n}, m = {m}), got {np.shape(block)}")
    single = all(block.dtype == jnp.float32 for block in blocks)
    dtype = jnp.float32 if single else jnp.float64
    arrays = KernelBlocks(*(jnp.asarray(block, dtype) for block in blocks))
    target = jnp.asarray(y, dtype)
    if target.ndim not in (1, 2) or target.shape[0] != n:
        raise ValueError(f"y: expected shape ({n},) or ({n}, k), one row a training point, got {target.shape}")
    for name in ("nngp_train", "nngp_test", "ntk_train"):
        spectral.require_kernel(f"blocks.{name}", getattr(arrays, name))
    return arrays, target


def predict(
    blocks: KernelBlocks,
    y: Float[RealArray, "n ..."],
    times: Times,
    *,
    trained: str = "ntk",
    loss_factor: Scalar = 1.0,
    covariance: str = "full",
) -> Prediction:
    r"""Mean and covariance over random starts of an infinitely wide network at flow times t (infinity allowed).

    With $L_t = \int_0^t c\,e^{-c\Theta s}ds = \Theta^{-1}(I - e^{-c\Theta t})$, training of all layers
    (`trained="ntk"`) gives

    $$\mu_t = \Theta_{xX} L_t\,y, \qquad \Sigma_t = K_{xx'} - \Theta_{xX} L_t K_{Xx'} - K_{xX} L_t\Theta_{Xx'}
    + \Theta_{xX} L_t K_{XX} L_t\Theta_{Xx'},$$

    and training of the read-out alone (`trained="nngp"`) is $\Theta = K$, where it comes to
    $\Sigma_t = K_{xx'} - K_{xX} K_{XX}^{-1}(I - e^{-2cK_{XX}t}) K_{Xx'}$.
    At t = infinity that is the posterior of the Gaussian process (`posterior`); for the tangent kernel it is the
    posterior of nothing.

    One eigendecomposition, then two products of matrices a time. `covariance="diagonal"` returns variances (T, m)
    alone. Singular kernels as in `dynamics.linearized_dynamics`. Raises `ValueError` for shapes that do not match,
    kernels that are not symmetric and positive semidefinite, times below 0, c <= 0, or unknown options. Sources:
    lee2019wide; chen2020linearized, Sections 4 and 5, with the exponent of eq. (47) corrected.
    """
    if trained not in TRAINED:
        raise ValueError(f"trained: expected 'ntk' (all layers) or 'nngp' (the read-out alone), got {trained!r}")
    if covariance not in ("full", "diagonal"):
        raise ValueError(f"covariance: expected 'full' or 'diagonal', got {covariance!r}")
    spectral.require_number("loss_factor", loss_factor)
    arrays, target = _checked(blocks, y)
    at = spectral.require_times(times, target.dtype)
    name = f"{trained}_train"
    values, vectors = spectral.spectrum(getattr(arrays, name))
    spectral.require_nonnegative(f"blocks.{name}", values)
    c = jnp.asarray(loss_factor, target.dtype)
    return Prediction(*_predict[trained](arrays, target, at, c, values, vectors, full=covariance == "full"))


def posterior(blocks: KernelBlocks, y: Float[RealArray, "n ..."]) -> Prediction:
    r"""Given $f(X) = y$: the mean $K_{xX}K_{XX}^{-1}y$ and the covariance $K_{xx'} - K_{xX}K_{XX}^{-1}K_{Xx'}$.

    By Cholesky's factors, so K must not be singular. One time: T = 1. Errors as in `predict`, and for such a K.
    Source: chen2020linearized, eq. (25), (26) with X in place of x.
    """
    arrays, target = _checked(blocks, y)
    cross = jnp.asarray(arrays.nngp_test_train)
    factor = jax.scipy.linalg.cho_factor(arrays.nngp_train, lower=True)
    mean = cross @ jax.scipy.linalg.cho_solve(factor, target)
    change = cross @ jax.scipy.linalg.cho_solve(factor, cross.T)
    if not isinstance(mean, jax.core.Tracer) and not bool(jnp.all(jnp.isfinite(mean))):
        raise ValueError(
            "blocks.nngp_train: expected a positive definite matrix, got one that Cholesky's method cannot factor; "
            "use predict(blocks, y, [inf], trained='nngp'), which takes singular kernels"
        )
    return Prediction(mean[None], (jnp.asarray(arrays.nngp_test) - (change + change.T) / 2)[None])
