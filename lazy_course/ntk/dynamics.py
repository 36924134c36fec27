r"""Training of a linearized model under the square loss, in closed form for all times: the flow and, beside it, descent.

The loss is $R(f) = \frac c2\|f - y\|^2$, c = `loss_factor`; the flow is $\dot\omega = -c\,J^\top(f - y)$ with $f =
f_0 + J\omega$ and $\Theta = JJ^\top$, so $\dot f = -c\,\Theta(f - y)$. Descent is $\omega_{k+1} = \omega_k - \eta
c\,J^\top(f_k - y)$: the step size $\eta$ is a flow time, and step k stands at $t = \eta k$. c = 1 is the sum over
samples, c = 1/n the mean. A paper whose flow is $\dot f = -\eta\Theta(f-y)$ has $\eta t$ for t here.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lazy_course.models import RealArray, Scalar

Times = Float[RealArray, " T"] | Sequence[float]
Steps = Int[RealArray, " T"] | Sequence[int]


class Filter(NamedTuple):
    r"""What training has done along each eigenvector: `moved` is $1 - e^{-c\lambda t}$, `lever` is `moved` / lambda.

    For descent `moved` is $1 - (1 - \eta c\lambda)^k$. At lambda = 0, `moved` is 0 and `lever` its limit ct (or $\eta
    c k$).
    """

    moved: Float[Array, "T n"]
    lever: Float[Array, "T n"]


def flow_filter(eigenvalues: Float[Array, " n"], times: Float[Array, " T"], loss_factor: Scalar = 1.0) -> Filter:
    r"""The `Filter` of the flow at flow times t, infinity included; checks nothing, for use under `jax.jit`.

    $\int_0^t c\,e^{-c\lambda s}ds = (1 - e^{-c\lambda t})/\lambda$ is the lever, computed without cancellation. At t
    = infinity it is 1/lambda, and 0 at lambda = 0: the infinite lever there acts on a component that is zero for
    every kernel (J^T v = 0).
    """
    c = jnp.asarray(loss_factor, eigenvalues.dtype)
    moving = (eigenvalues > 0)[None, :]
    safe = jnp.where(eigenvalues > 0, eigenvalues, jnp.ones_like(eigenvalues))[None, :]
    t = c * times[:, None]
    moved = jnp.where(moving, -jnp.expm1(-safe * t), jnp.zeros_like(t))
    return Filter(moved, jnp.where(moving, moved / safe, jnp.where(jnp.isfinite(t), t, jnp.zeros_like(t))))


def descent_filter(
    eigenvalues: Float[Array, " n"], steps: Int[Array, " T"], step_size: Scalar, loss_factor: Scalar = 1.0
) -> Filter:
    r"""The `Filter` after k steps of descent of size eta; checks nothing, for use under `jax.jit`.

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


def _require_steps(steps: Any) -> Int[Array, " T"]:
    array = jnp.asarray(steps)
    if array.ndim != 1 or array.size == 0 or not jnp.issubdtype(array.dtype, jnp.integer):
        raise ValueError(f"steps: expected a flat array of whole numbers, got {steps}")
    if not isinstance(array, jax.core.Tracer) and not np.all(np.asarray(array) >= 0):
        raise ValueError(f"steps: expected numbers >= 0, got {steps}")
    return array


def require_positive(name: str, value: Scalar) -> None:
    """Raise `ValueError` unless the value is a positive finite number (a traced value passes)."""
    if isinstance(value, jax.core.Tracer):
        return
    if not (np.ndim(value) == 0 and np.isfinite(value) and value > 0):
        raise ValueError(f"{name}: expected a positive finite number, got {value}")


def require_kernel(name: str, kernel: Any) -> Array:
    """A kernel matrix as an array; raises `ValueError` unless it is square, finite and symmetric up to rounding."""
    array = jnp.asarray(kernel)
    array = array if array.dtype == jnp.float32 else array.astype(float)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.shape[0] == 0:
        raise ValueError(
            f"{name}: expected a square matrix (n, n), got shape {array.shape}; for k outputs reshape (n, k, n, k) to (n k, n k)"
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


def spectrum(kernel: Float[Array, "n n"]) -> tuple[Float[Array, " n"], Float[Array, "n n"]]:
    """Eigenvalues (ascending) and eigenvectors (columns); eigenvalues within n eps lambda_max of 0 become exactly 0."""
    values, vectors = jnp.linalg.eigh(kernel)
    least = values.size * jnp.finfo(values.dtype).eps * jnp.max(jnp.abs(values))
    return jnp.where(jnp.abs(values) <= least, jnp.zeros_like(values), values), vectors


def require_nonnegative(name: str, values: Float[Array, " n"]) -> None:
    """Raise `ValueError` if an eigenvalue is negative beyond rounding: then the matrix is not a kernel."""
    if not isinstance(values, jax.core.Tracer) and float(values[0]) < 0:
        raise ValueError(
            f"{name}: expected a positive semidefinite matrix, got the eigenvalue {float(values[0]):.6g} beside "
            f"{float(values[-1]):.6g}; a tangent kernel J J^T has none below 0"
        )


class LinearizedDynamics(eqx.Module):
    """The spectrum of a kernel, from which training is known at all times; built by `linearized_dynamics`."""

    eigenvalues: Float[Array, " n"]
    eigenvectors: Float[Array, "n n"]
    loss_factor: Float[Array, ""]

    @property
    def rank(self) -> int:
        """The number of eigenvalues that count as positive."""
        return int(jnp.sum(self.eigenvalues > 0))

    def _flow(self, times: Times) -> Filter:
        checked = require_times(times, self.eigenvalues.dtype)
        return flow_filter(self.eigenvalues, checked, self.loss_factor)

    def _descent(self, steps: Steps, step_size: Scalar) -> Filter:
        require_positive("step_size", step_size)
        return descent_filter(self.eigenvalues, _require_steps(steps), step_size, self.loss_factor)

    def outputs(
        self, f0: Float[RealArray, "n ..."], y: Float[RealArray, "n ..."], times: Times
    ) -> Float[Array, "T n ..."]:
        r"""Outputs on the training set, $f_t = f_0 - (I - e^{-c\Theta t})(f_0 - y)$, at flow times t (infinity allowed).

        f0 and y have one shape, (n,) or (n, k) for k outputs that share the kernel; the result has shape (T, n) or
        (T, n, k). The component of $f_0 - y$ in the null space of the kernel never moves. Raises `ValueError` for
        times below 0 or shapes that do not match. Source: chen2020linearized, eq. (15).
        """
        return _move(jnp.asarray(f0), self.eigenvectors, self._flow(times).moved, self._residual(f0, y))

    def test_outputs(
        self,
        f0_test: Float[RealArray, "m ..."],
        k_test_train: Float[RealArray, "m n"],
        f0: Float[RealArray, "n ..."],
        y: Float[RealArray, "n ..."],
        times: Times,
    ) -> Float[Array, "T m ..."]:
        r"""Outputs off the training set, $f_0(x) - \Theta(x, X)\,\Theta^{-1}(I - e^{-c\Theta t})(f_0 - y)$.

        $\Theta^{-1}(I - e^{-c\Theta t})$ stands for $\int_0^t c\,e^{-c\Theta s}ds$, which exists for singular kernels
        as well. `k_test_train` is $\Theta(x, X)$. Result (T, m) or (T, m, k). Errors as in `outputs`. Source:
        chen2020linearized, eq. (19).
        """
        start, lever = self._off_training(f0_test, k_test_train, y)
        return _move(start, lever, self._flow(times).lever, self._residual(f0, y))

    def parameters(
        self, jacobian: Float[RealArray, "n p"], f0: Float[RealArray, " n"], y: Float[RealArray, " n"], times: Times
    ) -> Float[Array, "T p"]:
        r"""The displacement of the parameters, $\omega_t = -J^\top\,\Theta^{-1}(I - e^{-c\Theta t})(f_0 - y)$, shape (T, p).

        $\Theta = JJ^\top$ must be the kernel of this spectrum. For k outputs flatten: J (n k, p), f0 and y (n k,).
        Errors as in `outputs`. Source: chen2020linearized, eq. (18).
        """
        j = self._require_jacobian(jacobian)
        return _move(
            jnp.zeros(j.shape[1], j.dtype), j.T @ self.eigenvectors, self._flow(times).lever, self._residual(f0, y)
        )

    def descent_outputs(
        self, f0: Float[RealArray, "n ..."], y: Float[RealArray, "n ..."], steps: Steps, *, step_size: Scalar
    ) -> Float[Array, "T n ..."]:
        r"""As `outputs` after k steps of descent: $f_k = f_0 - (I - (I - \eta c\,\Theta)^k)(f_0 - y)$, eta = `step_size`.

        It tends to the solution for $\eta < 2/(c\lambda_{\max})$ (`stability_limit`) and grows without bound above.
        """
        return _move(jnp.asarray(f0), self.eigenvectors, self._descent(steps, step_size).moved, self._residual(f0, y))

    def descent_test_outputs(
        self,
        f0_test: Float[RealArray, "m ..."],
        k_test_train: Float[RealArray, "m n"],
        f0: Float[RealArray, "n ..."],
        y: Float[RealArray, "n ..."],
        steps: Steps,
        *,
        step_size: Scalar,
    ) -> Float[Array, "T m ..."]:
        r"""As `test_outputs` after k steps: $\Theta^{-1}(I - (I - \eta c\,\Theta)^k)$ in place of the exponential's."""
        start, lever = self._off_training(f0_test, k_test_train, y)
        return _move(start, lever, self._descent(steps, step_size).lever, self._residual(f0, y))

    def descent_parameters(
        self,
        jacobian: Float[RealArray, "n p"],
        f0: Float[RealArray, " n"],
        y: Float[RealArray, " n"],
        steps: Steps,
        *,
        step_size: Scalar,
    ) -> Float[Array, "T p"]:
        """As `parameters` after k steps of descent."""
        j = self._require_jacobian(jacobian)
        lever = self._descent(steps, step_size).lever
        return _move(jnp.zeros(j.shape[1], j.dtype), j.T @ self.eigenvectors, lever, self._residual(f0, y))

    def limit_coefficients(self, f0: Float[RealArray, "n ..."], y: Float[RealArray, "n ..."]) -> Float[Array, "n ..."]:
        r"""The $\beta$ of the limit predictor $f_0(x) + \sum_i \beta_i K(x_i, x)$: $\beta = \Theta^+(y - f_0)$.

        $\Theta^+$ is the pseudo-inverse: $\Theta\beta = y - f_0$ on the range of the kernel. Shape of y.
        Source: chizat2019lazy, Appendix A.1.
        """
        infinite = self._flow([np.inf]).lever[0]
        weighted = self._residual(f0, y)
        return -self.eigenvectors @ (jnp.reshape(infinite, (-1, *[1] * (weighted.ndim - 1))) * weighted)

    def _residual(self, f0: Any, y: Any) -> Array:
        start, target, n = jnp.asarray(f0), jnp.asarray(y), self.eigenvalues.size
        if target.ndim not in (1, 2) or target.shape[0] != n:
            raise ValueError(f"y: expected shape ({n},) or ({n}, k), one row a training point, got {target.shape}")
        if start.shape != target.shape:
            raise ValueError(
                f"f0: expected the shape {target.shape} of y, got {start.shape}; use jnp.zeros_like(y) for 0"
            )
        return self.eigenvectors.T @ (start - target)

    def _off_training(self, f0_test: Any, k_test_train: Any, y: Any) -> tuple[Array, Array]:
        start, cross, n = jnp.asarray(f0_test), jnp.asarray(k_test_train), self.eigenvalues.size
        if cross.ndim != 2 or cross.shape[1] != n:
            raise ValueError(f"k_test_train: expected shape (m, {n}), test points in rows, got {cross.shape}")
        if start.shape != (cross.shape[0], *np.shape(y)[1:]):
            raise ValueError(f"f0_test: expected shape {(cross.shape[0], *np.shape(y)[1:])}, got {start.shape}")
        return start, cross @ self.eigenvectors

    def _require_jacobian(self, jacobian: Any) -> Array:
        j, n = jnp.asarray(jacobian), self.eigenvalues.size
        if j.ndim != 2 or j.shape[0] != n:
            raise ValueError(f"jacobian: expected shape ({n}, p), one row an output, got {j.shape}")
        return j


@jax.jit
def _move(start: Array, basis: Array, factors: Array, residual: Array) -> Array:
    """start - basis @ (factors * residual), for every time; residual (n,) or (n, k)."""
    columns = jnp.reshape(residual, (residual.shape[0], -1))
    moved = jnp.einsum("mi,ti,ik->tmk", basis, factors, columns)
    return start[None] - jnp.reshape(moved, (factors.shape[0], *start.shape))


def linearized_dynamics(kernel: Float[RealArray, "n n"], *, loss_factor: Scalar = 1.0) -> LinearizedDynamics:
    r"""The dynamics of a kernel $\Theta = JJ^\top$ under $R(f) = \frac c2\|f-y\|^2$, by one eigendecomposition, O(n^3).

    Eigenvalues within $n\,\epsilon\,\lambda_{\max}$ of zero are counted as zero: two equal training points, or more
    points than parameters, make the kernel singular. Then the component of $f_0 - y$ in the null space never moves (a
    mean over equal points is learned, their differences are not), and everything else goes on as if it were not
    there. `loss_factor` is c: 1 for the sum over samples, 1/n for the mean. Raises `ValueError` if the kernel is not
    square, finite, symmetric and positive semidefinite (up to rounding), or c not positive. Sources: lee2019wide;
    chen2020linearized, Section 2.
    """
    matrix = require_kernel("kernel", kernel)
    require_positive("loss_factor", loss_factor)
    values, vectors = jax.jit(spectrum)(matrix)
    require_nonnegative("kernel", values)
    return LinearizedDynamics(values, vectors, jnp.asarray(loss_factor, matrix.dtype))


def _require_eigenvalues(eigenvalues: Any) -> Array:
    values = jnp.asarray(eigenvalues)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"eigenvalues: expected a flat array, got shape {values.shape}")
    if not isinstance(values, jax.core.Tracer) and not (bool(jnp.all(values >= 0)) and bool(jnp.any(values > 0))):
        raise ValueError("eigenvalues: expected numbers >= 0, not all of them 0: the spectrum of a kernel")
    return values


def stability_limit(eigenvalues: Float[RealArray, " n"], *, loss_factor: Scalar = 1.0) -> Float[Array, ""]:
    r"""$2/(c\lambda_{\max})$: descent tends to the solution below this step size, from every start, and diverges above.

    Each component is multiplied by $1 - \eta c\lambda$ in a step, and $|1 - \eta c\lambda| < 1$ for all positive
    eigenvalues is $\eta < 2/(c\lambda_{\max})$. Not to be mixed up with `rate_optimal_step`. The step size is a flow
    time (module text).
    """
    return 2 / (loss_factor * jnp.max(_require_eigenvalues(eigenvalues)))


def rate_optimal_step(eigenvalues: Float[RealArray, " n"], *, loss_factor: Scalar = 1.0) -> Float[Array, ""]:
    r"""$2/(c(\lambda_{\min} + \lambda_{\max}))$: the step size with the least `contraction_factor`, $(q-1)/(q+1)$.

    $q = \lambda_{\max}/\lambda_{\min}$, and $\lambda_{\min}$ is the least positive eigenvalue. Up to this step size,
    and not beyond, the factor is $1 - \eta c\lambda_{\min}$. It is below `stability_limit`, and above half of it.
    """
    values = _require_eigenvalues(eigenvalues)
    least = jnp.min(jnp.where(values > 0, values, jnp.full_like(values, jnp.inf)))
    return 2 / (loss_factor * (least + jnp.max(values)))


def contraction_factor(
    eigenvalues: Float[RealArray, " n"], step_size: Scalar, *, loss_factor: Scalar = 1.0
) -> Float[Array, ""]:
    r"""$\max|1 - \eta c\lambda|$ over the positive eigenvalues: by how much a step shrinks what can be learned."""
    values = _require_eigenvalues(eigenvalues)
    require_positive("step_size", step_size)
    return jnp.max(jnp.where(values > 0, jnp.abs(1 - step_size * loss_factor * values), jnp.zeros_like(values)))
