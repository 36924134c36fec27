r"""Figure 7(b): all eigenvalues of the tangent kernel of VGG-11 at its initialization, and why ten of them are large.

If the outputs were independent and alike, the kernel would be $\Theta \otimes I_k$, with $\Theta$ an n x n kernel of
positive entries: every eigenvalue k-fold, the largest one with an almost constant eigenvector. `modes` measures how
much of the true kernel and of its eigenvectors this is. Source: chizat2019lazy, Section C.3.
"""

import resource
import time
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Float
from scipy.linalg import eigvalsh
from scipy.sparse.linalg import eigsh

from lazy_course.convnets import data, panels
from lazy_course.kernels import tangent_kernel
from lazy_course.models import AnyKey
from lazy_course.store import Arrays, Store, Tell, digits, versions

SHOWN = 240  # eigenvalues that a record keeps, evenly spaced in log i, beside the first SHOWN_FIRST
SHOWN_FIRST = 30
VECTORS = 20


@dataclass(frozen=True)
class Spectrum:
    """VGG-11 of a width on `n` images of `size` x `size` pixels, drawn from each of `images`."""

    width: float = 1.0
    n: int = 500
    size: int = 32
    gain: float = 1.0
    images: tuple[str, ...] = ("uniform", "photographs", "cifar10")
    memory: int = 5 * 2**30
    dtype: str = "float32"
    seed: int = 11


SPECTRA: dict[str, Spectrum] = {
    "paper": Spectrum(),
    "as-coded": Spectrum(n=495, gain=2.0),
    "laptop": Spectrum(images=("uniform", "photographs")),
    "quick": Spectrum(width=1 / 16, n=24, size=8, images=("uniform", "photographs"), memory=2**28),
}


class Modes(NamedTuple):
    r"""The spectrum of a kernel, in descending order, and the shares that explain its first k eigenvalues.

    `constant`: the share $\|P v\|^2$ of each of the first eigenvectors v in the k-dimensional space of vectors that
    are constant over samples. `leading`: the same for $u \otimes \mathbb R^k$, u the first eigenvector of the mean
    $\Theta$ of the k diagonal blocks. `product`: $\|K - \Theta \otimes I_k\|_F / \|K\|_F$. `mean_share`: the share of
    u that is constant.
    """

    values: Float[np.ndarray, " N"]
    constant: Float[np.ndarray, " count"]
    leading: Float[np.ndarray, " count"]
    product: float
    mean_share: float


def modes(kernel: Float[np.ndarray, "n k n k"], count: int = VECTORS) -> Modes:
    """The spectrum and its explanation; `count` eigenvectors are looked at (fewer than n k)."""
    n, k = kernel.shape[:2]
    matrix = np.asarray(kernel, dtype=float).reshape(n * k, n * k)
    matrix = 0.5 * (matrix + matrix.T)
    mean = np.einsum("iaja->ij", matrix.reshape(n, k, n, k)) / k
    square = float(np.linalg.norm(matrix) ** 2)
    # Theta (x) I is the projection of K on the matrices of that form, so Pythagoras gives the distance.
    product = np.sqrt(max(0.0, 1.0 - k * np.linalg.norm(mean) ** 2 / square))
    count = min(count, n * k - 1)
    start = np.ones(n * k) + 0.1 * np.cos(np.arange(n * k))
    found, vectors = eigsh(matrix, count, v0=start)
    parts = vectors[:, np.argsort(-found)].reshape(n, k, count)
    leading = np.linalg.eigh(mean)[1][:, -1]
    shares = [np.sum(np.einsum("i,iac->ac", u, parts) ** 2, axis=0) for u in (np.full(n, n**-0.5), leading)]
    mean_share = float(np.sum(leading) ** 2 / n)
    values = eigvalsh(matrix, overwrite_a=True, check_finite=False)[::-1]
    return Modes(values, shares[0], shares[1], float(product), mean_share)


def images(kind: str, key: AnyKey, n: int, size: int) -> Float[Array, "n size size 3"] | None:
    """Images of a kind; None for CIFAR-10 where it is not on this machine. Raises `ValueError` for another kind."""
    if kind == "uniform":
        return data.uniform_pixels(key, n, size)
    if kind == "photographs":
        return data.photograph_crops(key, n, size)
    if kind == "cifar10":
        return data.cifar_images(key, n)
    raise ValueError(f"images: expected uniform, photographs or cifar10, got {kind!r}")


def kernel_at_start(settings: Spectrum, x: Float[Array, "n h w 3"]) -> Float[np.ndarray, "n k n k"]:
    """The whole tangent kernel of VGG-11 at its initialization."""
    kind = np.dtype(settings.dtype)
    key = jax.random.key(settings.seed)
    f, params = panels.draw(key, "vgg11", settings.width, x.shape[1:], gain=settings.gain)
    params = jax.tree.map(lambda leaf: leaf.astype(kind), params)
    return np.asarray(tangent_kernel(f, params, x.astype(kind), memory=settings.memory))


def run(settings: Spectrum, store: Store, tell: Tell) -> dict[str, Arrays]:
    """The spectrum for each kind of images that can be had here; those in the store are taken from there."""
    found = {}
    for place, kind in enumerate(settings.images):
        kept = store.load(kind)
        x = images(kind, jax.random.fold_in(jax.random.key(settings.seed), place), settings.n, settings.size)
        if kept is None and x is not None:
            clocks = [(time.monotonic(), time.process_time())]
            kernel = kernel_at_start(settings, x)
            clocks.append((time.monotonic(), time.process_time()))
            spectrum = modes(kernel)
            clocks.append((time.monotonic(), time.process_time()))
            seconds = np.diff(np.asarray(clocks), axis=0)
            peak = np.asarray(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
            kept = {name: np.asarray(part) for name, part in spectrum._asdict().items()}
            kept |= {"seconds": seconds, "peak": peak}
            store.save(kind, kept)
        if kept is not None and x is not None:
            # What a test can compute again in seconds: the first image's own entries.
            found[kind] = kept | {"first": np.diagonal(kernel_at_start(settings, x[:1]).reshape(data.CLASSES, -1))}
        tell(place + 1, len(settings.images))
    return found


def record(settings: Spectrum, found: dict[str, Arrays]) -> dict[str, Any]:
    """What is committed of the spectra. Values are divided by the largest one; `indices` begin at 1."""
    return {
        "settings": asdict(settings),
        "versions": versions("scipy", "scikit-learn"),
        "missing": [kind for kind in settings.images if kind not in found],
        "spectra": {kind: _described(part) for kind, part in found.items()},
    }


def _described(part: Arrays) -> dict[str, Any]:
    values, k = part["values"], data.CLASSES
    size = len(values)
    tail = np.unique(np.round(np.geomspace(1, size, SHOWN)).astype(int))
    indices = np.union1d(np.arange(1, min(SHOWN_FIRST, size) + 1), tail)
    scaled = values / values[0]
    low, high = 2 * k, size // 5
    slope = np.polyfit(np.log(np.arange(low, high)), np.log(scaled[low - 1 : high - 1]), 1)[0] if high > low else 0.0
    return {
        "largest": digits(values[:1])[0],
        "indices": indices.tolist(),
        "values": digits(scaled[indices - 1]),
        "gap": digits(values[k - 1 : k] / values[k : k + 1])[0],
        "slope": digits(np.asarray([slope]))[0],
        "slope_between": [low, high],
        "first_image": digits(part["first"]),
        "constant": digits(part["constant"]),
        "leading": digits(part["leading"]),
        "product": float(part["product"]),
        "mean_share": float(part["mean_share"]),
        # Of the clock, and of all processors together: on a machine that others use too, only the second says much.
        "seconds_kernel": digits(part["seconds"][0], 4),
        "seconds_modes": digits(part["seconds"][1], 4),
        "peak_gib": round(float(part["peak"]), 2),
    }
