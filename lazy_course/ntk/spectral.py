r"""What a kernel's spectrum says about training: the filters of flow and descent, and the checks of kernels and times.

For the square loss $\frac c2\|f-y\|^2$ along an eigenvector of the kernel with eigenvalue lambda, the residual is
multiplied by $e^{-c\lambda t}$ up to flow time t, and by $1 - \eta c\lambda$ in a step of descent.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lazy_course.models import Scalar


class Filter(NamedTuple):
    r"""What training has done along each eigenvector: `moved` is $1 - e^{-c\lambda t}$, `lever` is `moved` / lambda.

    For descent `moved` is $1 - (1 - \eta c\lambda)^k$. At lambda = 0, `moved` is 0 and `lever` is its limit, ct for the
    flow and $\eta c k$ for descent.
    """

    moved: Float[Array, "T n"]
    lever: Float[Array, "T n"]


@jax.jit
def flow_filter(eigenvalues: Float[Array, " n"], times: Float[Array, " T"], loss_factor: Scalar = 1.0) -> Filter:
    r"""The `Filter` of the flow at flow times t, infinity included; checks nothing.

    The lever $\int_0^t c\,e^{-c\lambda s}ds = (1 - e^{-c\lambda t})/\lambda$ is computed without cancellation. At
    infinite time it is $1/\lambda$, and 0 for lambda = 0, where it acts on nothing: $Kv = 0$ gives $J^\top v = 0$.
    """
    c = jnp.asarray(loss_factor, eigenvalues.dtype)
    moving = (eigenvalues > 0)[None, :]
    safe = jnp.where(eigenvalues > 0, eigenvalues, jnp.ones_like(eigenvalues))[None, :]
    t = c * times[:, None]
    moved = jnp.where(moving, -jnp.expm1(-safe * t), jnp.zeros_like(t))
    return Filter(moved, jnp.where(moving, moved / safe, jnp.where(jnp.isfinite(t), t, jnp.zeros_like(t))))


@jax.jit
def descent_filter(
    eigenvalues: Float[Array, " n"], steps: Int[Array, " T"], step_size: Scalar, loss_factor: Scalar = 1.0
) -> Filter:
    r"""The `Filter` after k steps of descent of size eta; checks nothing.

    $\eta c\sum_{j<k}(1-\eta c\lambda)^j = (1 - (1-\eta c\lambda)^k)/\lambda$ is the lever. Above the stability limit
    it overflows.
    """
    moving = (eigenvalues > 0)[None, :]
    safe = jnp.where(eigenvalues > 0, eigenvalues, jnp.ones_like(eigenvalues))[None, :]
    size = jnp.asarray(step_size, eigenvalues.dtype) * jnp.asarray(loss_factor, eigenvalues.dtype)
    k = steps.astype(eigenvalues.dtype)[:, None]
    x = size * safe
    small = x < 0.5
    near = -jnp.expm1(k * jnp.log1p(-jnp.where(small, x, jnp.zeros_like(x))))
    factor = jnp.where(small, jnp.ones_like(x), jnp.abs(1 - x))
    power = jnp.where(k > 0, factor**k, jnp.ones_like(factor * k))
    sign = jnp.where((x > 1) & (steps % 2 == 1)[:, None], -1.0, 1.0).astype(x.dtype)
    moved = jnp.where(moving, jnp.where(small, near, 1 - sign * power), jnp.zeros_like(k))
    return Filter(moved, jnp.where(moving, moved / safe, size * k))


def require_times(times: Any, dtype: Any = float) -> Float[Array, " T"]:
    """Flow times as an array; raises `ValueError` unless they are flat, not empty, >= 0 (infinity is allowed)."""
    array = jnp.asarray(times, dtype=dtype)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"times: expected a flat array of flow times, got shape {array.shape}; use [t] for one time")
    if not isinstance(array, jax.core.Tracer) and not np.all(np.asarray(array) >= 0):
        raise ValueError(f"times: expected flow times >= 0 (infinity is allowed), got {times}")
    return array


def require_steps(steps: Any) -> Int[Array, " T"]:
    """Numbers of steps as an array; raises `ValueError` unless they are flat, not empty, whole and >= 0."""
    array = jnp.asarray(steps)
    if array.ndim != 1 or array.size == 0 or not jnp.issubdtype(array.dtype, jnp.integer):
        raise ValueError(f"steps: expected a flat array of whole numbers, got {steps}")
    if not isinstance(array, jax.core.Tracer) and not np.all(np.asarray(array) >= 0):
        raise ValueError(f"steps: expected numbers >= 0, got {steps}")
    return array


def require_number(name: str, value: Scalar, *, zero: bool = False) -> None:
    """Raise `ValueError` unless the value is a finite number > 0, or >= 0 with `zero` (a traced value passes)."""
    if isinstance(value, jax.core.Tracer):
        return
    if not (np.ndim(value) == 0 and np.isfinite(value) and (value >= 0 if zero else value > 0)):
        raise ValueError(f"{name}: expected a finite number {'>=' if zero else '>'} 0, got {value}")


def require_kernel(name: str, kernel: Any) -> Array:
    """A kernel matrix as an array; raises `ValueError` unless it is square, finite and symmetric up to rounding."""
    array = jnp.asarray(kernel)
    array = array if array.dtype == jnp.float32 else array.astype(float)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.shape[0] == 0:
        raise ValueError(
            f"{name}: expected a square matrix (n, n), got shape {array.shape}; "
            "for k outputs reshape (n, k, n, k) to (n k, n k)"
        )
    if isinstance(array, jax.core.Tracer):
        return array
    if not bool(jnp.all(jnp.isfinite(array))):
        raise ValueError(f"{name}: expected finite numbers, got nan or infinity; check the inputs of the kernel")
    gap, size = float(jnp.max(jnp.abs(array - array.T))), float(jnp.max(jnp.abs(array)))
    if gap > 1e3 * float(jnp.finfo(array.dtype).eps) * size:
        raise ValueError(
            f"{name}: expected a symmetric matrix, got K - K^T of size {gap:.3g}; pass (K + K.T) / 2 if meant"
        )
    return array


@jax.jit
def spectrum(kernel: Float[Array, "n n"]) -> tuple[Float[Array, " n"], Float[Array, "n n"]]:
    """Eigenvalues (ascending) and eigenvectors (columns); eigenvalues that rounding may have made become exactly 0.

    These are the ones up to (8 + sqrt n) eps lambda_max, and negative ones down to ten times as much below 0: the
    entries of a kernel carry a few roundings each, and independent errors of n^2 entries move eigenvalues like sqrt n.
    """
    values, vectors = jnp.linalg.eigh(kernel)
    least = (8 + values.size**0.5) * jnp.finfo(values.dtype).eps * jnp.max(jnp.abs(values))
    return jnp.where((values <= least) & (values >= -10 * least), jnp.zeros_like(values), values), vectors


def require_nonnegative(name: str, values: Float[Array, " n"]) -> None:
    """Raise `ValueError` if an eigenvalue is negative beyond rounding: then the matrix is not a kernel."""
    if not isinstance(values, jax.core.Tracer) and float(values[0]) < 0:
        raise ValueError(
            f"{name}: expected a positive semidefinite matrix, got the eigenvalue {float(values[0]):.6g} beside "
            f"{float(values[-1]):.6g}; a tangent kernel J J^T has none below 0"
        )
