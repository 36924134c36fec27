"""The answer of the flow to a certificate: each bound of both theorems beside what is measured along the flow."""

from dataclasses import dataclass
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from lazy_course.certificate import Certificate, KnownLoss, Model
from lazy_course.flows import flow_gap, norm_over_time
from lazy_course.models import RealArray

Theorem = Literal["uniform", "path"]
Bounds = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Comparison:
    """A measured quantity and its bound at the same flow times, arrays of shape (T,)."""

    measured: np.ndarray
    bound: np.ndarray

    @property
    def holds(self) -> bool:
        """Whether the measured value is below the bound, up to 1e-6 of its largest value (the solver's error)."""
        return bool(np.all(self.measured <= self.bound + 1e-6 * np.max(self.measured)))

    @property
    def looseness(self) -> float:
        """The largest bound over the largest measured value: 1 is tight."""
        return float(np.max(self.bound) / max(np.max(self.measured), np.finfo(float).tiny))


@dataclass(frozen=True)
class Verification:
    r"""Measured against bound along one flow: `residual` $\|y - y^\star\|$, `distance` $\|w - w_0\|$, `output_gap`
    $\|y - \bar y\|$, `parameter_gap` $\|w - \bar w\|$. In a notebook it shows itself as a table."""

    alpha: float
    theorem: Theorem
    times: np.ndarray
    residual: Comparison
    distance: Comparison
    output_gap: Comparison
    parameter_gap: Comparison

    @property
    def comparisons(self) -> dict[str, Comparison]:
        """The four comparisons by name."""
        return {name: getattr(self, name) for name in ("residual", "distance", "output_gap", "parameter_gap")}

    @property
    def holds(self) -> bool:
        """Whether every measured quantity is below its bound."""
        return all(comparison.holds for comparison in self.comparisons.values())

    def _repr_markdown_(self) -> str:
        """The table that a notebook shows."""
        names = (r"y - y^\star", r"w_\alpha - w_0", r"y - \bar y", r"w_\alpha - \bar w_\alpha")
        lines = [
            f"| $\\lVert {name}\\rVert$ | {np.max(c.measured):.3g} | {np.max(c.bound):.3g} | {c.looseness:.3g} "
            f"| {'yes' if c.holds else 'NO'} |"
            for name, c in zip(names, self.comparisons.values(), strict=True)
        ]
        head = ["| quantity | largest measured | largest bound | looseness | below at all times |", "| --- " * 5 + "|"]
        return "\n".join([*head, *lines])


def verify(
    certified: Certificate,
    h: Model,
    params0: PyTree,
    loss: KnownLoss,
    *,
    alpha: float,
    times: RealArray | list[float],
    theorem: Theorem = "path",
) -> Verification:
    """Run the flow and its linearization at `alpha` to flow `times`, and set what is measured beside its bound.

    `certified` is the certificate of the same h, params0 and loss; `theorem` says whose bounds are taken.
    Raises `ValueError` if the theorem does not apply at this alpha (the message names the threshold).
    """
    if theorem not in ("uniform", "path"):
        raise ValueError(f'theorem: expected "uniform" or "path", got {theorem!r}')
    path = theorem == "path"
    least = certified.path_threshold if path else certified.alpha_threshold
    if not alpha > least:
        why = certified.path_reason if path else certified.reason
        raise ValueError(f"alpha: expected more than {least:.4g}, got {alpha:g}; {why}")
    flat_times = np.asarray(times, dtype=float)
    flow = flow_gap(h, params0, loss, alpha=alpha, times=flat_times)
    start = jnp.asarray(flow.alpha * h(params0))
    bounds = (path_bounds if path else uniform_bounds)(
        certified,
        alpha,
        flat_times,
        distance=float(jnp.linalg.norm(start - loss.minimizer)),
        energy=float(jnp.sqrt(2 * (loss(start) - loss(loss.minimizer)) / certified.strong_convexity)),
    )
    measured = (
        norm_over_time(flow.outputs - loss.minimizer[None]),
        flow.distance,
        norm_over_time(flow.output_gap),
        norm_over_time(flow.parameter_gap),
    )
    pairs = [Comparison(np.asarray(m), b + 0.0 * flat_times) for m, b in zip(measured, bounds, strict=True)]
    return Verification(float(alpha), theorem, flat_times, *pairs)


def uniform_bounds(c: Certificate, alpha: float, times: np.ndarray, *, distance: float, energy: float) -> Bounds:
    r"""Bounds of residual, distance, output gap and parameter gap in Theorem 2.4 without its logarithm.

    `distance` is $D = \|\alpha h(w_0) - y^\star\|$ (`energy` is not used). With $a = m\sigma^2/4$:
    $\sqrt\kappa D e^{-at}$, $6 \kappa^{3/2} S D (1 - e^{-at}) / (\sigma^2 \alpha)$,
    $\min(15/4, 20 e^{-at})\, \kappa^3 \chi^3 L D^2 / (\sigma^2 \alpha)$ and
    $(12 \kappa^3 \chi + 30 \kappa^4 \chi^4)\, L D^2 / (\sigma^3 \alpha^2)$. Source: this course.
    """
    del energy
    decay, kappa, chi = np.exp(-c.rate * times), c.condition_number, c.conditioning
    unit = c.lip_dh * distance**2 / (c.sigma_min**2 * alpha)
    return (
        kappa**0.5 * distance * decay,
        6 * kappa**1.5 * c.jacobian_norm * distance / (c.sigma_min**2 * alpha) * (1 - decay),
        np.minimum(15 / 4, 20 * decay) * (kappa * chi) ** 3 * unit,
        (12 * kappa**3 * chi + 30 * (kappa * chi) ** 4) * unit / (c.sigma_min * alpha) + 0.0 * times,
    )


def path_bounds(c: Certificate, alpha: float, times: np.ndarray, *, distance: float, energy: float) -> Bounds:
    r"""Bounds of residual, distance, output gap and parameter gap in the path-length theorem.

    `energy` is $E = \sqrt{2 (R(\alpha h(w_0)) - \min R)/m}$ (`distance` is not used). With
    $\omega^2 = 1 - 2 L E/(\alpha\sigma^2)$: $E e^{-m\sigma^2\omega^2 t}$, $2E/((1+\omega)\sigma\alpha)$,
    $2 \chi L E^2 / (\sigma^2 \omega (1+\omega) \alpha)$ and
    $2 (1 + 2\omega) L E^2 / (\omega (1+\omega)^2 \sigma^3 \alpha^2)$. If $\kappa = 1$ the loss is a multiple of the
    square loss, and the last one has $\sqrt{1 + \omega^2}$ for $1 + 2\omega$, which is sharp. Source: this course.
    """
    del distance
    omega = np.sqrt(1 - 2 * c.lip_dh * energy / (alpha * c.sigma_min**2))
    unit = c.lip_dh * energy**2 / (c.sigma_min**2 * alpha)
    flat = 0.0 * times
    last = np.sqrt(1 + omega**2) if c.condition_number == 1 else 1 + 2 * omega
    return (
        energy * np.exp(-c.strong_convexity * (c.sigma_min * omega) ** 2 * times),
        2 * energy / ((1 + omega) * c.sigma_min * alpha) + flat,
        2 * c.conditioning / (omega * (1 + omega)) * unit + flat,
        2 * last / (omega * (1 + omega) ** 2) * unit / (c.sigma_min * alpha) + flat,
    )
