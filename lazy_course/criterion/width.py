"""Kappa of wide two-layer models from their structure: a sum over neurons, a block-diagonal D2h.

The model is h(w) = alpha sum_i phi(theta_i), theta = (a, b), phi(theta) = b tanh(a.x_j) / sqrt(n) for the n
rows x_j of the data: the norm of F is the empirical L2 norm.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course.models import AnyKey, RealArray, Scalar

OUTPUT_LAWS = ("signs", "normal")
# Largest values of |tanh'| and |tanh''|.
TANH_SLOPE, TANH_CURVATURE = 1.0, 4 / (3 * np.sqrt(3))


class Neurons(NamedTuple):
    """Parameters of m neurons: input weights a (m, d) and output weights b (m,)."""

    a: Float[Array, "m d"]
    b: Float[Array, " m"]


def draw_neurons(key: AnyKey, m: int, d: int, *, law: str = "signs") -> Neurons:
    """Independent neurons: standard normal a, and b = +1 or -1 ("signs", bounded) or standard normal ("normal").

    Both laws are symmetric in b, so the mean of phi is zero. Raises `ValueError` for another law.
    """
    if law not in OUTPUT_LAWS:
        raise ValueError(f"law: expected one of {OUTPUT_LAWS}, got {law!r}")
    of_a, of_b = jax.random.split(key)
    sample = jax.random.rademacher if law == "signs" else jax.random.normal
    return Neurons(jax.random.normal(of_a, (m, d), dtype=float), sample(of_b, (m,), dtype=float))


def outputs(neurons: Neurons, x: Float[RealArray, "n d"]) -> Float[Array, "m n"]:
    """phi(theta_i) for every neuron."""
    x = jnp.asarray(x)
    return neurons.b[:, None] * jnp.tanh(neurons.a @ x.T) / x.shape[0] ** 0.5


def kernel_sum(neurons: Neurons, x: Float[RealArray, "n d"]) -> Float[Array, "n n"]:
    r"""$\sum_i D\phi(\theta_i) D\phi(\theta_i)^\top$, the tangent kernel at alpha = 1."""
    x = jnp.asarray(x)
    activations = jnp.tanh(neurons.a @ x.T)
    gates = neurons.b[:, None] * (1 - activations**2)
    return ((x @ x.T) * (gates.T @ gates) + activations.T @ activations) / x.shape[0]


def curvature_blocks(neurons: Neurons, x: Float[RealArray, "n d"]) -> Float[Array, "m n e e"]:
    r"""The Hessians of $\phi_j$ at every neuron, e = d + 1: the only non-zero blocks of $D^2h$."""
    x = jnp.asarray(x)
    activations = jnp.tanh(neurons.a @ x.T)
    slopes = 1 - activations**2
    bends = -2 * activations * slopes * neurons.b[:, None]
    inner = jnp.einsum("mn,nd,ne->mnde", bends, x, x)
    mixed = jnp.einsum("mn,nd->mnd", slopes, x)
    top = jnp.concatenate([inner, mixed[..., None]], axis=-1)
    bottom = jnp.concatenate([mixed, jnp.zeros((*mixed.shape[:2], 1))], axis=-1)[..., None, :]
    return jnp.concatenate([top, bottom], axis=-2) / x.shape[0] ** 0.5


def _gram(blocks: Float[RealArray, "m n e e"]) -> np.ndarray:
    """The sum of squares of the n Hessians of every neuron, (m, e, e): one matrix product each."""
    tall = np.asarray(blocks).reshape(blocks.shape[0], -1, blocks.shape[-1])
    return np.swapaxes(tall, 1, 2) @ tall


def unfolding_norms(blocks: Float[RealArray, "m n e e"]) -> Float[np.ndarray, " m"]:
    r"""$\lambda_{\max}(\sum_j H_j^2)^{1/2} \ge \|D^2\phi\|$, one dense e x e eigenvalue problem a neuron."""
    return np.sqrt(np.linalg.eigvalsh(_gram(blocks))[:, -1])


def block_norms(blocks: Float[RealArray, "m n e e"], *, sweeps: int = 30) -> Float[np.ndarray, " m"]:
    r"""Lower ends of $\|D^2\phi(\theta_i)\| = \sup_{|u| = 1} \|D^2\phi[u, u]\|$: every value is reached by a u.

    Alternates g = D2phi[u, u] normalized and u = the extreme eigenvector of the Hessian of <g, phi>; no step
    lowers the value. Starts: the last four eigenvectors of the unfolding, and their sums by pairs.
    """
    blocks = np.asarray(blocks)
    first = np.swapaxes(np.linalg.eigh(_gram(blocks))[1], 1, 2)[:, -4:]
    u = np.concatenate([first, (first + np.roll(first, 1, axis=1)) / 2**0.5], axis=1)
    flat = blocks.reshape(*blocks.shape[:2], -1)

    def value(u: np.ndarray) -> np.ndarray:
        squares = (u[..., :, None] * u[..., None, :]).reshape(*u.shape[:2], -1)
        return squares @ np.swapaxes(flat, 1, 2)

    for _ in range(sweeps):
        g = value(u)
        g = g / np.maximum(np.linalg.norm(g, axis=-1, keepdims=True), 1e-300)
        hessians = (g @ flat).reshape(*u.shape, u.shape[-1])
        eigenvalues, vectors = np.linalg.eigh(hessians)
        at = np.argmax(np.abs(eigenvalues), axis=-1)
        u = np.take_along_axis(vectors, at[..., None, None], axis=-1)[..., 0]
    return np.max(np.linalg.norm(value(u), axis=-1), axis=-1)


def largest_block(blocks: Float[RealArray, "m n e e"], *, candidates: int = 16) -> tuple[float, float]:
    """The pair (lower, upper) for max_i norm(D2phi(theta_i)) = norm(D2h) at alpha = 1.

    Only the `candidates` neurons with the largest unfolding are followed up. `upper` is the largest
    unfolding: it bounds every neuron.
    """
    unfolding = unfolding_norms(blocks)
    chosen = np.argsort(unfolding)[-candidates:]
    return float(np.max(block_norms(np.asarray(blocks)[chosen]))), float(np.max(unfolding))


class WidthStatistics(NamedTuple):
    """Norms at alpha = 1 for each draw and width, arrays (draws, widths); `output` is (draws, widths, n)."""

    widths: np.ndarray
    output: np.ndarray
    jacobian_squared: np.ndarray
    hessian_lower: np.ndarray
    hessian_upper: np.ndarray

    def kappa(self, target: Float[RealArray, " n"], scaling: float) -> Float[Array, "draws widths"]:
        """Kappa of alpha(m) h for alpha(m) = m^scaling (lower end of the norm of D2h)."""
        alpha = jnp.asarray(self.widths, dtype=float) ** scaling
        residual = jnp.linalg.norm(alpha[None, :, None] * self.output - jnp.asarray(target)[None, None], axis=-1)
        return residual * self.hessian_lower / (alpha[None] * self.jacobian_squared)


def width_statistics(
    key: AnyKey,
    x: Float[RealArray, "n d"],
    *,
    exponents: tuple[int, int] = (3, 13),
    draws: int = 20,
    law: str = "signs",
    symmetrized: bool = False,
) -> WidthStatistics:
    """The three norms behind kappa for widths m = 2^k, k from exponents[0] to exponents[1], all draws independent.

    A symmetrized network of width m has m/2 drawn neurons, each with a twin of opposite output weight: its
    output is 0, its kernel twice that of the half, its D2h as large as that of the half.
    """
    x = jnp.asarray(x)
    powers = np.arange(exponents[0], exponents[1] + 1)
    shift = 1 if symmetrized else 0

    columns: dict[str, list] = {"output": [], "squared": [], "lower": [], "upper": []}
    for draw in jax.random.split(key, draws):
        # Width 2^k takes neurons number 2^k to 2^(k+1) - 1: separate slices of one draw, hence independent.
        pool = draw_neurons(draw, 2 ** (exponents[1] + 1 - shift), x.shape[1], law=law)
        blocks = np.asarray(curvature_blocks(pool, x))
        for power in powers - shift:
            here = slice(2**power, 2 ** (power + 1))
            part = Neurons(pool.a[here], pool.b[here])
            kernel = kernel_sum(part, x) * (2 if symmetrized else 1)
            columns["output"].append(jnp.sum(outputs(part, x), axis=0) * (0 if symmetrized else 1))
            columns["squared"].append(np.linalg.eigvalsh(kernel)[-1])
            lower, upper = largest_block(blocks[here])
            columns["lower"].append(lower)
            columns["upper"].append(upper)
    shape = (draws, powers.size)
    squared, lowers, uppers = (np.reshape(columns[name], shape) for name in ("squared", "lower", "upper"))
    output = np.reshape(np.asarray(columns["output"]), (*shape, x.shape[0]))
    return WidthStatistics(2**powers, output, squared, lowers, uppers)


class WidthConstants(NamedTuple):
    """The constants of the theorem on wide two-layer models for one law and one data set."""

    gain: float
    second_moment: float
    neuron_norm: float
    curvature: float

    def bound(self, m: Any, alpha: Any, target_norm: Scalar, delta: Scalar, *, symmetrized: bool = False) -> Any:
        """(2 B2 / G) (norm(phi) / sqrt(delta m) + norm(y*) / (m alpha)), the first term absent if symmetrized."""
        output_term = 0.0 if symmetrized else self.neuron_norm / (delta * m) ** 0.5
        return 2 * self.curvature / self.gain * (output_term + target_norm / (m * alpha))

    def failure(self, m: Scalar, delta: Scalar, *, symmetrized: bool = False) -> float:
        """The probability left out: delta + exp(-m G^2 / (8 V)), or exp(-m G^2 / (16 V)) if symmetrized."""
        exponent = m * self.gain**2 / ((16 if symmetrized else 8) * self.second_moment)
        return float(np.exp(-exponent)) + (0.0 if symmetrized else float(delta))


def width_constants(x: Float[RealArray, "n 2"], *, nodes: int = 60) -> WidthConstants:
    r"""G, V, $\|\phi\|_{L^2}$ by Gauss-Hermite quadrature over a, B2 in closed form; b = +1 or -1, d = 2.

    B2 is `curvature_bound(1, max_j |x_j|)`, an upper bound. g is the top eigenvector of $E[D\phi D\phi^\top]$.
    """
    x = np.asarray(x)
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    weights = weights / weights.sum()
    a = np.stack(np.meshgrid(points, points), axis=-1).reshape(-1, 2)
    mass = np.outer(weights, weights).ravel()
    activations = np.tanh(a @ x.T)
    gates = 1 - activations**2
    n = x.shape[0]
    kernel = (x @ x.T) * np.einsum("q,qi,qj->ij", mass, gates, gates)
    kernel = (kernel + np.einsum("q,qi,qj->ij", mass, activations, activations)) / n
    eigenvalues, vectors = np.linalg.eigh(kernel)
    g = vectors[:, -1]
    z = (np.sum(((gates * g) @ x) ** 2, axis=1) + (activations @ g) ** 2) / n
    largest = np.max(np.linalg.norm(x, axis=1))
    return WidthConstants(
        gain=float(eigenvalues[-1]),
        second_moment=float(mass @ z**2),
        neuron_norm=float(np.sqrt(mass @ np.mean(activations**2, axis=1))),
        curvature=curvature_bound(1.0, largest),
    )


def curvature_bound(output_weight: Scalar, radius: Scalar) -> float:
    r"""An upper bound on norm(D2phi) for neurons b tanh(a.x) with abs(b) and norm(x_j) at most the given numbers.

    $\|D^2\phi[u, u]\| \le L_2 |b| X^2 |u_a|^2 + 2 L_1 X |u_a| |u_b|$ with $L_1 = \sup|\tanh'|$ and
    $L_2 = \sup|\tanh''|$: the largest eigenvalue of a 2 x 2 matrix.
    """
    inner = output_weight * TANH_CURVATURE * radius**2
    return float((inner + np.sqrt(inner**2 + 4 * (TANH_SLOPE * radius) ** 2)) / 2)


def alignment_draws(key: AnyKey, *, draws: int, n: int, d: int, m: int, labels: str) -> dict[str, np.ndarray]:
    r"""The alignment $\|Dh^\top r\| / (\|Dh\| \|r\|)$ over draws of data, symmetrized network (h = 0) and labels.

    Data are uniform on the unit sphere of R^d, output weights normal. `labels`: "noise" (normal, independent of
    x), "linear" (a random linear function of x) or "top" (the largest eigenvector of the tangent kernel, the
    best case). `m` is the number of drawn neurons: their twins only double the kernel. Returns arrays (draws,):
    "alignment", and "least", the smallest value any residual could give. Raises `ValueError` for other labels.
    """
    if labels not in ("noise", "linear", "top"):
        raise ValueError(f"labels: expected 'noise', 'linear' or 'top', got {labels!r}")
    of_x, of_y, of_w = jax.random.split(key, 3)
    points = np.array(jax.random.normal(of_x, (draws, n, d)))
    points /= np.linalg.norm(points, axis=2, keepdims=True)
    noise = np.asarray(jax.random.normal(of_y, (draws, n)))
    neurons = draw_neurons(of_w, draws * m, d, law="normal")
    activations = np.tanh(np.asarray(neurons.a).reshape(draws, m, d) @ np.swapaxes(points, 1, 2))
    gates = np.asarray(neurons.b).reshape(draws, m, 1) * (1 - activations**2)
    # kernel_sum for all the draws at once.
    kernels = (points @ np.swapaxes(points, 1, 2)) * (np.swapaxes(gates, 1, 2) @ gates)
    kernels = kernels + np.swapaxes(activations, 1, 2) @ activations
    eigenvalues, vectors = np.linalg.eigh(kernels)
    residuals = {"noise": noise, "linear": np.einsum("knd,kd->kn", points, noise[:, :d]), "top": vectors[..., -1]}
    r = residuals[labels]
    squared = np.einsum("ki,kij,kj->k", r, kernels, r) / np.sum(r**2, axis=1)
    return {
        "alignment": np.sqrt(squared / eigenvalues[:, -1]),
        "least": np.sqrt(np.maximum(eigenvalues[:, 0], 0.0) / eigenvalues[:, -1]),
    }


def coin_kappas(
    key: AnyKey, m: int, *, draws: int, alpha: Scalar = 1.0, target: Scalar = 1.0
) -> Float[np.ndarray, " draws"]:
    """Kappa of h = alpha sum (theta_i^2 - 1/2), theta_i fair in {0, 1}, over draws.

    Infinite when every theta_i is 0, which has probability 2^-m.
    """
    ones = np.sum(np.asarray(jax.random.bernoulli(key, 0.5, (draws, m))), axis=1)
    with np.errstate(divide="ignore"):
        return np.abs(alpha * (ones - m / 2) - target) * 2 * alpha / (4 * alpha**2 * ones)


def coin_summary(key: AnyKey, sizes: tuple[int, ...], *, draws: int) -> str:
    """For every m: the share of draws with an infinite kappa, its probability 2^-m, and the median of kappa."""
    lines = []
    for m in sizes:
        kappas = np.asarray(coin_kappas(key, m, draws=draws))
        share, median = np.mean(np.isinf(kappas)), np.median(kappas)
        lines.append(f"m = {m:3d}: infinite in {share:.4f} of the draws (2^-m = {2.0**-m:.4f}), median {median:.3f}")
    return "\n".join(lines)
