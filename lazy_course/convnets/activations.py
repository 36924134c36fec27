r"""The gates of a ReLU network, how many of them training leaves as they were, and smooth twins."""

import dataclasses
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from lazy_course.convnets.models import Layered
from lazy_course.models import Activation, RealArray, Scalar

Network = TypeVar("Network", bound=Layered)


def with_activation(f: Network, activation: Activation) -> Network:
    """The same network with another activation; it takes the same parameters."""
    return dataclasses.replace(f, activation=activation)


def kink_share(f: Network, params: PyTree, x: Float[RealArray, "n ..."]) -> Float[Array, ""]:
    r"""The share of pre-activations that are exactly 0, a mean over layers.

    Where all inputs of a unit are off its pre-activation is its bias, and with zero biases that is the kink itself. A
    ReLU network is not differentiable there: its first-order model depends on the side, however large $\alpha$ is.
    """
    positive = gates(f, params, x)
    negative = gates(f, params, x, below=True)
    return jnp.mean(jnp.stack([jnp.mean(~(up | down)) for up, down in zip(positive, negative, strict=True)]))


def gates(
    f: Network, params: PyTree, x: Float[RealArray, "n ..."], *, below: bool = False
) -> list[Bool[Array, "n ..."]]:
    r"""The signs $z > 0$ of the pre-activations (`below`: $z < 0$), one array (n, ...) for each layer, in order."""
    seen: list[Array] = []
    inner = f.activation

    def looking(z: Array) -> Array:
        seen.append(z < 0 if below else z > 0)
        return inner(z)

    with_activation(f, looking)(params, x)
    return seen


def activation_stability(f: Network, params0: PyTree, params: PyTree, x: Float[RealArray, "n ..."]) -> Float[Array, ""]:
    r"""The share of gates with the same sign at both parameters, a mean over layers, in [0, 1].

    $s_\ell = \frac{1}{n\,n_\ell} \#\{(i, j) : \mathrm{sign}\, z^\ell_{ij}(w) = \mathrm{sign}\, z^\ell_{ij}(w_0)\}$ and
    the result is the mean of the $s_\ell$; x are test inputs. Zero counts as negative.
    Source: chizat2019lazy, Section C.2.
    """
    pairs = zip(gates(f, params0, x), gates(f, params, x), strict=True)
    return jnp.mean(jnp.stack([jnp.mean(before == after) for before, after in pairs]))


def softplus(sharpness: Scalar) -> Activation:
    r"""The smooth stand-in $\log(1 + e^{bz})/b$ of the ReLU, b = `sharpness`: above it by at most $\log(2)/b$.

    Raises `ValueError` if the sharpness is not positive.
    """
    if not sharpness > 0:
        raise ValueError(f"sharpness: expected a positive number, got {sharpness}")
    return lambda z: jax.nn.softplus(sharpness * z) / sharpness
