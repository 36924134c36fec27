"""Small versions of the chapter's computations, seconds each: what its page runs while it is built."""

from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from lazy_course.convnets import baselines, panels, runs, spectrum
from lazy_course.convnets.activations import kink_share
from lazy_course.convnets.data import CLASSES
from lazy_course.convnets.panels import Study
from lazy_course.convnets.spectrum import Spectrum

SMALL = Spectrum(width=1 / 4, n=32, size=16, images=("uniform", "photographs"), memory=2**29)
SIZES = (2, 4, 8, 16, 32)


class Growth(NamedTuple):
    r"""A small spectrum and its gap after the tenth eigenvalue, for the first n of the same images.

    `values`: all eigenvalues over the largest. `gaps`: $\lambda_{10}/\lambda_{11}$ of the kernel for each of `sizes`.
    `mean_gaps`: $\mu_1/\mu_2$ of $\Theta$, the mean of the kernel's ten diagonal blocks. `alike`: what
    $1 + n\rho/(1 - \rho)$ says, with the mean correlation $\rho$ of two images in $\Theta$ (`correlation`).
    `least`: the least entry of $\Theta$.
    """

    sizes: tuple[int, ...]
    values: Float[np.ndarray, " N"]
    gaps: Float[np.ndarray, " sizes"]
    mean_gaps: Float[np.ndarray, " sizes"]
    alike: Float[np.ndarray, " sizes"]
    correlation: float
    least: float


class Fitted(NamedTuple):
    """Accuracies of least squares on `size` features of a network at its start."""

    size: int
    train: float
    test: float


def own_features(study: Study = panels.PANELS["fig3b"]["laptop"][-1]) -> Fitted:
    """The features before the last layer of a study's widest net, at the start of its first run, fitted exactly.

    They are among the tangent features of the same linearized net. The ridge is that of `baselines.ridge_accuracy`.
    """
    split = study.split()
    job = study.job(study.index(study.widths[-1]), split.x.shape[1:])
    return Fitted(len(job.start["output"]["weights"]), *baselines.features_accuracy(job.f, job.start, split))


def growth(settings: Spectrum = SMALL, sizes: tuple[int, ...] = SIZES) -> dict[str, Growth]:
    """The spectrum of a narrow VGG-11 for each kind of images, and how its gap grows with their number.

    Raises `ValueError` if a size is below 2 or above the settings' number of images.
    """
    if not all(2 <= size <= settings.n for size in sizes):
        raise ValueError(f"sizes: expected numbers of images between 2 and n = {settings.n}, got {sizes}")
    found = {}
    for place, kind in enumerate(settings.images):
        x = spectrum.images(kind, jax.random.fold_in(jax.random.key(settings.seed), place), settings.n, settings.size)
        if x is not None:
            found[kind] = _growth(spectrum.kernel_at_start(settings, x).astype(float), sizes)
    return found


def _growth(kernel: np.ndarray, sizes: tuple[int, ...]) -> Growth:
    n = len(kernel)
    mean = np.einsum("iaja->ij", kernel) / CLASSES
    correlation = (mean.sum() - np.trace(mean)) / ((n - 1) * np.trace(mean))
    whole = [np.linalg.eigvalsh(kernel[:m, :, :m].reshape(m * CLASSES, -1))[::-1] for m in sizes]
    parts = [np.linalg.eigvalsh(mean[:m, :m])[::-1] for m in sizes]
    values = np.linalg.eigvalsh(kernel.reshape(n * CLASSES, -1))[::-1]
    return Growth(
        sizes,
        values / values[0],
        np.asarray([row[CLASSES - 1] / row[CLASSES] for row in whole]),
        np.asarray([row[0] / row[1] for row in parts]),
        1 + np.asarray(sizes) * correlation / (1 - correlation),
        float(correlation),
        float(mean.min()),
    )


class Steps(NamedTuple):
    """Training losses (rates, scales) after `epochs` epochs of constant steps."""

    rates: tuple[float, ...]
    alphas: tuple[float, ...]
    epochs: int
    losses: Float[np.ndarray, "rates scales"]


def steps(
    rates: tuple[float, ...] = (1.0, 2.0, 2.4, 3.0), alphas: tuple[float, ...] = (1.0, 1e7), epochs: int = 4
) -> Steps:
    r"""The net of Figure 3(a), trained with steps on both sides of the linearized model's limit of stability.

    The same start and batches as in its first repetition; the step $\eta$ is not decayed, momentum 0.9.
    """
    laptop = panels.PANELS["fig3a"]["laptop"][0]
    study = replace(laptop, groups=(alphas,), linearized=False, runs=1, epochs=epochs, every=epochs, decay=0.0)
    split = study.split()
    rows = [runs.run_job(replace(study, rate=rate, linear_rate=rate), 0, split)["train_loss"][-1] for rate in rates]
    return Steps(rates, alphas, epochs, np.stack(rows))


class Kinks(NamedTuple):
    """Two starts of one net: the share of pre-activations on a kink, and remainder and stability at each scale."""

    alphas: tuple[float, ...]
    share: Float[np.ndarray, " 2"]
    remainder: Float[np.ndarray, "2 scales"]
    stability: Float[np.ndarray, "2 scales"]


def kinks(channels: int = 2, alphas: tuple[float, ...] = (1e3, 1e5, 1e7)) -> Kinks:
    """A net so narrow that in its second repetition units of a layer have no input that is on: they stand on a kink.

    Trained four epochs on 200 sequences in batches of 20.
    """
    study = Study(
        widths=(channels,),
        groups=(alphas,),
        linearized=False,
        runs=2,
        epochs=4,
        every=4,
        batch=20,
        limit=200,
        limit_test=100,
    )
    split = study.split()
    ends = [runs.run_job(study, run, split) for run in range(2)]
    starts = [study.job(run, split.x.shape[1:]) for run in range(2)]
    shares = [float(kink_share(job.f, job.start, jnp.asarray(split.x_test))) for job in starts]
    return Kinks(
        alphas,
        np.asarray(shares),
        np.stack([end["remainder"] for end in ends]),
        np.stack([end["stability"] for end in ends]),
    )
