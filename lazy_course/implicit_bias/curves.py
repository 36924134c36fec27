r"""What the figures of the chapter show: paths and level sets in the plane, excess and time against alpha."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course.implicit_bias import bounds, depth, flow, numerics
from lazy_course.models import AnyKey, RealArray, Scalar

SMALLEST = np.array([[1.0, 0.5]]), np.array([1.0])


class Plane(NamedTuple):
    r"""For one alpha and one equation in two unknowns: the `path` of beta (T, 2) from 0 to its `limit` (2,), and the
    `level` set of $Q_\alpha$ through the limit (P, 2)."""

    alpha: float
    path: Float[np.ndarray, "T 2"]
    limit: Float[np.ndarray, "2"]
    level: Float[np.ndarray, "P 2"]


def plane(
    alpha: Scalar, X: Float[RealArray, "1 2"] = SMALLEST[0], y: Float[RealArray, "1"] = SMALLEST[1], *, count: int = 201
) -> Plane:
    r"""The path of the flow in the plane and the level set that it ends on.

    With one equation nu is a number, so the path is the curve $2\alpha^2\sinh(x\nu)$, $0 \le \nu \le \nu_\infty$ (or
    down): no time needs to be integrated. Points are spread evenly by length.
    """
    found = numerics.minimum_q_solution(X, y, alpha)
    fine = np.linspace(0.0, 1.0, 20_001)[:, None] * np.asarray(found.multiplier)
    # nu = -4 times the integral of the residual r
    path = np.asarray(flow.closed_form(X, alpha, -fine / 4))
    length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = np.linspace(0.0, length[-1], count)
    path = np.stack([np.interp(even, length, path[:, i]) for i in range(2)], axis=1)
    limit = np.asarray(found.beta)
    return Plane(float(alpha), path, limit, level_set(alpha, limit, count=count))


def level_set(alpha: Scalar, through: Float[RealArray, "2"], *, count: int = 201) -> Float[np.ndarray, "P 2"]:
    r"""Points of $\{Q_\alpha = Q_\alpha(\mathrm{through})\}$ in the plane, at `count` angles from 0 to $2\pi$.

    The angles are denser at the axes, where the level sets of a small alpha have their corners. By bisection of the
    radius: $Q_\alpha$ increases along every ray.
    """
    quarter = np.linspace(0.0, 1.0, max(count // 4, 3))
    bent = np.pi / 4 * (1 - np.cos(np.pi * quarter))  # from 0 to pi/2, denser at both ends
    angles = np.concatenate([bent[:-1] + i * np.pi / 2 for i in range(4)] + [np.array([2 * np.pi])])
    rays = jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)
    goal = numerics.potential(jnp.asarray(through), alpha)
    low, high = jnp.zeros(angles.size), jnp.full(angles.size, 2 * jnp.sum(jnp.abs(jnp.asarray(through))))
    for _ in range(60):
        middle = (low + high) / 2
        inside = numerics.potential(middle[:, None] * rays, alpha) < goal
        low, high = jnp.where(inside, middle, low), jnp.where(inside, high, middle)
    return np.asarray(middle[:, None] * rays)


class Excess(NamedTuple):
    r"""$\|\beta_\alpha\|_1 - \|\beta_1\|_1$ for A alphas, its two bounds, and the certificate value c."""

    alphas: Float[np.ndarray, " A"]
    c: float
    measured: Float[np.ndarray, " A"]

    def slope(self, count: int = 2) -> float:
        """The logarithmic slope over the last `count` alphas."""
        return float(np.polyfit(np.log(self.alphas[-count:]), np.log(self.measured[-count:]), 1)[0])


def excess(X: Float[RealArray, "N d"], y: Float[RealArray, " N"], alphas: RealArray, *, D: Scalar = 2) -> Excess:
    """The excess of the limit of depth D at each alpha (decreasing, for `slope`), with the c of the data."""
    l1, scales = numerics.minimum_l1(X, y), np.asarray(alphas, dtype=float)
    if float(D) == 2:
        found = numerics.minimum_q_interpolator(X, y, scales)
    else:
        found = jnp.stack([depth.minimum_interpolator(X, y, a, depth=D) for a in scales])
    return Excess(scales, l1.largest, np.asarray(numerics.excess(found, l1)))


def two_inputs(c: Scalar) -> tuple[Float[np.ndarray, "1 2"], Float[np.ndarray, "1"]]:
    r"""X = (1, c), y = 1: the l1 solution is (1, 0), and the certificate has the value c. Expects 0 < c < 1."""
    if not 0 < float(c) < 1:
        raise ValueError(f"c: expected a number between 0 and 1, got {c}; at 1 the l1 solution is not unique")
    return np.array([[1.0, float(c)]]), np.ones(1)


def gaussian(key: AnyKey, n: int = 20, d: int = 50) -> tuple[Float[np.ndarray, "N d"], Float[np.ndarray, " N"]]:
    """Normal data of variance 1/n and normal labels: the l1 solution has n entries."""
    key_x, key_y = jax.random.split(key)
    x = jax.random.normal(key_x, (n, d), dtype=float) / n**0.5
    return np.asarray(x), np.asarray(jax.random.normal(key_y, (n,), dtype=float))


class FitTimes(NamedTuple):
    r"""For A alphas, in flow time: `fitted`, when L has fallen to a fraction of L(0); `settled`, when the l1 distance
    of beta(t) from its limit has fallen to the excess of the limit; the proved `earliest` time at which an entry can be
    half as large as the largest of the limit, and the proved `latest` time to fit; the `late_rate` of L (1 / time)."""

    alphas: Float[np.ndarray, " A"]
    fitted: Float[np.ndarray, " A"]
    settled: Float[np.ndarray, " A"]
    earliest: Float[np.ndarray, " A"]
    latest: Float[np.ndarray, " A"]
    late_rate: Float[np.ndarray, " A"]


def fit_times(
    X: Float[RealArray, "N d"], y: Float[RealArray, " N"], alphas: RealArray | list[float], fraction: float = 1e-6
) -> FitTimes:
    r"""How long training takes at each alpha, on the exact dual flow; `latest` is $\ln(1/f)/(32\alpha^2\sigma^2)$.

    Interpolated between 200 saved times. Raises `ArithmeticError` if both do not come within $10^{12}$.
    """
    l1 = numerics.minimum_l1(X, y)
    rows = [_fit_time(X, y, float(alpha), fraction, l1) for alpha in np.asarray(alphas)]
    return FitTimes(np.asarray(alphas, dtype=float), *(np.asarray(column) for column in zip(*rows, strict=True)))


def _fit_time(X: RealArray, y: RealArray, alpha: float, fraction: float, l1: numerics.L1Solution) -> tuple[float, ...]:
    limit = numerics.minimum_q_interpolator(X, y, alpha)
    far, first = float(numerics.excess(limit, l1)), float(np.sum(np.asarray(y) ** 2))
    earliest = bounds.earliest_time(X, y, alpha, 0.5 * float(np.max(np.abs(limit))))
    fitted = settled = np.nan
    end = 10 * max(earliest, 0.1)
    while np.isnan(fitted + settled) and end < 1e12:
        times = np.geomspace(1e-4 * end, end, 200)
        found = flow.flow(X, y, alpha, times)
        distance = np.sum(np.abs(np.asarray(found.beta) - np.asarray(limit)[None]), axis=1)
        fitted = _first_below(times, np.asarray(found.loss) / first, fraction) if np.isnan(fitted) else fitted
        settled = _first_below(times, distance, far) if np.isnan(settled) else settled
        end *= 30
    if np.isnan(fitted + settled):
        raise ArithmeticError(f"alpha = {alpha:g}: the flow does not settle before flow time {end:.3g}")
    rate = flow.loss_rate(X, alpha)
    return fitted, settled, earliest, float(np.log(1 / fraction)) / rate, flow.late_loss_rate(X, y, alpha)


def _first_below(times: np.ndarray, values: np.ndarray, level: float) -> float:
    """The first time at which values fall below a level, by logarithmic interpolation; nan if they do not."""
    below = values < level
    if not np.any(below) or below[0]:
        return float(times[0]) if below[0] else float("nan")
    after = int(np.argmax(below))
    before, at = np.log(values[after - 1] / level), np.log(values[after] / level)
    return float(times[after - 1] * (times[after] / times[after - 1]) ** (before / (before - at)))


def population_error(
    beta: Float[Array | np.ndarray, "... d"], target: Float[RealArray, " d"]
) -> Float[np.ndarray, "..."]:
    r"""$\|\beta - \beta^\star\|^2$, the expected square error on an input with independent standard normal entries."""
    return np.asarray(np.sum((np.asarray(beta) - np.asarray(target)) ** 2, axis=-1))
