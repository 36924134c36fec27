r"""The bounds of the chapter as functions of the constants: what the theorems promise, at every flow time.

Notation of the docstrings: $\ell$ = Lip(h) and $L$ = Lip(Dh) on a ball around $w_0$, $S = \|Dh(w_0)\|$,
$M$ = Lip($\nabla R$), $E_0 = R(y(0)) - \inf R$; for the square loss $D = \|y(0) - y^\star\|$ and
$K = t\,\ell^2$. All bounds are *scaled*: they bound $\alpha\|w_\alpha - w_0\|$, $\alpha\|y - \bar y\|$ and
$\alpha^2\|w_\alpha - \bar w_\alpha\|$, which is why alpha is in none of them. They hold as long as the flow
cannot leave the ball (`required_alpha`).
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from lazy_course.models import RealArray

Values = Float[RealArray, "..."]
Number = float | Values


class Constants(NamedTuple):
    r"""Constants of a problem: S, $\ell$ and L of the model on a ball of radius `radius`, M and $E_0$ of the loss.

    Every entry is a number, or an array of one entry a problem with a last axis of length 1 for time.
    For the square loss $M = 1$ and $D = \sqrt{2 E_0}$.
    """

    jacobian_norm: Number
    lipschitz: Number
    lipschitz_differential: Number
    smoothness: Number
    energy: Number
    radius: Number

    @property
    def distance(self) -> Values:
        r"""$D = \|y(0) - y^\star\| = \sqrt{2 E_0}$: meant for the square loss only."""
        return jnp.sqrt(2 * jnp.asarray(self.energy))


def iterations(c: Constants, time: Number) -> Values:
    r"""$K = t\,\ell^2$: flow time counted in gradient steps of size $1/\ell^2$."""
    return jnp.asarray(time) * jnp.asarray(c.lipschitz) ** 2


def travel_bound(c: Constants, time: Number) -> Values:
    r"""$\alpha\|w_\alpha(t) - w_0\| \le \sqrt{t E_0}$, any loss bounded below. Source: chizat2019lazy, B.1."""
    return jnp.sqrt(jnp.asarray(time) * c.energy)


def square_travel_bound(c: Constants, time: Number) -> Values:
    r"""Square loss: $\alpha\|w_\alpha(t) - w_0\| \le K D/\ell = t\,\ell D$. Source: chizat2019lazy, B.2, step 1."""
    return iterations(c, time) * c.distance / c.lipschitz


def required_alpha(c: Constants, time: Number) -> Values:
    r"""Square loss: $K D/(r \ell)$, the least alpha for which Theorem 2.3 is stated."""
    return square_travel_bound(c, time) / c.radius


def gronwall_constants(c: Constants, time: Number) -> tuple[Values, Values]:
    r"""$C_1 = 2 \ell L \sqrt{2 M E_0}\,\sqrt{T E_0}$ and $C_2 = M S^2$ of Gronwall's inequality on [0, T]."""
    gradient = jnp.sqrt(2 * jnp.asarray(c.smoothness) * c.energy)
    first = 2 * jnp.asarray(c.lipschitz) * c.lipschitz_differential * gradient * travel_bound(c, time)
    return first, jnp.asarray(c.smoothness) * jnp.asarray(c.jacobian_norm) ** 2


def general_output_bound(c: Constants, time: Number) -> Values:
    r"""Theorem 2.2: $\alpha\|y - \bar y\|(T) \le (C_1/C_2)(e^{C_2 T} - 1)$, any loss with Lipschitz gradient."""
    first, rate = gronwall_constants(c, time)
    return first / rate * jnp.expm1(rate * jnp.asarray(time))


def general_parameter_bound(c: Constants, time: Number) -> Values:
    r"""Theorem 2.2: $\tfrac23 L G \sqrt{E_0} T^{3/2} + S M \tfrac{C_1}{C_2}((e^{C_2 T} - 1)/C_2 - T)$.

    Here $G = \sqrt{2 M E_0}$.
    """
    t = jnp.asarray(time)
    first, rate = gronwall_constants(c, time)
    gradient = jnp.sqrt(2 * jnp.asarray(c.smoothness) * c.energy)
    turned = 2 / 3 * jnp.asarray(c.lipschitz_differential) * gradient * jnp.sqrt(c.energy) * t**1.5
    return turned + jnp.asarray(c.jacobian_norm) * c.smoothness * first / rate * (jnp.expm1(rate * t) / rate - t)


def convex_parameter_bound(c: Constants, time: Number) -> Values:
    r"""Convex loss: $L E_0 (\tfrac23\sqrt{2M}\, T^{3/2} + \tfrac14 M S\, T^2)$. Source: this course."""
    t = jnp.asarray(time)
    growth = 2 / 3 * jnp.sqrt(2 * jnp.asarray(c.smoothness)) * t**1.5 + c.smoothness * c.jacobian_norm * t**2 / 4
    return jnp.asarray(c.lipschitz_differential) * c.energy * growth


def convex_output_bound(c: Constants, time: Number) -> Values:
    r"""Convex loss: $\tfrac12 L E_0 T + S$ times `convex_parameter_bound`. Source: this course."""
    bent = 0.5 * jnp.asarray(c.lipschitz_differential) * travel_bound(c, time) ** 2
    return bent + jnp.asarray(c.jacobian_norm) * convex_parameter_bound(c, time)


def square_output_bound(c: Constants, time: Number) -> Values:
    r"""Theorem 2.3: $K^2 L D^2/\ell^2$, square loss."""
    return iterations(c, time) ** 2 * _output_unit(c)


def square_parameter_bound(c: Constants, time: Number) -> Values:
    r"""Square loss: $K^2 (\tfrac12 + \tfrac K3) L D^2/\ell^3$. Source: chizat2019lazy, B.2, mended."""
    k = iterations(c, time)
    return k**2 * (0.5 + k / 3) * _output_unit(c) / c.lipschitz


def contraction_parameter_bound(c: Constants, time: Number) -> Values:
    r"""Square loss: $K^2 (\tfrac12 + \tfrac K6) L D^2/\ell^3$. Source: this course."""
    k = iterations(c, time)
    return k**2 * (0.5 + k / 6) * _output_unit(c) / c.lipschitz


def sharper_output_bound(c: Constants, time: Number) -> Values:
    r"""Square loss: $K^2$ of Theorem 2.3 becomes $\tfrac{2\sqrt2}3 K^{3/2} - \tfrac1{12}$ from $K = \tfrac12$ on."""
    k = iterations(c, time)
    late = 2 * jnp.sqrt(2.0) / 3 * k**1.5 - 1 / 12
    return jnp.where(k < 0.5, k**2, late) * _output_unit(c)


def sharper_parameter_bound(c: Constants, time: Number) -> Values:
    r"""Square loss, $K \ge \tfrac12$: $\tfrac{\sqrt2}3 K^{3/2} + \tfrac18 K^2 - \tfrac5{96}$. Source: this course."""
    k = iterations(c, time)
    late = jnp.sqrt(2.0) / 3 * k**1.5 + k**2 / 8 - 5 / 96
    return jnp.where(k < 0.5, k**2 * (0.5 + k / 6), late) * _output_unit(c) / c.lipschitz


def self_consistent_lipschitz(
    jacobian_norm: Number, lip_dh: Number, distance: Number, alpha: Number, k: Number
) -> Values:
    r"""$\ell = S + L r$ for the radius with $r \ell = k D/\alpha$: $\tfrac S2 (1 + \sqrt{1 + 4 k L D/(\alpha S^2)})$.

    For a model whose Dh is L-Lipschitz everywhere: with this ball Theorem 2.3 asks nothing of alpha.
    """
    s = jnp.asarray(jacobian_norm)
    return s / 2 * (1 + jnp.sqrt(1 + 4 * jnp.asarray(k) * lip_dh * distance / (alpha * s**2)))


def generalization_bound(slope: Number, curvature: Number, travel: Number, gap: Number) -> Values:
    r"""Prop. A.1 repaired: $M_1 c_1 + \tfrac12 M_2 c_0^2$ bounds $\alpha$ times the gap at new points.

    `slope` is $M_1$, `curvature` $M_2$; `travel` is $c_0 \ge \alpha\|w_\alpha - w_0\|$, and `gap` is
    $c_1 \ge \alpha^2\|w_\alpha - \bar w_\alpha\|$.
    """
    return jnp.asarray(slope) * gap + 0.5 * jnp.asarray(curvature) * jnp.asarray(travel) ** 2


def _output_unit(c: Constants) -> Values:
    r"""$L D^2/\ell^2$."""
    return jnp.asarray(c.lipschitz_differential) * c.distance**2 / jnp.asarray(c.lipschitz) ** 2
