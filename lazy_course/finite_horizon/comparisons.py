"""Paths in a plane, the change of time of homogeneous models, and predictions at new points."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from lazy_course import descent, flows, models
from lazy_course.finite_horizon import bounds, cases
from lazy_course.finite_horizon.cases import Problem
from lazy_course.finite_horizon.numerics import TIMES, Measured, first_correction, sweep
from lazy_course.linearization import linearize, second_differential, taylor_remainder
from lazy_course.models import RealArray


@eqx.filter_jit
def _held_out_gap(problem: Problem, x: Array, alphas: Array, displacements: PyTree, gaps: PyTree) -> Array:
    def at_points(params: PyTree) -> Array:
        return problem.h.inner.f(params, x)[:, 0]  # type: ignore[attr-defined]

    def one(alpha: Array, displacement: PyTree, gap: PyTree) -> Array:
        moved = jax.jvp(at_points, (problem.params0,), (gap,))[1]
        return jnp.abs(moved + alpha * taylor_remainder(at_points, problem.params0, displacement, alpha))

    return jax.vmap(one)(alphas, displacements, gaps)


def held_out_gap(problem: Problem, measured: Measured, x: Float[RealArray, "q d"]) -> Float[Array, "N q"]:
    r"""The scaled gap $\alpha\,|\alpha f(w_\alpha, x) - \alpha\bar f(\bar w_\alpha, x)|$ at T, at new points.

    One output; without cancellation: it is $\alpha \cdot$ (Taylor remainder of $f(\cdot, x)$) plus $D_w f(w_0, x)$
    applied to $\alpha^2 (w - \bar w)$.
    """
    last = jax.tree.map(lambda leaf: leaf[:, -1], (measured.gap.displacement, measured.gap.scaled_parameter_gap))
    return _held_out_gap(problem, jnp.asarray(x), jnp.asarray(measured.alphas), *last)


@eqx.filter_jit
def _held_out_limit(problem: Problem, x: Array, v0: PyTree, v1: PyTree) -> Array:
    def at_points(params: PyTree) -> Array:
        return problem.h.inner.f(params, x)[:, 0]  # type: ignore[attr-defined]

    moved = jax.jvp(at_points, (problem.params0,), (v1,))[1]
    return jnp.abs(moved + 0.5 * second_differential(at_points, problem.params0, v0, v0))


def held_out_limit(problem: Problem, limit: Any, x: Float[RealArray, "q d"]) -> Float[Array, " q"]:
    r"""Its limit: $|D_w f(w_0, x) v_1 + \frac12 D_w^2 f(w_0, x)[v_0, v_0]|$ at the last time of `limit`."""
    v0, v1 = jax.tree.map(lambda leaf: jnp.asarray(leaf[-1]), (limit.displacement, limit.correction))
    return _held_out_limit(problem, jnp.asarray(x), v0, v1)


@eqx.filter_jit
def _largest_slope(problem: Problem, x: Array) -> Array:
    """M1, the largest norm over the points of the gradient of f(., x) at w0."""
    f = problem.h.inner.f  # type: ignore[attr-defined]
    gradients = jax.vmap(lambda point: jax.grad(lambda w: f(w, point[None])[0, 0])(problem.params0))(x)
    return jnp.max(flows.norm_over_time(gradients))


def held_out_bound(problem: Problem, measured: Measured, x: Float[RealArray, "q d"]) -> float:
    r"""The repaired Prop. A.1 at T for the tanh network: $M_1 c_1 + \frac12 M_2 c_0^2$, square loss.

    $M_1 = \max_x \|D_w f(w_0, x)\|$, and $M_2$ is `two_layer_lipschitz` for a single point, on the ball that the
    smallest alpha of `measured` allows; c0 and c1 are the travel bound and the contraction bound at T.
    """
    points, horizon = jnp.asarray(x), float(measured.times[0, -1])
    energy = float(problem.loss(problem.h(problem.params0)))
    radius = (horizon * energy) ** 0.5 / float(measured.alphas.min())
    farthest = points[jnp.argmax(jnp.linalg.norm(points, axis=1))][None]
    alone = models.as_map(problem.h.inner.f, farthest)  # type: ignore[attr-defined]
    curvature = cases.two_layer_lipschitz(eqx.tree_at(lambda p: p.h.inner, problem, alone), radius)
    c = cases.constants(problem, cases.two_layer_lipschitz(problem, radius), radius)
    gap, travel = bounds.contraction_parameter_bound(c, horizon), bounds.travel_bound(c, horizon)
    return float(bounds.generalization_bound(_largest_slope(problem, points), curvature, travel, gap))


def _flat(tree: PyTree) -> Float[RealArray, "T p"]:
    """The leaves of a pytree joined along the last axis; each leaf has one leading axis."""
    leaves = jax.tree.leaves(tree)
    return np.concatenate([np.reshape(leaf, (leaf.shape[0], -1)) for leaf in leaves], axis=1)


def paths_in_plane(
    problem: Problem, alphas: Float[RealArray, " N"], *, horizon: float
) -> tuple[np.ndarray, np.ndarray]:
    r"""Both paths, magnified, in a plane: $\alpha(\bar w - w_0)$ (T, 2) and $\alpha(w_\alpha - w_0)$ (N, T, 2).

    The plane is spanned by $v_0(T)$ and $v_1(T)$ (orthonormal axes in this order). The linearized path is the same
    for all alpha because $h(w_0) = 0$.
    """
    limit, run = first_correction(problem, horizon=horizon), sweep(problem, alphas, horizon=horizon)
    axes = np.linalg.qr(np.stack([_flat(limit.displacement)[-1], _flat(limit.correction)[-1]], axis=1))[0]
    axes = axes * np.sign(axes.T @ _flat(limit.displacement)[-1] + axes.T @ _flat(limit.correction)[-1])
    pieces = [jax.tree.map(lambda leaf: leaf[i], run.gap.displacement) for i in range(len(alphas))]  # noqa: B023
    return _flat(limit.displacement) @ axes, np.stack([_flat(piece) @ axes for piece in pieces])


def homogeneous_pair(problem: Problem, alpha: float, degree: int, *, horizon: float) -> dict[str, np.ndarray]:
    r"""The flow of $R(\alpha h)/\alpha^2$ from $w_0$ and the flow of $R(h)$ from $\alpha^{1/q} w_0$, at matching times.

    For a model of degree q the second, at $s = \alpha^{2/q-2} t$, is $\alpha^{1/q}$ times the first at t. Returns
    `times` t, `clock` s, `from_output` $= \alpha^{1/q} w_\alpha(t)$ and `from_weights` $= u(s)$, both (T, p). The
    model is taken uncentred.
    """
    bare, t = cases.uncentred(problem), np.linspace(0.0, horizon, TIMES)
    scale, clock = alpha ** (1 / degree), alpha ** (2 / degree - 2) * t
    grown = jax.tree.map(lambda w: scale * w, bare.params0)
    first = flows.gradient_flow(bare.h, bare.params0, bare.loss, alpha=alpha, times=t)
    second = flows.gradient_flow(bare.h, grown, bare.loss, alpha=1.0, times=clock)
    return {
        "times": t,
        "clock": clock,
        "from_output": scale * _flat(first.params),
        "from_weights": _flat(second.params),
    }


def descent_rows(
    problem: Problem, alpha: float, *, horizon: float, refinements: tuple[int, ...] = (1, 2, 4, 8)
) -> dict[str, list[float | int]]:
    r"""Descent beside the flow at flow time T, in outputs: the step $1/(M S^2)$, shortened to divide T, then refined.

    Returns for every refinement the number of `steps`, the `step size`, how far descent is from the flow, and how far
    descent on the model is from descent on its linearization with the same step; then the same gap of the flows.
    """
    h, params0, loss = problem.h, problem.params0, problem.loss
    largest = descent.stable_step_size(h, params0, smoothness=1.0 + problem.loss.weight)
    coarse = int(np.ceil(horizon / float(largest)))
    run = sweep(problem, np.array([alpha]), horizon=horizon)
    rows: dict[str, list[float | int]] = {"steps": [], "step size": [], "descent - flow": [], "gap of the descents": []}
    for refinement in refinements:
        count = refinement * coarse
        choices: dict[str, Any] = {"alpha": alpha, "step_size": horizon / count, "steps": count, "save_at": [count]}
        own = descent.gradient_descent(h, params0, loss, **choices).outputs[-1]
        linear = descent.gradient_descent(linearize(h, params0), params0, loss, **choices).outputs[-1]
        rows["steps"].append(count)
        rows["step size"].append(horizon / count)
        rows["descent - flow"].append(float(jnp.linalg.norm(own - run.gap.outputs[0, -1])))
        rows["gap of the descents"].append(float(jnp.linalg.norm(own - linear)))
    rows["gap of the flows"] = [float(run.output_gap[0, -1]) / alpha] * len(refinements)
    return rows


def descent_table(rows: dict[str, list[float | int]]) -> str:
    """`descent_rows` as a Markdown table, one line a step size."""
    lines = ["| " + " | ".join(rows) + " |", "|---" * len(rows) + "|"]
    lines += ["| " + " | ".join(f"{entry:.3g}" for entry in line) + " |" for line in zip(*rows.values(), strict=True)]
    return "\n".join(lines)
