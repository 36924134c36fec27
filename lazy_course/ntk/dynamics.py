r"""Training of a linearized model under the square loss, in closed form for all times: the flow, and descent.

The loss is $R(f) = \frac c2\|f - y\|^2$, c = `loss_factor`. The flow is $\dot\omega = -c\,J^\top(f - y)$ with
$f = f_0 + J\omega$ and $\Theta = JJ^\top$, so $\dot f = -c\,\Theta(f - y)$. Descent is
$\omega_{k+1} = \omega_k - \eta c\,J^\top(f_k - y)$.

The learning-rate convention: the step size $\eta$ is a flow time, and step k stands at $t = \eta k$. c = 1 is the sum
over samples, c = 1/n the mean. A paper whose flow is $\dot f = -\eta\,\Theta(f-y)$ has $\eta t$ for t here. A paper
whose kernel is divided by the width n, $\Theta = JJ^\top/n$, and whose steps are $\eta_0/n$, has $\eta_0$ for $\eta$
beside that kernel.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from lazy_course.models import RealArray, Scalar
from lazy_course.ntk.spectral import (
    Filter,
    descent_filter,
    flow_filter,
    require_kernel,
    require_nonnegative,
    require_number,
    require_steps,
    require_times,
    spectrum,
)

Times = Float[RealArray, " T"] | Sequence[float]
Steps = Int[RealArray, " T"] | Sequence[int]


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
        require_number("step_size", step_size)
        return descent_filter(self.eigenvalues, require_steps(steps), step_size, self.loss_factor)

    def outputs(
        self, f0: Float[RealArray, "n ..."], y: Float[RealArray, "n ..."], times: Times
    ) -> Float[Array, "T n ..."]:
        r"""Outputs on the training set, $f_t = f_0 - (I - e^{-c\Theta t})(f_0 - y)$, at flow times t.

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
        r"""The displacement $\omega_t = -J^\top\,\Theta^{-1}(I - e^{-c\Theta t})(f_0 - y)$ of the parameters, (T, p).

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
        r"""As `outputs` after k steps of descent of size eta: $f_k = f_0 - (I - (I - \eta c\,\Theta)^k)(f_0 - y)$.

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

    Two equal training points, or more points than parameters, make the kernel singular. Then the component of
    $f_0 - y$ in the null space never moves (a mean over equal points is learned, their differences are not), and
    everything else goes on as if it were not there. Eigenvalues that rounding may have made (`spectral.spectrum`)
    count as zero. `loss_factor` is c: 1 for the sum over samples, 1/n for the mean.
    Raises `ValueError` if the kernel is not square, finite, symmetric and positive semidefinite (up to rounding), or c
    not positive. Sources: lee2019wide; chen2020linearized, Section 2.
    """
    matrix = require_kernel("kernel", kernel)
    require_number("loss_factor", loss_factor)
    values, vectors = spectrum(matrix)
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
    r"""$2/(c\lambda_{\max})$: below this step size descent converges from every start, above it diverges from some.

    Each component is multiplied by $1 - \eta c\lambda$ in a step, and $|1 - \eta c\lambda| < 1$ for all positive
    eigenvalues is $\eta < 2/(c\lambda_{\max})$. Not to be mixed up with `rate_optimal_step`. A step size is a flow time
    (see the module). Raises `ValueError` for negative eigenvalues, or none above 0.
    """
    return 2 / (jnp.asarray(loss_factor) * jnp.max(_require_eigenvalues(eigenvalues)))


def rate_optimal_step(eigenvalues: Float[RealArray, " n"], *, loss_factor: Scalar = 1.0) -> Float[Array, ""]:
    r"""$2/(c(\lambda_{\min} + \lambda_{\max}))$: the step size with the least `contraction_factor`, $(q-1)/(q+1)$.

    $q = \lambda_{\max}/\lambda_{\min}$, and $\lambda_{\min}$ is the least positive eigenvalue: pass
    `LinearizedDynamics.eigenvalues`, where those of mere rounding are 0. Up to this step size, and not beyond, the
    factor is $1 - \eta c\lambda_{\min}$. It is below `stability_limit`, and at least half of it. Errors as there.
    """
    values = _require_eigenvalues(eigenvalues)
    least = jnp.min(jnp.where(values > 0, values, jnp.full_like(values, jnp.inf)))
    return 2 / (jnp.asarray(loss_factor) * (least + jnp.max(values)))


def contraction_factor(
    eigenvalues: Float[RealArray, " n"], step_size: Scalar, *, loss_factor: Scalar = 1.0
) -> Float[Array, ""]:
    r"""$\max|1 - \eta c\lambda|$ over the positive eigenvalues: by how much a step shrinks what can be learned.

    Below 1 exactly for step sizes below `stability_limit`. Errors as there, and for a step size that is not positive.
    """
    values = _require_eigenvalues(eigenvalues)
    require_number("step_size", step_size)
    return jnp.max(jnp.where(values > 0, jnp.abs(1 - step_size * loss_factor * values), jnp.zeros_like(values)))
