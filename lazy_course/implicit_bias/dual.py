r"""Newton's method for the minimizer of $Q_\alpha$ among the solutions of $X\beta = y$, at any scale alpha.

**The dual.** Stationarity says $\beta = 2\alpha^2 \sinh(X^\top\nu)$: only $\nu \in \mathbb R^N$ is unknown, and it
minimizes the convex function $g(\nu) = 2\alpha^2 \sum_j \cosh(x_j^\top\nu) - \nu^\top y$, where $x_j$ are the columns
of X. Newton's method on g, from one alpha to the next.

**No overflow, no cancellation.** $\beta_j = e^{\ell + u_j} - e^{\ell - u_j}$ with $\ell = \ln\alpha^2$ and
$u = X^\top\nu$, and $2 e^\ell \sinh u_j$ where $|u_j| < 1$; the second derivative is the sum of the two. At
$\alpha = 10^{-12}$ both $\ell$ and u are about 55 in size, their sum is of order 1.

**No line search.** Every third derivative of g along a direction $\delta$ is at most $\max_j |x_j^\top\delta|$ times
the second. So a step that changes no $u_j$ by more than 1.75 lowers g (derivation.newton_step).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from lazy_course.models import RealArray, Scalar

STEP_LIMIT = 1.75  # below the root 1.793 of 1 + s + s^2 = e^s
MOST_STEPS = 100
JUMP = 2 * np.log(100.0)  # alpha falls by at most 100 from one solve to the next
EPS = float(jnp.finfo(jnp.float64).eps)


class Interpolation(NamedTuple):
    r"""Minimizers of $Q_\alpha$: `beta`; the `multiplier` $\nu$ with $\beta = 2\alpha^2\sinh(X^\top\nu)$; the largest
    entries of $X\beta - y$ (`residual`) and of $\mathrm{arcsinh}(\beta/2\alpha^2) - X^\top\nu$ (`stationarity`); and
    the Newton `steps` up to here. With one axis more for each of several alpha."""

    beta: Float[Array, "*A d"]
    multiplier: Float[Array, "*A N"]
    residual: Float[Array, "*A"]
    stationarity: Float[Array, "*A"]
    steps: Int[Array, "*A"]


def hyperbolic(log_scale: RealArray, u: RealArray) -> tuple[Array, Array]:
    r"""$2a\sinh u$ and $2a\cosh u$ with $\ln a$ = `log_scale`, where a or $e^{|u|}$ alone may overflow."""
    up, down = jnp.exp(log_scale + u), jnp.exp(log_scale - u)
    near = jnp.clip(u, -1.0, 1.0)
    return jnp.where(jnp.abs(u) < 1, 2 * jnp.exp(log_scale) * jnp.sinh(near), up - down), up + down


class State(NamedTuple):
    """Where Newton's method is: log alpha^2, the multiplier and its derivative in it, the last step, the count."""

    log_scale: Float[Array, ""]
    nu: Float[Array, " r"]
    tangent: Float[Array, " r"]
    move: Float[Array, ""]
    finished: Bool[Array, ""]
    steps: Int[Array, ""]


def newton_step(
    rows: Float[Array, "r d"],
    target: Float[Array, " r"],
    offset: Float[Array, " d"],
    tilt: Float[Array, " d"],
    s: State,
) -> State:
    r"""One limited Newton step of the dual at $\ln a_j = $ `log_scale` + `offset`, $u = $ rows$^\top \nu$ + `tilt`.

    The Hessian is rows diag(w) rows$^\top$ with $w = 2a\cosh u$; a ridge of $10^{-14}$ of its mean diagonal keeps it
    invertible where w spans more than sixteen digits. The same factor gives $d\nu/d\ln\alpha^2 = -H^{-1} y$.
    `finished` says that the residual before the step was rounding error already.
    """
    beta, weight = hyperbolic(s.log_scale + offset, s.nu @ rows + tilt)
    missing = target - rows @ beta
    hessian = (rows * weight[None]) @ rows.T
    ridge = 1e-14 * jnp.trace(hessian) / target.size
    factor = jax.scipy.linalg.cho_factor(hessian + ridge * jnp.eye(target.size))
    step, change = jax.scipy.linalg.cho_solve(factor, jnp.stack([missing, target], axis=1)).T
    move = jnp.max(jnp.abs(step @ rows))
    # e^x carries the rounding of its argument x, so beta has a relative error of EPS times its size.
    rounding = 4 * EPS * (2 + jnp.max(jnp.abs(s.nu @ rows))) * jnp.max(jnp.abs(rows) @ jnp.abs(beta))
    return State(
        s.log_scale,
        s.nu + step * jnp.minimum(1.0, STEP_LIMIT / jnp.where(move > 0, move, 1.0)),
        -change,
        move,
        jnp.max(jnp.abs(missing)) <= rounding,
        s.steps + 1,
    )


@eqx.filter_jit
def solve_dual(
    rows: Float[Array, "r d"],
    target: Float[Array, " r"],
    log_scales: Float[Array, " A"],
    start: Float[Array, ""],
    offset: Float[Array, " d"],
    tilt: Float[Array, " d"],
) -> tuple[Float[Array, "A d"], Float[Array, "A r"], Int[Array, " A"]]:
    r"""beta, multiplier and steps for decreasing `log_scales` = $\ln\alpha^2$, beginning at `start` or the first.

    Solves rows $\beta$ = target with $\beta = 2a\sinh(\mathrm{rows}^\top\nu + \mathrm{tilt})$,
    $a = \alpha^2 e^{\mathrm{offset}}$. Checks nothing: `minimum_q_solution` does. `rows` should be orthonormal.
    """

    def newton(s: State) -> State:
        fresh = s._replace(move=jnp.asarray(jnp.inf), finished=jnp.asarray(False))
        last = s.steps + MOST_STEPS
        # A full step of size m leaves an error of size m^2: 1e-8 is enough.
        return jax.lax.while_loop(
            lambda c: (c.move > 1e-8) & ~c.finished & (c.steps < last),
            lambda c: newton_step(rows, target, offset, tilt, c),
            fresh,
        )

    def follow(s: State, goal: Array) -> tuple[State, tuple[Array, Array, Array]]:
        def nearer(c: State) -> State:
            new = jnp.maximum(goal, c.log_scale - JUMP)
            return newton(c._replace(log_scale=new, nu=c.nu + (new - c.log_scale) * c.tangent))

        s = jax.lax.while_loop(lambda c: c.log_scale > goal, nearer, s)
        return s, (hyperbolic(goal + offset, s.nu @ rows + tilt)[0], s.nu, s.steps)

    zero = jnp.zeros_like(target)
    first = jnp.maximum(start, log_scales[0])
    begin = newton(State(first, zero, zero, jnp.asarray(0.0), jnp.asarray(False), jnp.asarray(0)))
    return jax.lax.scan(follow, begin, log_scales)[1]


class RowSpace(NamedTuple):
    """The data without what is redundant: orthonormal `rows` (r, d), their `target` (r,), and the (N, r) map `back`
    with X^T back = rows^T, which takes multipliers to those of X."""

    rows: np.ndarray
    target: np.ndarray
    back: np.ndarray


def row_space(X: Float[RealArray, "N d"], y: Float[RealArray, " N"]) -> RowSpace:
    r"""The equations $X\beta = y$ as orthonormal rows, by a singular value decomposition.

    Singular values below $\max(N, d)\,\epsilon\,\sigma_{\max}$ count as zero, so a rank below N is allowed as long as
    y is in the range of X. Raises `ValueError` for wrong shapes, entries that are not finite, X = 0, and for y
    outside of the range (by more than $10^{-9}\|y\|$).
    """
    data, goal = np.asarray(X, dtype=float), np.asarray(y, dtype=float)
    if data.ndim != 2 or 0 in data.shape or goal.shape != data.shape[:1]:
        raise ValueError(f"X, y: expected shapes (N, d) and (N,), got {data.shape} and {goal.shape}")
    if not (np.all(np.isfinite(data)) and np.all(np.isfinite(goal))):
        raise ValueError("X, y: expected finite numbers, got inf or nan; remove such samples")
    u, s, vt = np.linalg.svd(data, full_matrices=False)
    kept = s > max(data.shape) * EPS * s[0]
    if not np.any(kept):
        raise ValueError("X: expected a matrix that is not zero; no beta can fit y")
    u, s, vt = u[:, kept], s[kept], vt[kept]
    missed = float(np.linalg.norm(goal - u @ (u.T @ goal)))
    if missed > 1e-9 * float(np.linalg.norm(goal)):
        raise ValueError(
            f"y: expected a vector in the range of X (rank {s.size}, {data.shape[0]} samples), got one at distance "
            f"{missed:.3g} from it: X beta = y has no solution; for what the flow tends to then, pass "
            "y = X @ minimum_l2(X, y), the nearest vector in the range"
        )
    return RowSpace(vt, (u.T @ goal) / s, u / s)


def require_scales(alpha: RealArray | Scalar | list[float]) -> Array:
    """alpha as an array of at most one axis; raises `ValueError` unless all its entries are positive and finite."""
    scales = np.asarray(alpha, dtype=float)
    if scales.ndim > 1 or scales.size == 0 or not np.all(np.isfinite(scales) & (scales > 0)):
        raise ValueError(f"alpha: expected a positive finite number, or a flat array of them, got {alpha}")
    return jnp.asarray(scales)


def solve_rows(
    space: RowSpace, scales: Array, offset: Float[RealArray, " d"], tilt: Float[RealArray, " d"]
) -> Interpolation:
    r"""`minimum_q_solution` for data that is checked, with $a_j = \alpha^2 e^{\mathrm{offset}_j}$ and a tilt of u."""
    flat = np.atleast_1d(np.asarray(scales))
    order = np.argsort(-flat)
    largest = float(np.max(np.abs(space.rows.T @ space.target)))
    # One length for few and for many, so that it is compiled once for each size of the data; a repeated alpha is free.
    padded = np.concatenate([order, np.full(-order.size % 16, order[-1])])
    log_scales = jnp.asarray(2 * np.log(flat[padded]))
    start = jnp.asarray(np.log(largest) if largest > 0 else log_scales[0])
    rows, offset, tilt = jnp.asarray(space.rows), jnp.asarray(offset), jnp.asarray(tilt)
    beta, nu, steps = solve_dual(rows, jnp.asarray(space.target), log_scales, start, offset, tilt)
    back = np.argsort(order)
    beta, nu, steps = (jnp.asarray(np.asarray(entry)[back]) for entry in (beta, nu, steps))
    a = jnp.exp(2 * jnp.log(jnp.asarray(flat))[:, None] + offset[None])
    residual = jnp.max(jnp.abs(beta @ rows.T - jnp.asarray(space.target)[None]), axis=1)
    stationarity = jnp.max(jnp.abs(jnp.arcsinh(beta / a / 2) - nu @ rows - tilt[None]), axis=1)
    # nan must not pass
    if not bool(jnp.all((residual <= 1e-11 * largest) & (stationarity <= 1e-9))):
        raise ArithmeticError(
            f"Newton's method did not converge: residual {float(jnp.max(residual)):.3g} (beta of size {largest:.3g}), "
            f"stationarity {float(jnp.max(stationarity)):.3g}; scale the columns of X to similar size, and alpha to "
            "between 1e-12 and 1e6"
        )
    found = Interpolation(beta, nu @ jnp.asarray(space.back).T, residual, stationarity, steps)
    return found if scales.ndim else Interpolation(*(entry[0] for entry in found))
