"""Convolutional networks of the VGG kind, their initialization, and convolutions that stay fast on small images.

Images are (n, height, width, channels), filters (height, width, channels in, channels out).
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree

from lazy_course.models import Activation, AnyKey, Function, RealArray, Scalar, activation_function

POOL = "pool"
VGG11 = (64, POOL, 128, POOL, 256, 256, POOL, 512, 512, POOL, 512, 512, POOL)
POOLINGS = ("max", "average")
# XLA's convolution on a CPU falls from over 200 to 2 GFLOP/s where an image has this many pixels or fewer.
FEW_PIXELS = 9


def extract_patches(
    x: Float[Array, "n *space c"],
    window: Sequence[int],
    *,
    strides: Sequence[int] | None = None,
    padding: Sequence[tuple[int, int]] | None = None,
    dilation: Sequence[int] | None = None,
) -> Float[Array, "n *positions q"]:
    r"""The patches that a convolution multiplies with its filters, one for each output position.

    q = (entries of the window) c, in the order of filters of shape (*window, c, outputs). `padding` adds zeros
    (before, after) each axis and may be negative; `strides` and `dilation` are those of
    `jax.lax.conv_general_dilated` (`rhs_dilation`). They default to 1, and to no padding.
    """
    axes = range(len(window))
    strides = strides or [1 for _ in axes]
    dilation = dilation or [1 for _ in axes]
    if padding is not None:
        config = [(0, 0, 0), *((before, after, 0) for before, after in padding), (0, 0, 0)]
        x = lax.pad(x, jnp.zeros((), x.dtype), config)
    span = [(window[a] - 1) * dilation[a] + 1 for a in axes]
    stops = [(x.shape[a + 1] - span[a]) // strides[a] * strides[a] + 1 for a in axes]
    pieces = []
    for shift in product(*(range(w) for w in window)):
        begin = [0, *(shift[a] * dilation[a] for a in axes), 0]
        end = [x.shape[0], *(begin[a + 1] + stops[a] for a in axes), x.shape[-1]]
        pieces.append(lax.slice(x, begin, end, [1, *strides, 1]))
    return jnp.concatenate(pieces, axis=-1)


def convolve(x: Float[Array, "n h w c"], filters: Float[Array, "a b c m"]) -> Float[Array, "n h w m"]:
    r"""The convolution with stride 1 and zeros around the image, so that its size stays (filters of odd size).

    $z_{yx} = \sum_{\delta} x_{(y,x)+\delta}\, W_\delta$, a cross-correlation as in every deep learning library. Up to
    `FEW_PIXELS` pixels it is computed as a product of patches and filters, which is a hundred times faster there.
    """
    dtype = jnp.result_type(x, filters)
    x, filters = x.astype(dtype), filters.astype(dtype)
    if x.shape[1] * x.shape[2] > FEW_PIXELS:
        return lax.conv_general_dilated(x, filters, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    window = filters.shape[:2]
    padding = [((size - 1) // 2, size // 2) for size in window]
    return extract_patches(x, window, padding=padding) @ filters.reshape(-1, filters.shape[-1])


def pool(x: Float[Array, "n h w c"], kind: str) -> Float[Array, "n h2 w2 c"]:
    """Maxima or averages of 2 x 2 squares of pixels; an odd last row or column is dropped.

    An image that is one pixel high or wide is returned as it is.
    """
    n, h, w, c = x.shape
    if h < 2 or w < 2:
        return x
    squares = x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c)
    return jnp.max(squares, axis=(2, 4)) if kind == "max" else jnp.mean(squares, axis=(2, 4))


class Convolutional(Function):
    """The network built by `convolutional` and `vgg11`."""

    layers: tuple[int | str, ...] = eqx.field(static=True)
    activation: Activation
    pooling: str = eqx.field(static=True)

    def __call__(self, params: PyTree, x: Float[RealArray, "n h w c"]) -> Float[Array, "n k"]:
        y, parts = jnp.asarray(x), iter(params["convolutions"])
        for layer in self.layers:
            if layer == POOL:
                y = pool(y, self.pooling)
            else:
                part = next(parts)
                y = self.activation(convolve(y, part["filters"]) + part["bias"][None, None, None])
        return y.reshape(y.shape[0], -1) @ params["output"]["weights"] + params["output"]["bias"][None]


def convolutional(
    layers: Sequence[int | str], *, pooling: str = "max", activation: str | Activation = "relu"
) -> Convolutional:
    r"""A network of 3 x 3 convolutions and 2 x 2 poolings, and one linear layer on all that is left of the image.

    `layers` lists numbers of channels and "pool", in order. Each convolution keeps the image's size, adds a bias
    per channel and applies the activation. Images of any size fit: pooling stops at one pixel.
    Draw the parameters with `init_convolutional`. Raises `ValueError` for a layer that is neither a positive
    integer nor "pool", a `pooling` that is neither "max" nor "average", or an unknown activation.
    """
    for layer in layers:
        if layer != POOL and not (isinstance(layer, int) and layer > 0):
            raise ValueError(f"layers: expected positive numbers of channels and {POOL!r}, got {layer!r}")
    if pooling not in POOLINGS:
        raise ValueError(f"pooling: expected one of {POOLINGS}, got {pooling!r}")
    return Convolutional(tuple(layers), activation_function(activation), pooling)


def vgg11(*, width: float | int = 1.0, pooling: str = "max", activation: str | Activation = "relu") -> Convolutional:
    r"""VGG-11 for small images: eight convolutions, up to 512 channels, five poolings, one linear layer.

    `width` multiplies each number of channels (rounded, at least 1): 8 is the widened network of the paper's
    Figure 3(b). The paper does not say which pooling it uses; the authors' code takes maxima. There is no batch
    normalization. Raises `ValueError` as `convolutional`, or for a width that is not positive.
    Source: chizat2019lazy, Section 3.2.
    """
    if not width > 0:
        raise ValueError(f"width: expected a positive factor of the numbers of channels, got {width}")
    layers = [c if isinstance(c, str) else max(1, round(c * width)) for c in VGG11]
    return convolutional(layers, pooling=pooling, activation=activation)


def init_convolutional(
    key: AnyKey, f: Convolutional, shape: Sequence[int] = (32, 32, 3), k: int = 10, *, gain: Scalar = 1.0
) -> dict[str, Any]:
    r"""Xavier-normal weights and zero biases for `convolutional`: images of `shape`, k outputs.

    The variance is gain$^2 \cdot 2 / (\text{fan in} + \text{fan out})$, the fans of a filter being its number of pixels
    times its channels in and out. Returns `{"convolutions": [{"filters": (3, 3, c, m), "bias": (m,)}, ...],
    "output": {"weights": (features, k), "bias": (k,)}}`. Raises `ValueError` if `shape` is not (h, w, c) with
    positive entries, or k is not positive.
    Source: chizat2019lazy, Section 3.2 (the authors' code sets gain = 2 where it computes kernel spectra).
    """
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"shape: expected one image's (height, width, channels), all positive, got {tuple(shape)}")
    if k < 1:
        raise ValueError(f"k: expected a positive number of outputs, got {k}")
    h, w, c = shape
    parts = []
    keys = iter(jax.random.split(key, len(f.layers) + 1))
    for layer in f.layers:
        if isinstance(layer, int):
            filters = _xavier(next(keys), (3, 3, c, layer), 9 * c, 9 * layer, gain)
            parts.append({"filters": filters, "bias": jnp.zeros(layer)})
            c = layer
        elif min(h, w) > 1:
            h, w = h // 2, w // 2
    weights = _xavier(next(keys), (h * w * c, k), h * w * c, k, gain)
    return {"convolutions": parts, "output": {"weights": weights, "bias": jnp.zeros(k)}}


def _xavier(key: AnyKey, shape: tuple[int, ...], fan_in: int, fan_out: int, gain: Scalar) -> Array:
    deviation = jnp.asarray(gain) * (2.0 / (fan_in + fan_out)) ** 0.5
    return deviation * jax.random.normal(key, shape, dtype=float)
