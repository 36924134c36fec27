"""Where the linearized model goes, where training goes, and what separates them."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from lazy_course import kernels, models
from lazy_course.losses import SquareLoss
from lazy_course.models import AnyKey
from lazy_course.report import inputs, parts
from lazy_course.report.record import Measured, Predicted
from lazy_course.report.setting import Setting, distance
from lazy_course.report.side_by_side import Course, side_by_side

LINEAR_STEPS = 10_000


@eqx.filter_jit
def _pulled(h: models.BatchMap, params: PyTree, force: Array) -> PyTree:
    (pulled,) = jax.vjp(h, params)[1](force)
    return jax.tree.map(jnp.negative, pulled)


@eqx.filter_jit
def _compared(h: models.BatchMap, params0: PyTree, params: PyTree, alpha: Array, key: AnyKey) -> dict[str, Array]:
    """Everything that one compilation can say about two points."""
    step = parts.difference(params, params0)
    gap = parts.linearization_gap(h, params0, params, alpha)
    curved = parts.curvature_along(h, params0, step)
    first = jax.jvp(h, (params0,), (step,))[1]
    return {
        "absolute": gap.absolute,
        "gap": gap.relative,
        "curvature": curved / jnp.linalg.norm(first),
        "displacement": optax.tree.norm(step),
        "start": optax.tree.norm(params0),
        "jacobian": parts.jacobian_drift(h, params0, params, key=key),
        "outputs": alpha * h(params),
    }


@jax.jit
def _fitted(found: parts.Spectrum, residual: Array, fit: Array) -> tuple[Array, Array, Array]:
    """The flow time of this fit on the linearized flow of squares, its force there, and its residual."""
    time = parts.time_to_fit(found, residual, fit)
    return time, parts.linearized_force(found, residual, time), parts.remaining(found, residual, time)


def predict(s: Setting) -> tuple[Predicted, PyTree]:
    r"""Where the linearized model ends, how wrong it is there, and the direction $\bar v$ in which it goes."""
    flow_time, steps = None, None
    if isinstance(s.loss, SquareLoss):
        residual = s.outputs0 - s.loss.target
        time, force, _ = _fitted(s.spectrum, residual, jnp.asarray(s.fit, residual.dtype))
        flow_time = float(time)
    else:
        force, steps = _descended(s)
    direction = _pulled(s.h, s.params, force)
    end = jax.tree.map(lambda w, v: w + (v / s.alpha).astype(w.dtype), s.params, direction)
    key = jax.random.fold_in(s.key, 1)
    found = _compared(s.h, s.params, end, jnp.asarray(s.alpha, s.kernel0.dtype), key)
    drift = parts.kernel_drift(s.kernel0, _kernel_or_nan(s, end))
    moved, size = float(jnp.linalg.norm(s.kernel0 @ force)), float(found["start"])
    # Where rounding alone could make one percent, curvature is the better number.
    drowned = rounding(s) > 0.01 * moved
    return Predicted(
        time=flow_time,
        steps=steps,
        fit=s.fit,
        displacement=float(found["displacement"]),
        relative_displacement=float(found["displacement"]) / size if size > 0 else np.inf,
        gap=float(found["curvature"] if drowned else found["absolute"] / moved),
        curvature_gap=float(found["curvature"]),
        kernel_drift=float(drift.relative),
        kernel_turned=float(drift.turned),
        jacobian_drift=float(found["jacobian"]),
        loss_left=_over(float(s.loss(found["outputs"])), float(s.loss(s.outputs0))),
    ), direction


def rounding(s: Setting) -> float:
    r"""About the rounding error of $\alpha h(w) - \alpha\bar h(w)$ near w0: 10 roundings of its terms."""
    change = s.alpha * jnp.sqrt(s.spectrum.values[-1]) * optax.tree.norm(s.params)
    terms = float(jnp.linalg.norm(s.outputs0) + change)
    return 10 * float(jnp.finfo(s.kernel0.dtype).eps) * terms


def _over(after: float, before: float) -> float:
    return after / before if before > 0 else np.nan


def _kernel_or_nan(s: Setting, params: PyTree) -> Array:
    """The kernel at other parameters; nan where it is not finite, since only w0 must be a good point."""
    found = kernels.tangent_kernel(s.network, params, s.x, memory=s.memory)
    return found.reshape(s.kernel0.shape)


def default_step_size(s: Setting) -> float:
    """1 / (M |Dh(w0)|^2), with M from the loss, or its largest curvature at alpha h(w0), by power steps."""
    smooth = getattr(s.loss, "smoothness", None)
    if smooth is None:
        gradient = jax.grad(s.loss)
        v = jax.random.normal(s.key, s.outputs0.shape, dtype=s.outputs0.dtype)
        product = jax.jit(lambda v: jax.jvp(gradient, (s.outputs0,), (v / jnp.linalg.norm(v),))[1])
        for _ in range(20):
            v = product(v)
        smooth = jnp.linalg.norm(v)
    return 1.0 / float(smooth * s.spectrum.values[-1])


def _descended(s: Setting) -> tuple[Array, int]:
    """The linearized model's descent on a loss of one's own, until the share `fit` of the loss is gone."""
    size = default_step_size(s)

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        y, _, step = state
        return (step < LINEAR_STEPS) & (s.loss(y) > (1.0 - s.fit) * s.loss(s.outputs0))

    def one(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        y, force = parts.linearized_descent(s.kernel0, state[0], s.loss, size, 1)
        return y, state[1] + force, state[2] + 1

    start = (s.outputs0, jnp.zeros_like(s.outputs0), jnp.asarray(0))
    _, force, step = jax.jit(lambda: jax.lax.while_loop(unfinished, one, start))()
    return force, int(step)


@eqx.filter_jit
def _trained(
    h: models.BatchMap, params: PyTree, kernel0: Array, loss: Any, alpha: Array, size: Array, steps: Array, own: Array
) -> Course:
    return side_by_side(h, params, kernel0, loss, alpha, size, steps, shrink=own)


def train(s: Setting, budget: int, step_size: float | None, activations: Callable[..., PyTree] | None) -> Measured:
    """Train by full-batch descent, and its linearization by the same steps, and compare.

    The default step is halved as often as the loss would grow; a step size that is given is kept.
    Raises `ValueError` if a parameter ends at a value that is not finite: the step is too large.
    """
    size = default_step_size(s) if step_size is None else inputs.require_positive("step_size", step_size)
    number = s.kernel0.dtype
    args = (
        jnp.asarray(s.alpha, number),
        jnp.asarray(size, number),
        jnp.asarray(budget),
        jnp.asarray(step_size is None),
    )
    course = _trained(s.h, s.params, s.kernel0, s.loss, *args)
    if not all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(course.end.params)):
        raise ValueError(f"step_size: the training with {size:.3g} ended at nan or inf; take a smaller one")
    shrunk = f", halved down to {float(course.size):.3g}" if float(course.size) < 0.9 * size else ""
    source = f"{budget} steps of gradient descent of size {size:.3g}{shrunk}"
    return measure(s, course.end.params, activations, source=source, course=course)


def measure(
    s: Setting,
    trained: PyTree,
    activations: Callable[..., PyTree] | None,
    *,
    source: str,
    course: Course | None = None,
) -> Measured:
    r"""What separates trained parameters from $w_0$; `course` is how the linearized model went beside it."""
    found = _compared(s.h, s.params, trained, jnp.asarray(s.alpha, s.kernel0.dtype), jax.random.fold_in(s.key, 2))
    drift = parts.kernel_drift(s.kernel0, _kernel_or_nan(s, trained))
    linear = _matched(s, found["outputs"]) if course is None else (course.end.outputs, course.end.force)
    function, parameter, largest = None, None, None
    if linear is not None:
        outputs, force = linear
        wbar = jax.tree.map(lambda w, v: w + v / s.alpha, s.params, _pulled(s.h, s.params, force))
        parameter = float(parts.parameter_displacement(wbar, trained) / found["displacement"])
        away = distance(s)
        if np.isfinite(away) and away > 0:
            function = float(jnp.linalg.norm(outputs - found["outputs"])) / away
            largest = None if course is None else float(course.largest_gap) / away
    stable = None
    if activations is not None:
        stable = float(parts.activation_stability(activations(s.params, s.x), activations(trained, s.x)))
    size = float(found["start"])
    return Measured(
        source=source,
        displacement=float(found["displacement"]),
        relative_displacement=float(found["displacement"]) / size if size > 0 else np.inf,
        gap=float(found["gap"]),
        function_gap=function,
        largest_function_gap=largest,
        parameter_gap=parameter,
        kernel_drift=float(drift.relative),
        kernel_turned=float(drift.turned),
        jacobian_drift=float(found["jacobian"]),
        loss_start=float(s.loss(s.outputs0)),
        loss_end=float(s.loss(found["outputs"])),
        activation_stability=stable,
    )


def _matched(s: Setting, outputs: Array) -> tuple[Array, Array] | None:
    """The linearized flow of the square loss when its loss is that of the trained model; None for other losses."""
    if not isinstance(s.loss, SquareLoss):
        return None
    residual = s.outputs0 - s.loss.target
    seen = s.spectrum.values > 0
    along = (s.spectrum.vectors.T @ residual) ** 2
    can, cannot = 0.5 * float(jnp.sum(jnp.where(seen, along, 0.0))), 0.5 * float(jnp.sum(jnp.where(seen, 0.0, along)))
    left = (float(s.loss(outputs)) - cannot) / can if can > 0 else 1.0
    if left >= 1.0:
        return None
    _, force, rest = _fitted(s.spectrum, residual, jnp.asarray(1.0 - max(left, 1e-12), residual.dtype))
    return s.loss.target + rest, force
