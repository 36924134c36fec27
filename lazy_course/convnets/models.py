"""The networks of the chapter beside VGG-11: ResNet-18 without normalization, and a small net for MNIST-1D.

VGG-11 and its initialization are shared (`convolutional`). All of them have `activation` as a field, so that
`activations.py` can look at the gates of any of them.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree

from lazy_course.convolutional import FEW_PIXELS, Convolutional, extract_patches
from lazy_course.models import Activation, AnyKey, Function, RealArray, Scalar, activation_function

STAGES = (64, 128, 256, 512)
BLOCKS = 2  # residual blocks a stage
JOIN = 0.5**0.5
# Window, stride and padding of the convolutions over a sequence: 40 -> 20 -> 10 -> 5 positions.
SEQUENCE = ((5, 2, 1), (3, 2, 1), (3, 2, 1))


def xavier(key: AnyKey, shape: Sequence[int], *, gain: Scalar = 1.0) -> Array:
    r"""Normal weights of variance gain$^2 \cdot 2 / (\text{fan in} + \text{fan out})$ for filters or a matrix.

    `shape` is (*window, channels in, channels out); the fans are the window's entries times the channels.
    """
    window = 1
    for size in shape[:-2]:
        window *= size
    deviation = jnp.asarray(gain) * (2.0 / (window * (shape[-2] + shape[-1]))) ** 0.5
    return deviation * jax.random.normal(key, tuple(shape), dtype=float)


def strided(x: Float[Array, "n h w c"], filters: Float[Array, "a b c m"], stride: int) -> Float[Array, "n h2 w2 m"]:
    """A convolution of odd windows with zeros around the image that keeps every `stride`-th position from the first."""
    window = filters.shape[:2]
    padding = [(size // 2, size // 2) for size in window]
    if x.shape[1] * x.shape[2] > FEW_PIXELS:
        return lax.conv_general_dilated(
            x, filters, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
    patches = extract_patches(x, window, padding=padding, strides=(stride, stride))
    return patches @ filters.reshape(-1, filters.shape[-1])


class ResNet18(Function):
    """The network built by `resnet18`."""

    width: float = eqx.field(static=True)
    activation: Activation

    def __call__(self, params: PyTree, x: Float[RealArray, "n h w c"]) -> Float[Array, "n k"]:
        y = self.activation(_layer(params["stem"], jnp.asarray(x), 1))
        for stage, blocks in enumerate(params["stages"]):
            for place, block in enumerate(blocks):
                stride = 2 if stage > 0 and place == 0 else 1
                branch = self.activation(_layer(block["first"], y, stride))
                branch = _layer(block["second"], branch, 1)
                shortcut = _layer(block["shortcut"], y, stride) if "shortcut" in block else y
                y = self.activation(JOIN * (shortcut + branch))
        features = jnp.mean(y, axis=(1, 2))
        return features @ params["output"]["weights"] + params["output"]["bias"][None]


def _layer(part: PyTree, x: Array, stride: int) -> Array:
    return strided(x, part["filters"], stride) + part["bias"][None, None, None]


def resnet18(*, width: float | int = 1.0, activation: str | Activation = "relu") -> ResNet18:
    r"""ResNet-18 for small images: a 3 x 3 stem, four stages of two blocks, a global average, one linear layer.

    There is **no batch normalization**. In training mode it makes each output depend on the whole batch, and then
    there is no f(w, x) whose tangent kernel or linearization one could take; frozen at its initial statistics (mean
    0, variance 1) it is the identity, so leaving it out is the frozen version. What it did for the sizes is done by
    the factor $1/\sqrt2$ at each join of branch and shortcut, which keeps the variance of a sum of two.
    Where channels or size change the shortcut is a 1 x 1 convolution. `width` multiplies the channels: 7 is the
    network of Figure 3(b). Raises `ValueError` for a width that is not positive. Source: chizat2019lazy, Section 3.2.
    """
    if not width > 0:
        raise ValueError(f"width: expected a positive factor of the numbers of channels, got {width}")
    return ResNet18(float(width), activation_function(activation))


def init_resnet18(key: AnyKey, f: ResNet18, channels: int = 3, k: int = 10, *, gain: Scalar = 1.0) -> dict[str, Any]:
    r"""Xavier-normal weights and zero biases for `resnet18`: images of `channels` channels, k outputs.

    Raises `ValueError` if `channels` or k is not positive. Source: chizat2019lazy, Section 3.2.
    """
    for name, value in (("channels", channels), ("k", k)):
        if value < 1:
            raise ValueError(f"{name}: expected a positive integer, got {value}")
    keys = iter(jax.random.split(key, 2 + 3 * BLOCKS * len(STAGES)))
    widths = [max(1, round(c * f.width)) for c in STAGES]

    def part(window: int, before: int, after: int) -> dict[str, Array]:
        return {"filters": xavier(next(keys), (window, window, before, after), gain=gain), "bias": jnp.zeros(after)}

    stem, before, stages = part(3, channels, widths[0]), widths[0], []
    for stage, after in enumerate(widths):
        blocks = []
        for place in range(BLOCKS):
            block = {"first": part(3, before, after), "second": part(3, after, after)}
            if place == 0 and (before != after or stage > 0):
                block["shortcut"] = part(1, before, after)
            blocks.append(block)
            before = after
        stages.append(blocks)
    output = {"weights": xavier(next(keys), (before, k), gain=gain), "bias": jnp.zeros(k)}
    return {"stem": stem, "stages": stages, "output": output}


class Sequence1D(Function):
    """The network built by `sequence_net`."""

    channels: int = eqx.field(static=True)
    activation: Activation

    def __call__(self, params: PyTree, x: Float[RealArray, "n length"]) -> Float[Array, "n k"]:
        features = self.features(params, x)
        return features @ params["output"]["weights"] + params["output"]["bias"][None]

    def features(self, params: PyTree, x: Float[RealArray, "n length"]) -> Float[Array, "n q"]:
        """What the last, linear layer sees."""
        y = jnp.asarray(x)[:, :, None]
        for part, (window, stride, padding) in zip(params["convolutions"], SEQUENCE, strict=True):
            patches = extract_patches(y, (window,), strides=(stride,), padding=[(padding, padding)])
            y = self.activation(patches @ part["filters"].reshape(-1, self.channels) + part["bias"][None, None])
        return y.reshape(y.shape[0], -1)


def sequence_net(*, channels: int = 25, activation: str | Activation = "relu") -> Sequence1D:
    r"""Three convolutions over a sequence (windows 5, 3, 3, stride 2) and one linear layer: the net of MNIST-1D.

    Raises `ValueError` if `channels` is not positive. Source: greydanus2024scaling (its convolutional baseline).
    """
    if channels < 1:
        raise ValueError(f"channels: expected a positive integer, got {channels}")
    return Sequence1D(channels, activation_function(activation))


def init_sequence_net(
    key: AnyKey, f: Sequence1D, length: int = 40, k: int = 10, *, gain: Scalar = 1.0
) -> dict[str, Any]:
    r"""Xavier-normal weights and zero biases for `sequence_net`: sequences of `length` numbers, k outputs.

    Raises `ValueError` for a length below 8, which the strides use up, or if k is not positive.
    """
    if length < 8:
        raise ValueError(f"length: expected 8 or more, got {length}; three strides of 2 leave nothing of less")
    if k < 1:
        raise ValueError(f"k: expected a positive number of outputs, got {k}")
    keys = jax.random.split(key, len(SEQUENCE) + 1)
    parts, before = [], 1
    for drawn, (window, stride, padding) in zip(keys[:-1], SEQUENCE, strict=True):
        parts.append({"filters": xavier(drawn, (window, before, f.channels), gain=gain), "bias": jnp.zeros(f.channels)})
        before, length = f.channels, (length + 2 * padding - window) // stride + 1
    output = {"weights": xavier(keys[-1], (length * before, k), gain=gain), "bias": jnp.zeros(k)}
    return {"convolutions": parts, "output": output}


Layered = Convolutional | ResNet18 | Sequence1D
