"""What is measured: the same inputs and weights for both sides, made by NumPy, in single precision."""

import numpy as np

SETTINGS = {
    "two-layer": {"n": 1000, "d": 100, "width": 1000, "k": 1},
    "vgg11": {"n": 16, "pixels": 32, "k": 10, "width": 1.0, "pooling": "average"},
    "closed forms": {"n": 2000, "d": 100, "depth": 5, "sigma_w": 2**0.5, "sigma_b": 0.1},
    "predictions": {"n": 1000, "m": 1000, "d": 100, "depth": 1, "sigma_w": 2**0.5, "sigma_b": 0.1, "times": 20},
}
CHANNELS = (64, 128, 256, 256, 512, 512, 512, 512)


def _normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def two_layer(n, d, width, k):
    """Inputs, input weights (d, width) and output weights (width, k) of a network in NTK parameterization."""
    return _normal(0, n, d), _normal(1, d, width), _normal(2, width, k)


def vgg11(n, pixels, k, width, pooling):
    """Images, Xavier-normal filters (3, 3, c, m), and the weights (features, k) of the last layer."""
    del pooling
    filters, before = [], 3
    for i, channels in enumerate(round(width * c) for c in CHANNELS):
        scale = np.float32((2 / (9 * (before + channels))) ** 0.5)
        filters.append(scale * _normal(i, 3, 3, before, channels))
        before = channels
    images = np.random.default_rng(100).random((n, pixels, pixels, 3), dtype=np.float32)
    return images, filters, np.float32((2 / (before + k)) ** 0.5) * _normal(99, before, k)


def closed_forms(n, d, **_):
    """Inputs."""
    return _normal(3, n, d)


def predictions(n, m, d, times, **_):
    """Training inputs and targets, test inputs, and times in units of n (both sides minimize the mean square)."""
    x = _normal(4, n, d)
    return x, np.sin(x[:, :1]), _normal(5, m, d), np.logspace(-2, 4, times).astype(np.float32)
