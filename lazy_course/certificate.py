r"""What Theorem 2.4 guarantees for a model, and from which alpha on; `verification.verify` has the flow's answer to it.

Two theorems are certified, for a loss that is m-strongly convex and M-smooth, if $\sigma_{\min}(Dh(w_0)^\top) > 0$:

* "uniform": Theorem 2.4 of the paper, with the constants that the course proves;
* "path": the path-length theorem of the course, which holds from a smaller alpha and has smaller constants.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PyTree
from scipy.optimize import brentq

Model = Callable[[PyTree], Array]
KnownLoss = Any  # a loss with the attributes smoothness, strong_convexity and minimizer
Lipschitz = float | int | Callable[[float], float]


@dataclass(frozen=True)
class Certificate:
    r"""The constants of a model at w0 and what follows from them; made by `certificate`.

    `alpha_threshold` is the alpha above which Theorem 2.4 applies, $\|y^\star\| / C_0$ (inf if it never does), and
    `rate` = $m \sigma^2 / 4$ the rate that it guarantees for $\|y - y^\star\|$, in 1/flow time. `path_threshold` is
    the alpha above which the path-length theorem applies. `loss_distance` is $\sqrt{2 (R(0) - \min R)/m}$.
    In a notebook a certificate shows itself as a table; `path_reason` and `reason` are its answers in words.
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

    @property
    def path_reason(self) -> str:
        """What the path-length theorem says of this model, in words."""
        if np.isfinite(self.path_threshold):
            return f"the path-length theorem applies for alpha > {self.path_threshold:.4g}"
        return self.reason

    def path_rate(self, alpha: float) -> float:
        r"""The rate that the path-length theorem guarantees for $\|y - y^\star\|$, in 1/flow time; else 0.

        $m (\sigma^2 - 2 L \sqrt\kappa \|h(w_0)\|)(1 - \alpha_1/\alpha)$ with $\alpha_1$ = `path_threshold`; it is
        $m (\sigma^2 - 2 L E/\alpha)$ with $E \le \sqrt{2 (R(0) - \min R)/m} + \alpha \sqrt\kappa \|h(w_0)\|$.
        """
        share = self.path_threshold / alpha if self.path_threshold > 0 else 0.0
        room = self.sigma_min**2 - 2 * self.lip_dh * self.condition_number**0.5 * self.initial_output
        return self.strong_convexity * max(0.0, room) * max(0.0, 1.0 - share)

    def _repr_markdown_(self) -> str:
        """The table that a notebook shows."""
        rows = [
            (r"outputs $n$, parameters $p$, rank of $Dh(w_0)$", f"{self.outputs}, {self.parameters}, {self.rank}"),
            (
                r"$\sigma = \sigma_{\min}(Dh(w_0)^\top)$, $S = \lVert Dh(w_0)\rVert$",
                (self.sigma_min, self.jacobian_norm),
            ),
            (r"$L = \mathrm{Lip}(Dh)$", (self.lip_dh,)),
            (r"$m$, $M$ of the loss", (self.strong_convexity, self.smoothness)),
            (r"$\lVert h(w_0)\rVert$, $\lVert y^\star\rVert$", (self.initial_output, self.target_norm)),
            (r"$C_0$", (self.C0,)),
            (r"Theorem 2.4 from $\alpha >$", (self.alpha_threshold,)),
            (r"its rate, $m\sigma^2/4$", (self.rate,)),
            (r"path-length theorem from $\alpha >$", (self.path_threshold,)),
        ]
        shown = [(name, v if isinstance(v, str) else ", ".join(f"{x:.4g}" for x in v)) for name, v in rows]
        lines = [f"| {name} | {value} |" for name, value in shown]
        words = "; ".join(dict.fromkeys((self.reason, self.path_reason)))
        return "\n".join(["| constant | value |", "| --- | --- |", *lines, "", f"*{words}.*"])


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
    Raises `ValueError` if the loss lacks its constants or they cannot be true (m not positive, M below m, a gradient
    at the minimizer, another size than the output's), if lip_dh is negative or not finite, and if h is not flat or not
    finite, or its Jacobian is not finite.
    Source: chizat2019lazy, Theorem 2.4, and this course.
    """
    values, output = _singular_values(h, params0)
    n, p = output.size, ravel_pytree(params0)[0].size
    big = float(values[0])
    rank = int(np.sum(values > max(n, p) * np.finfo(float).eps * big))
    sigma = float(values[-1]) if rank == n else 0.0
    smooth, convex, minimizer = _constants_of(loss, n)
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
    if not np.all(np.isfinite(jacobian)):
        raise ValueError("h: expected a finite Jacobian at params0, got nan or inf; start where h is differentiable")
    values = np.linalg.svd(jacobian, compute_uv=False)
    return (np.append(values, 0.0) if flat.size < output.size else values), output


def _constants_of(loss: KnownLoss, n: int) -> tuple[float, float, np.ndarray]:
    names = ("smoothness", "strong_convexity", "minimizer")
    if not all(hasattr(loss, name) for name in names):
        raise ValueError(f"loss: expected the attributes {names}, got {type(loss).__name__}; see losses.square_loss")
    smooth, convex = float(loss.smoothness), float(loss.strong_convexity)
    minimizer = np.asarray(loss.minimizer, dtype=float)
    if not 0 < convex <= smooth < np.inf:
        raise ValueError(
            f"loss: expected 0 < strong_convexity <= smoothness < inf, got {convex:g} and {smooth:g}; "
            "both theorems need a strongly convex and smooth loss"
        )
    if minimizer.shape != (n,):
        raise ValueError(f"loss: expected a minimizer of shape ({n},), as h(params0) has, got {minimizer.shape}")
    slope = float(jnp.linalg.norm(jax.grad(loss)(jnp.asarray(minimizer))))
    if not slope <= 1e-8 * smooth * (1 + float(np.linalg.norm(minimizer))):
        raise ValueError(f"loss: expected a zero gradient at its minimizer, got one of norm {slope:.3g}")
    return smooth, convex, minimizer


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
