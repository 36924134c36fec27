r"""Angles between vectors without lost digits: the arithmetic under the closed-form kernels.

An angle $\varphi \in [0, \pi]$ is carried as $\delta = 1 - \cos\varphi$, never as a cosine near 1. Two functions of it
are needed: $\varphi = \arccos(1-\delta)$ and its integral
$\int_0^\delta\varphi = \sin\varphi - \varphi\cos\varphi$. XLA's arccosine is slow on a CPU, so both are a square root
times a polynomial, whose degree depends on the precision.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

# Degrees that reach the rounding of each precision on 0 <= delta <= 1.
DEGREES = {"float32": 7, "float64": 18}
# Below this value of 1 - |cos| a product of rounded vectors has lost too many digits, and differences are taken.
NEARLY_PARALLEL = {"float32": 1e-3, "float64": 1e-5}
# A length whose square is still a normal number.
TINY = {"float32": 1e-18, "float64": 1e-150}


def _series(power: float) -> Callable[[np.ndarray], np.ndarray]:
    r"""$\delta^{-1/2}\varphi$ for power 0, $\delta^{-3/2}\int_0^\delta\varphi$ for power 3/2: series around 0."""
    k = np.arange(64)
    central = np.cumprod(np.concatenate([[1.0], (2 * k[1:] - 1) / (4 * k[1:])]))  # (2k choose k) / 8^k
    coefficients = np.sqrt(2.0) * central / (2 * k + 1) / (k + power if power else 1.0)
    return lambda delta: np.polynomial.polynomial.polyval(delta, coefficients)


def _near_minimax(power: float, degree: int) -> np.ndarray:
    """Coefficients, highest first, of the Chebyshev interpolant of `_series`, in s = 2 delta - 1."""
    series = _series(power)
    fitted: np.ndarray = np.polynomial.chebyshev.chebinterpolate(lambda s: series((s + 1) / 2), degree)
    return np.polynomial.chebyshev.cheb2poly(fitted)[::-1]


def angle_coefficients(degree: int) -> np.ndarray:
    r"""Coefficients, highest first, in $s = 2\delta - 1$, of a polynomial near $\varphi/\sqrt\delta$ on [0, 1]."""
    return _near_minimax(0.0, degree)


_ANGLE = {dtype: angle_coefficients(degree) for dtype, degree in DEGREES.items()}
_INTEGRAL = {dtype: _near_minimax(1.5, degree) for dtype, degree in DEGREES.items()}


def _horner(coefficients: np.ndarray, x: Array) -> Array:
    value = jnp.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        value = value * x + jnp.asarray(coefficient, x.dtype)
    return value


def safe_sqrt(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The square root of x >= 0 with the derivative 0 at 0, the mean over the two sides of a kink."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, jnp.ones_like(x))), jnp.zeros_like(x))


@jax.custom_jvp
def angle(delta: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""$\varphi = \arccos(1-\delta)$ for $0 \le \delta \le 1$; the derivative at 0 is set to 0."""
    return safe_sqrt(delta) * _horner(_ANGLE[str(delta.dtype)], 2 * delta - 1)


@angle.defjvp
def _angle_slope(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (delta,), (change,) = primals, tangents
    positive = delta > 0
    sine = jnp.sqrt(jnp.where(positive, delta * (2 - delta), jnp.ones_like(delta)))
    return angle(delta), jnp.where(positive, change / sine, jnp.zeros_like(change))


@jax.custom_jvp
def angle_integral(delta: Float[Array, "..."]) -> Float[Array, "..."]:
    r"""$\int_0^\delta\varphi = \sin\varphi - \varphi\cos\varphi$ for $0 \le \delta \le 1$, exact near 0."""
    return delta * safe_sqrt(delta) * _horner(_INTEGRAL[str(delta.dtype)], 2 * delta - 1)


@angle_integral.defjvp
def _angle_integral_slope(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (delta,), (change,) = primals, tangents
    return angle_integral(delta), angle(delta) * change


def arcsine(s: Float[Array, "..."], least: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    r"""$\arcsin s$ and $\sqrt{1-s^2}$, where $1 - |s|$ is known to be at least `least` > 0."""
    negative = s < 0
    delta = jnp.maximum(1 - jnp.where(negative, -s, s), least)
    value = np.pi / 2 - angle(delta)
    return jnp.where(negative, -value, value), jnp.sqrt(delta * (2 - delta))


class Cosines(NamedTuple):
    r"""$1 - \cos$ and $1 + \cos$ of the angles between two sets of vectors, both to full precision."""

    minus: Float[Array, "n1 n2"]
    plus: Float[Array, "n1 n2"]


def lengths_and_directions(x: Float[Array, "n d"]) -> tuple[Float[Array, " n"], Float[Array, "n d"]]:
    """The norms of the rows, and the rows divided by them.

    A zero row keeps a length beyond all digits, so that length times direction has the derivative of x there too.
    """
    length = jnp.sqrt(jnp.sum(x**2, axis=1) + jnp.asarray(TINY[str(x.dtype)], x.dtype) ** 2)
    return length, x / length[:, None]


@jax.checkpoint
def _half_squares(u: Array, v: Array) -> Array:
    """Half the squared distances of the rows, one coordinate after the other to hold no (n1, n2, d) array."""

    def add(total: Array, at: Any) -> tuple[Array, None]:
        return total + (at[0][:, None] - at[1][None, :]) ** 2 / 2, None

    return jax.lax.scan(add, jnp.zeros((u.shape[0], v.shape[0]), u.dtype), (u.T, v.T))[0]


def cosines(u: Float[Array, "n1 d"], v: Float[Array, "n2 d"], same: Bool[Array, "n1 n2"]) -> Cosines:
    r"""$1 \mp \langle u_i, v_j\rangle$ for unit rows; `same` marks the pairs that are one vector, where 0 is returned.

    The product of matrices gives the cosine with the absolute error of its rounding, so an angle near 0 or $\pi$
    would lose half of its digits. There $\|u \mp v\|^2/2$ is taken, for the whole tile, if it has such pairs.
    """
    cosine = u @ v.T
    near = jnp.asarray(NEARLY_PARALLEL[str(u.dtype)], u.dtype)
    lost = jnp.max(jnp.where(same, jnp.zeros_like(cosine), jnp.abs(cosine))) > 1 - near
    minus, plus = jax.lax.cond(
        lost,
        lambda: (_half_squares(u, v), _half_squares(u, -v)),
        lambda: (1 - cosine, 1 + cosine),
    )
    return Cosines(jnp.where(same, jnp.zeros_like(minus), minus), plus)
