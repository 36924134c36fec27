r"""What Theorem 2.4 guarantees for a model, from which alpha on, and the flow's answer to it.

Two theorems are certified, for a loss that is m-strongly convex and M-smooth, if $\sigma_{\min}(Dh(w_0)^\top) > 0$:

* "uniform": Theorem 2.4 of the paper, with the constants that the course proves;
* "path": the path-length theorem of the course, which holds from a smaller alpha and has smaller constants.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PyTree
from scipy.optimize import brentq

from lazy_course.flows import flow_gap, norm_over_time
from lazy_course.models import RealArray

Model = Callable[[PyTree], Array]
KnownLoss = Any  # a loss with the attributes smoothness, strong_convexity and minimizer
Theorem = Literal["uniform", "path"]
Lipschitz = float | int | Callable[[float], float]


@dataclass(frozen=True)
class Certificate:
    r"""The constants of a model at w0 and what follows from them; made by `certificate`.

    `alpha_threshold` is the alpha above which Theorem 2.4 applies, $\|y^\star\| / C_0$ (inf if it never does), and
    `rate` = $m \sigma^2 / 4$ the rate that it guarantees for $\|y - y^\star\|$, in 1/flow time. `path_threshold` is
    the alpha above which the path-length theorem applies. `loss_distance` is $\sqrt{2 (R(0) - \min R)/m}$.
    """

    outputs: int
    parameters: int
    rank: int
    sigma_min: float
    jacobian_norm: float
    lip_dh: float
    smoothness: float
    strong_convexity: float
    initial_output: float
    target_norm: float
    loss_distance: float
    C0: float
    alpha_threshold: float
    rate: float
    path_threshold: float
    applies: bool
    reason: str

    @property
    def condition_number(self) -> float:
        """M / m of the loss."""
        return self.smoothness / self.strong_convexity

    @property
    def conditioning(self) -> float:
        r"""$\chi = \|Dh(w_0)\| / \sigma_{\min}$."""
        return self.jacobian_norm / self.sigma_min if self.sigma_min > 0 else np.inf

    def path_rate(self, alpha: float) -> float:
        r"""The rate that the path-length theorem guarantees for $\|y - y^\star\|$, in 1/flow time; else 0.

        $m (\sigma^2 - 2 L \sqrt\kappa \|h(w_0)\|)(1 - \alpha_1/\alpha)$ with $\alpha_1$ = `path_threshold`; it is
        $m (\sigma^2 - 2 L E/\alpha)$ with $E \le \sqrt{2 (R(0) - \min R)/m} + \alpha \sqrt\kappa \|h(w_0)\|$.
        """
        share = self.path_threshold / alpha if self.path_threshold > 0 else 0.0
        room = self.sigma_min**2 - 2 * self.lip_dh * self.condition_number**0.5 * self.initial_output
        return self.strong_convexity * max(0.0, room) * max(0.0, 1.0 - share)


def certificate(h: Model, params0: PyTree, loss: KnownLoss, *, lip_dh: Lipschitz) -> Certificate:
    r"""What Theorem 2.4 and the path-length theorem guarantee for the flow of $R(\alpha h(w))/\alpha^2$ from $w_0$.

    With $\kappa = M/m$, $S = \|Dh(w_0)\|$, L = `lip_dh`: $C_0 = \sigma^3 / (32 \kappa^{3/2} S L)$. Theorem 2.4 applies
    if $\|h(w_0)\| \le C_0$ and $\alpha > \|y^\star\| / C_0$; the path-length theorem if
    $\alpha (\sigma^2 - 2 L \sqrt\kappa \|h(w_0)\|) > 2 L \sqrt{2 (R(0) - \min R)/m}$.

    `lip_dh` is a Lipschitz constant of Dh on the ball of radius $\sigma/L$ around $w_0$: a number that you have
    proved, or a function $r \mapsto L(r)$ that does not decrease (`lipschitz.lipschitz_of_differential`). For a
    function, the r with $r L(r) = \sigma$ is found. `loss` has the attributes smoothness, strong_convexity and
    minimizer. The (n, p) Jacobian is formed.

    If Dh(w0) has rank below n, sigma is 0 and nothing is guaranteed: `applies` is False, `reason` says why.
    Raises `ValueError` if the loss lacks its constants, lip_dh is negative, or h is not flat or not finite.
    Source: chizat2019lazy, Theorem 2.4, and this course.
    """
    values, output = _singular_values(h, params0)
    n, p = output.size, ravel_pytree(params0)[0].size
    big = float(values[0])
    rank = int(np.sum(values > max(n, p) * np.finfo(float).eps * big))
    sigma = float(values[-1]) if rank == n else 0.0
    smooth, convex, minimizer = _constants_of(loss)
    kappa = smooth / convex
    lip = _lipschitz(lip_dh, sigma)
    start, target = float(np.linalg.norm(output)), float(np.linalg.norm(minimizer))
    excess = float(loss(jnp.zeros(n)) - loss(jnp.asarray(minimizer)))
    energy = float(np.sqrt(2 * max(excess, 0.0) / convex))
    c0 = _ratio(sigma**3, 32 * kappa**1.5 * big * lip)
    room = sigma**2 - 2 * lip * kappa**0.5 * start
    applies = rank == n and start <= c0
    return Certificate(
        outputs=n,
        parameters=p,
        rank=rank,
        sigma_min=sigma,
        jacobian_norm=big,
        lip_dh=lip,
        smoothness=smooth,
        strong_convexity=convex,
        initial_output=start,
        target_norm=target,
        loss_distance=energy,
        C0=c0,
        alpha_threshold=_ratio(target, c0) if applies else np.inf,
        rate=convex * sigma**2 / 4,
        path_threshold=2 * lip * energy / room if room > 0 and rank == n else np.inf,
        applies=applies,
        reason=_reason(rank, n, float(values[-1]) if p >= n else 0.0, start, c0, target),
    )


def _reason(rank: int, n: int, smallest: float, start: float, c0: float, target: float) -> str:
    if rank < n:
        return (
            f"not over-parameterized at w0: rank Dh(w0) = {rank} < n = {n} (smallest singular value {smallest:.2e}); "
            "Theorem 2.5 applies if the rank is constant near w0"
        )
    if start > c0:
        return f"the initial output is too large: ||h(w0)|| = {start:.3g} > C0 = {c0:.3g}; centre the model"
    return f"Theorem 2.4 applies for alpha > {_ratio(target, c0):.4g}"


def _ratio(above: float, below: float) -> float:
    """above / below, with the limit that is meant where below is 0."""
    return above / below if below > 0 else (np.inf if above > 0 else 0.0)


def _singular_values(h: Model, params0: PyTree) -> tuple[np.ndarray, np.ndarray]:
    """Singular values of the Jacobian, decreasing, padded with a zero if p < n; and h(w0)."""
    flat, unravel = ravel_pytree(jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype=float), params0))
    output = np.asarray(h(unravel(flat)))
    if output.ndim != 1 or not np.all(np.isfinite(output)):
        raise ValueError(f"h: expected a flat finite output of shape (n,), got shape {output.shape}; see models.as_map")
    jacobian = np.asarray(jax.jit(jax.jacrev(lambda w: h(unravel(w))))(flat))
    values = np.linalg.svd(jacobian, compute_uv=False)
    return (np.append(values, 0.0) if flat.size < output.size else values), output


def _constants_of(loss: KnownLoss) -> tuple[float, float, np.ndarray]:
    names = ("smoothness", "strong_convexity", "minimizer")
    if not all(hasattr(loss, name) for name in names):
        raise ValueError(f"loss: expected the attributes {names}, got {type(loss).__name__}; see losses.square_loss")
    return float(loss.smoothness), float(loss.strong_convexity), np.asarray(loss.minimizer)


def _lipschitz(lip_dh: Lipschitz, sigma: float) -> float:
    """The constant on the ball of radius sigma / L: given, or the L(r) with r L(r) = sigma."""
    if not callable(lip_dh):
        if not (np.isfinite(lip_dh) and lip_dh >= 0):
            raise ValueError(f"lip_dh: expected a finite number >= 0 or a function of the radius, got {lip_dh}")
        return float(lip_dh)
    if sigma == 0 or lip_dh(0.0) == 0:
        return float(lip_dh(0.0))
    # r L(r) - sigma is negative at 0 and not negative at sigma / L(0), because L does not decrease.
    radius = brentq(lambda r: r * lip_dh(r) - sigma, 0.0, 1.000001 * sigma / lip_dh(0.0), xtol=1e-14)
    return float(lip_dh(radius))


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
    $\|y - \bar y\|$, `parameter_gap` $\|w - \bar w\|$."""

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
    least = certified.path_threshold if theorem == "path" else certified.alpha_threshold
    if theorem not in ("uniform", "path"):
        raise ValueError(f'theorem: expected "uniform" or "path", got {theorem!r}')
    if not alpha > least:
        raise ValueError(f"alpha: expected more than {least:.4g}, got {alpha:g}; {certified.reason}")
    flat_times = np.asarray(times, dtype=float)
    flow = flow_gap(h, params0, loss, alpha=alpha, times=flat_times)
    start = jnp.asarray(flow.alpha * h(params0))
    bounds = (path_bounds if theorem == "path" else uniform_bounds)(
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


Bounds = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


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
    $2 (1 + 2\omega) L E^2 / (\omega (1+\omega)^2 \sigma^3 \alpha^2)$. Source: this course.
    """
    del distance
    omega = np.sqrt(1 - 2 * c.lip_dh * energy / (alpha * c.sigma_min**2))
    unit = c.lip_dh * energy**2 / (c.sigma_min**2 * alpha)
    flat = 0.0 * times
    return (
        energy * np.exp(-c.strong_convexity * (c.sigma_min * omega) ** 2 * times),
        2 * energy / ((1 + omega) * c.sigma_min * alpha) + flat,
        2 * c.conditioning / (omega * (1 + omega)) * unit + flat,
        2 * (1 + 2 * omega) / (omega * (1 + omega) ** 2) * unit / (c.sigma_min * alpha) + flat,
    )
