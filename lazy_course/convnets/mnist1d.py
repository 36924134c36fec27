"""MNIST-1D, made on this machine: ten hand-drawn curves, padded, stretched, shifted, sheared and made noisy.

The algorithm is that of the published generator (github.com/greydanus/mnist1d), written anew for the course. It draws
the same random numbers in the same order, so seed 42 gives the published data set: 4000 training and 1000 test
sequences of 40 numbers. Source: greydanus2024scaling.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import gaussian_filter

LENGTH = 40  # of a finished sequence
STROKE = 12  # points of a curve
PADDING = (36, 60)  # zeros after it, fewest and most
SHIFT = 48  # shifts are smaller than this
SCALE, SHEAR = 0.4, 0.75
CORRELATED, INDEPENDENT = 0.25, 0.02  # standard deviations of the two noises
TRAIN_SHARE = 0.8

CURVES = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)


class Sequences(NamedTuple):
    """Training and test sequences with their digits."""

    x: Float[np.ndarray, "n 40"]
    y: Int[np.ndarray, " n"]
    x_test: Float[np.ndarray, "q 40"]
    y_test: Int[np.ndarray, " q"]


def make(*, seed: int = 42, samples: int = 5000) -> Sequences:
    """Draw `samples` sequences, as many of each digit, and split them 4 to 1; mean 0 and deviation 1 over all.

    Raises `ValueError` if samples is not a positive multiple of 10.
    """
    if samples < 10 or samples % 10:
        raise ValueError(f"samples: expected a positive multiple of 10, got {samples}; every digit gets as many")
    # The legacy generator, as the published data set was drawn with it; it is private to this call.
    draw = np.random.RandomState(seed)
    curves = templates()
    x = np.stack([_example(curves[digit], draw) for digit in range(10) for _ in range(samples // 10)])
    y = np.repeat(np.arange(10), samples // 10)
    order = draw.permutation(samples)
    x, y = x[order], y[order]
    x = (x - x.mean()) / x.std()
    split = int(samples * TRAIN_SHARE)
    return Sequences(x[:split], y[:split], x[split:], y[split:])


def templates() -> Float[np.ndarray, "10 12"]:
    """The ten curves, each of mean 0 and deviation 1/6 before it is moved to begin at 0."""
    x = np.asarray(CURVES, dtype=float)
    x = x - x.mean(axis=1, keepdims=True)
    x = x / x.std(axis=1, keepdims=True)
    return (x - x[:, :1]) / 6.0


def _example(curve: np.ndarray, draw: np.random.RandomState) -> np.ndarray:
    low, high = PADDING
    padded = np.concatenate([curve + 1e-8, np.zeros(low + int(draw.rand() * (high - low + 1)))])
    x = _resampled(padded, STROKE + high)
    x = x * (1 + SCALE * (draw.rand() - 0.5))
    shift = draw.choice(SHIFT)
    x = np.concatenate([x[-shift:], x[:-shift]])
    # Where the curve is not, there is smooth noise; everywhere there is a little rough noise.
    x = np.where(x != 0, x, gaussian_filter(CORRELATED * draw.randn(x.size), 2))
    x = x + INDEPENDENT * draw.randn(x.size)
    x = x - SHEAR * (draw.rand() - 0.5) * np.linspace(-0.5, 0.5, x.size)
    return _resampled(x, LENGTH)


def _resampled(x: np.ndarray, count: int) -> np.ndarray:
    return np.interp(np.linspace(0, 1, count), np.linspace(0, 1, x.size), x)
