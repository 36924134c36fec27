r"""Deeper diagonal networks $\langle w_+^D - w_-^D, x\rangle$ and uneven starts $w_\pm = \alpha s$: their potentials.

For D > 2 the flow keeps $w_\pm^{2-D} = \alpha^{2-D}(s^{2-D} \mp z)$ with $z = X^\top\nu$, so

$$\beta = \alpha^D\bigl((\kappa_+ - z)^{-p} - (\kappa_- + z)^{-p}\bigr), \qquad p = \frac{D}{D-2},\quad
  \kappa_\pm = s_\pm^{2-D},$$

which is $\alpha^D h_D(z)$ for s = 1, and z runs in $(-\kappa_-, \kappa_+)$ only. The dual is solved by damped Newton
steps: with $M = \max|x_j^\top\delta|/\text{distance to the end of the interval}$, the part
$t = (1 - (1 + pM)^{-1/p})/M$ of a step $\delta$ stays inside and lowers the dual, since along the step the second
derivative is at most $(1 - tM)^{-p-1}$ times what it was (derivation_depth.damped_step).
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course import models
from lazy_course.implicit_bias.dual import EPS, RowSpace, require_scales, row_space, solve_rows
from lazy_course.implicit_bias.numerics import q as q_of_two
from lazy_course.models import RealArray, Scalar

MOST_STEPS = 400
NODES, WEIGHTS = (jnp.asarray(entry) for entry in np.polynomial.legendre.leggauss(12))


def _powers(z: Array, plus: Array, minus: Array, power: Array) -> tuple[Array, Array, Array]:
    """(plus - z)^-power - (minus + z)^-power without cancellation, and both terms."""
    up, down = -power * jnp.log1p(-z / plus), -power * jnp.log1p(z / minus)
    a, b = plus**-power, minus**-power
    return (a - b) + (a * jnp.expm1(up) - b * jnp.expm1(down)), a * jnp.exp(up), b * jnp.exp(down)


def require_depth(depth: Scalar) -> Array:
    """The depth as an array; raises `ValueError` unless it is finite and above 2."""
    if not (np.ndim(depth) == 0 and np.isfinite(depth) and depth > 2):
        raise ValueError(f"depth: expected a finite number above 2, got {depth}; depth 2 is in numerics.py")
    return jnp.asarray(depth, dtype=float)


@eqx.filter_jit
def _link(z: Array, depth: Array) -> Array:
    return _powers(z, jnp.ones(()), jnp.ones(()), depth / (depth - 2))[0]


def link(z: RealArray | Scalar, depth: Scalar) -> Float[Array, "..."]:
    r"""$h_D(z) = (1-z)^{-D/(D-2)} - (1+z)^{-D/(D-2)}$ on (-1, 1), entry by entry, without cancellation at small z.

    Raises `ValueError` unless D > 2. Source: woodworth2020kernel, Theorem 3.
    """
    return _link(jnp.asarray(z, dtype=float), require_depth(depth))


@eqx.filter_jit
def _inverse(b: Array, depth: Array) -> Array:
    power = depth / (depth - 2)
    size = jnp.maximum(jnp.abs(b), 1e-290)  # the sign makes 0 of it where b = 0

    def step(_: Array, s: Array) -> Array:
        far, near = -jnp.log(-jnp.expm1(s)), jnp.log1p(jnp.exp(s))  # -ln(1 - z), ln(1 + z)
        value = jnp.expm1(power * far) - jnp.expm1(-power * near)
        slope = power * (jnp.exp((power + 1) * far + s) + jnp.exp(s - (power + 1) * near)) / value
        return s - (jnp.log(value) - jnp.log(size)) / slope

    # h_D(z) > (1 - z)^-p - 1 gives a start on the right; ln z from -ln(1 - z), by the formula that keeps its digits.
    above = jnp.log1p(size) / power
    start = jnp.where(above < 0.7, jnp.log(-jnp.expm1(-above)), jnp.log1p(-jnp.exp(-above)))
    return jnp.sign(b) * jnp.exp(jax.lax.fori_loop(0, 40, step, start))


def inverse_link(b: RealArray | Scalar, depth: Scalar) -> Float[Array, "..."]:
    r"""The z in (-1, 1) with $h_D(z) = b$: the derivative of $q_D$, entry by entry. Raises `ValueError` unless D > 2.

    Newton's method for $\ln h_D$ as a function of $\ln z$. The power series of $h_D$ has no negative coefficient, so
    this function is convex, and from the right the iteration falls onto the root.
    """
    return _inverse(jnp.asarray(b, dtype=float), require_depth(depth))


@eqx.filter_jit
def _q(b: Array, depth: Array) -> Array:
    z, rest = _inverse(b, depth), depth - 2
    closed = rest / 2 * (jnp.expm1(-2 / rest * jnp.log1p(-z)) + jnp.expm1(-2 / rest * jnp.log1p(z)))
    short = jnp.minimum(z, 0.1)
    series = short * (_link(jnp.einsum("...,n->...n", short, (1 + NODES) / 2), depth) @ WEIGHTS) / 2
    return b * z - jnp.where(z < 0.1, series, closed)


def q(b: RealArray | Scalar, depth: Scalar) -> Float[Array, "..."]:
    r"""$q_D(b) = \int_0^b h_D^{-1}$, by the inverse of its derivative: $q_D(b) = bz - \int_0^z h_D$ at $h_D(z) = b$.

    Entry by entry; even and convex. The integral is in closed form, $\frac{D-2}{2}((1-z)^{-2/(D-2)} +
    (1+z)^{-2/(D-2)} - 2)$, or by Gauss nodes where that would cancel. Raises `ValueError` unless D > 2.
    Source: woodworth2020kernel, Theorem 3.
    """
    return _q(jnp.abs(jnp.asarray(b, dtype=float)), require_depth(depth))


def potential(
    beta: Float[RealArray, "... d"], alpha: Scalar, depth: Scalar = 2, shape: Float[RealArray, " d"] | None = None
) -> Float[Array, "..."]:
    r"""$Q_{\alpha,s,D}(\beta) = \sum_i s_i^2\, q_D(\beta_i/(\alpha s_i)^D)$, with $q_2 = q$; s = 1 if it is not given.

    Its slope is $\alpha^{-D}$ times a row of $X^\top\nu$ at the limit of the flow from $w_\pm = \alpha s$.
    Raises `ValueError` for depth below 2, alpha or a shape that is not positive.
    """
    entries, scale = jnp.asarray(beta, dtype=float), require_scales(alpha)
    s = jnp.ones(entries.shape[-1]) if shape is None else _require_shape(shape, entries.shape[-1])[0]
    s = jnp.broadcast_to(s, entries.shape)
    if float(depth) == 2:
        return jnp.sum(s**2 * q_of_two(entries / (scale * s) ** 2), axis=-1)
    return jnp.sum(s**2 * q(entries / (scale * s) ** require_depth(depth), depth), axis=-1)


def _require_shape(shape: RealArray | None, d: int) -> tuple[Array, Array]:
    both = models.init_diagonal(d, 1.0, shape)
    if not bool(jnp.all((both["plus"] > 0) & (both["minus"] > 0))):
        raise ValueError("shape: expected positive entries; a weight that starts at 0 stays there")
    return both["plus"], both["minus"]


@eqx.filter_jit
def _solve(rows: Array, target: Array, scales: Array, plus: Array, minus: Array, depth: Array) -> tuple[Array, Array]:
    power = depth / (depth - 2)

    def values(nu: Array, a: Array) -> tuple[Array, Array]:
        z = nu @ rows
        beta, up, down = _powers(z, plus, minus, power)
        return a * beta, a * power * (up / (plus - z) + down / (minus + z))

    def direction(nu: Array, a: Array) -> tuple[Array, Array, Array]:
        beta, weight = values(nu, a)
        hessian = (rows * weight[None]) @ rows.T
        ridge = 1e-14 * jnp.trace(hessian) / target.size
        factor = jax.scipy.linalg.cho_factor(hessian + ridge * jnp.eye(target.size))
        step = jax.scipy.linalg.cho_solve(factor, target - rows @ beta)
        return step, beta, weight

    def damped(carry: tuple[Array, Array, Array], a: Array) -> tuple[Array, Array, Array]:
        nu, _, count = carry
        step, _, _ = direction(nu, a)
        z, move = nu @ rows, step @ rows
        m = jnp.max(jnp.maximum(move / (plus - z), -move / (minus + z)))
        part = jnp.where(m > 1e-12, -jnp.expm1(-jnp.log1p(power * m) / power) / jnp.maximum(m, 1e-12), 1.0)
        return nu + part * step, m * power, count + 1

    def follow(nu: Array, scale: Array) -> tuple[Array, tuple[Array, Array]]:
        a = scale**depth
        # A step with p M = m leaves an error of order m^2, but not below the rounding of z near the ends.
        nu, m, _ = jax.lax.while_loop(
            lambda c: (c[1] > 1e-8) & (c[2] < MOST_STEPS),
            lambda c: damped(c, a),
            (nu, jnp.asarray(jnp.inf), jnp.asarray(0)),
        )
        step, beta, weight = direction(nu, a)
        # The linear part of one more step meets X beta = y even where z is rounded next to the end of its interval.
        return nu, (beta + weight * (step @ rows), m)

    _, found = jax.lax.scan(follow, jnp.zeros_like(target), scales)
    return found


def minimum_interpolator(
    X: Float[RealArray, "N d"],
    y: Float[RealArray, " N"],
    alpha: Scalar,
    *,
    depth: Scalar = 2,
    shape: Float[RealArray, " d"] | Float[RealArray, "2 d"] | None = None,
) -> Float[Array, " d"]:
    r"""Where the flow of depth D from $w_\pm = \alpha s$ ends: the minimizer of `potential` on $X\beta = y$.

    `shape` is s, (d,), or (2, d) for $s_+ \ne s_-$; then the potential is $Q(\beta) - \langle\nabla Q(\beta(0)),
    \beta\rangle$. Any D >= 2 (depth 2 by dual.py); for D > 2, $\alpha^{D-2}$ should stay above about $10^{-8}$.
    Raises `ValueError` for data as `numerics.minimum_q_interpolator`, for depth below 2 and for shapes that are not
    positive; `ArithmeticError` if Newton's method fails.
    """
    space, scale = row_space(X, y), float(require_scales(alpha))
    plus, minus = _require_shape(shape, space.rows.shape[1])
    if float(depth) == 2:
        return solve_rows(space, jnp.asarray(scale), jnp.log(plus * minus), jnp.log(plus / minus)).beta
    return _deep(space, scale, plus, minus, require_depth(depth))


def _deep(space: RowSpace, scale: float, plus: Array, minus: Array, depth: Array) -> Array:
    largest = float(np.max(np.abs(space.rows.T @ space.target)))
    top = max(scale, largest ** (1 / float(depth)))
    scales = np.geomspace(top, scale, 1 + int(np.ceil(np.log(top / scale) / np.log(2.0)))) if top > scale else [scale]
    # One length for all, so that it is compiled once for each size of the data.
    padded = np.concatenate([scales, np.full(-len(scales) % 32, scale)])
    betas, moves = _solve(
        jnp.asarray(space.rows),
        jnp.asarray(space.target),
        jnp.asarray(padded),
        plus ** (2 - depth),
        minus ** (2 - depth),
        depth,
    )
    missed = float(jnp.max(jnp.abs(jnp.asarray(space.rows) @ betas[-1] - jnp.asarray(space.target))))
    if not (missed <= 1e-10 * largest + EPS and float(moves[-1]) < 1e-4):
        raise ArithmeticError(
            f"Newton's method did not converge: residual {missed:.3g}, last step {float(moves[-1]):.3g}; at depth "
            f"{float(depth):g} take a larger alpha (alpha^(D-2) above 1e-8) or columns of similar size"
        )
    return betas[-1]


class DeepDiagonal(models.Function):
    r"""The network $\langle w_+^D - w_-^D, x\rangle$ for positive weights; params as those of `models.diagonal`."""

    depth: Float[Array, ""]

    def __call__(self, params: dict[str, Array], x: Float[RealArray, "n d"]) -> Float[Array, "n 1"]:
        return (jnp.asarray(x) @ (params["plus"] ** self.depth - params["minus"] ** self.depth))[:, None]


def deep_model(depth: Scalar) -> Callable[..., Array]:
    """`models.diagonal` for depth 2, else `DeepDiagonal`. Raises `ValueError` for a depth below 2."""
    return models.diagonal() if float(depth) == 2 else DeepDiagonal(require_depth(depth))
