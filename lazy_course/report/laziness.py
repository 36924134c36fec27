"""`laziness_report`: what the course can say about a model and its data before, and after, it is trained."""

import time as clock
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, PyTree

import lazy_course
from lazy_course import kernel_blocks, kernels, models, norms
from lazy_course.hessians import outputs_of, weighted_hessian
from lazy_course.linearization import second_differential
from lazy_course.losses import SquareLoss
from lazy_course.models import AnyKey
from lazy_course.report import inputs, parts, proved, words
from lazy_course.report.record import LazinessReport, Measured, Pair, Predicted

Lipschitz = float | int | Callable[[float], float] | None
Effort = Literal["full", "quick"]
MEMORY = 2 * 2**30
LARGEST_KERNEL = 2000
LINEAR_STEPS = 10_000


class Setting(NamedTuple):
    """A checked problem as the measuring functions see it: a map h, the loss on alpha h, and the kernel at w0."""

    h: models.BatchMap
    network: Callable[..., Array]
    params: PyTree
    x: Array
    loss: Any
    alpha: float
    outputs0: Array
    kernel0: Array
    spectrum: parts.Spectrum
    memory: int
    fit: float
    key: AnyKey


def laziness_report(
    f: Callable[..., Array],
    params: PyTree,
    x: Any,
    y: Any,
    *,
    loss: Any = None,
    alpha: float = 1.0,
    trained_params: PyTree | None = None,
    budget: int | None = None,
    step_size: float | None = None,
    lip_dh: Lipschitz = None,
    activations: Callable[[PyTree, Array], PyTree] | None = None,
    key: AnyKey | None = None,
    fit: float = 0.99,
    effort: Effort = "full",
    memory: int = MEMORY,
    largest_kernel: int = LARGEST_KERNEL,
    devices: int | None = None,
) -> LazinessReport:
    r"""How lazy is the training of $\alpha f(w, x)$ to the targets y, from w = `params`?

    `f(params, x) -> (n, k)` (or `(n,)`) is any JAX function of a pytree of floating arrays and a batch whose rows it
    treats independently (no batch statistics, no dropout); `report.networks` makes one from an equinox, flax or haiku
    model. `y` has the shape of the outputs. h(w) is all outputs as one flat array, and the report is about the
    gradient flow of $R(\alpha h(w))/\alpha^2$, R the sum-of-squares loss $\frac12\|\cdot - y\|^2$ or `loss`, a scalar
    function of the flat outputs of shape (n k,); then y may be None (kappa is then measured from `loss.minimizer`, or
    is nan). A mean instead of a sum changes the unit of time and none of the shares.

    It reports: kappa and its norms with brackets (`norms`), $\sigma_{\min}$ and condition number of the tangent
    kernel, what the linearized model predicts (`Predicted`), what is proved if a Lipschitz constant of Dh is known
    (`Certified`: for the course's own models, or with `lip_dh` as in `certificate.certificate`), and what training did
    (`Measured`), if there are `trained_params`, or a `budget` of steps of full-batch gradient descent on
    $R(\alpha h)/\alpha^2$ (`step_size` by default $1/(M\|Dh(w_0)\|^2)$). `activations(params, x)` returns
    pre-activations whose signs are compared.

    The kernel has at most `largest_kernel` rows: of more samples, as many as fit are drawn with `key`, and the report
    says so. Passes over the samples go in blocks that fit into about `memory` bytes. `effort="quick"` leaves out the
    upper end of $\|D^2h\|$, the most expensive number by far. `devices`: the samples are spread over so many of
    `jax.devices()` (default: as many as divide their number). The precision is that of params and x.

    Raises `ValueError` (module `inputs`) for a model, data or options that cannot be measured, among them a model
    whose Jacobian is zero or not finite. Source: chizat2019lazy, and this course.
    """
    begin = clock.perf_counter()
    key = jax.random.key(0) if key is None else key
    problem = inputs.checked(f, params, x, y)
    _check_options(problem, loss, trained_params, budget, fit, effort, memory, largest_kernel)
    trained = None if trained_params is None else inputs.require_same(problem.params, trained_params, "trained_params")
    alpha = inputs.require_positive("alpha", alpha)
    setting, given = _setting(problem, loss, alpha, key, fit, memory, largest_kernel, devices)
    predicted, direction = predict(setting)
    measured = None
    if trained is not None:
        measured = measure(setting, trained, activations, source="the parameters given")
    elif budget is not None:
        measured = train(setting, budget, step_size, activations)
    jacobian, hessian, kappa = _norms(setting, direction, effort)
    certified, why_not = proved.certify(setting.h, setting.params, setting.loss, alpha, lip_dh)
    word, reasons = words.verdict(predicted, measured, certified, kappa[1])
    values = np.asarray(setting.spectrum.values)
    smallest = float(np.sqrt(values[0])) if _size(setting.params) >= values.size else 0.0
    found = LazinessReport(
        samples=setting.x.shape[0],
        samples_given=given,
        outputs=problem.outputs,
        parameters=_size(setting.params),
        dtype=str(setting.kernel0.dtype),
        loss="square" if isinstance(setting.loss, SquareLoss) else type(setting.loss).__name__,
        alpha=alpha,
        residual=_distance(setting),
        initial_output=float(jnp.linalg.norm(setting.outputs0)),
        jacobian_norm=jacobian,
        hessian_norm=hessian,
        kappa=kappa,
        sigma_min=smallest,
        rank=int(np.sum(values > 0)),
        condition_number=float(values[-1] / smallest**2) if smallest > 0 else np.inf,
        eigenvalues=tuple(float(v) for v in values[::-1]),
        predicted=predicted,
        certified=certified,
        measured=measured,
        verdict=word,
        reasons=reasons,
        limits=(),
        seconds=round(clock.perf_counter() - begin, 2),
        versions={"lazy-course": lazy_course.__version__} | {name: version(name) for name in ("jax", "numpy")},
    )
    kinks = inputs.kinks(f, problem.params, problem.x)
    return replace(found, limits=words.limits(found, kinks, why_not, rounding(setting)))


def _check_options(
    problem: inputs.Problem,
    loss: Any,
    trained: PyTree | None,
    budget: int | None,
    fit: float,
    effort: str,
    memory: int,
    largest: int,
) -> None:
    if problem.y is None and loss is None:
        raise ValueError("y: expected targets of the shape of f(params, x), got None; give y, or a loss of the outputs")
    if loss is not None and not callable(loss):
        raise ValueError(
            f"loss: expected a function of the flat outputs (n k,), got {loss!r}; leave it out for squares"
        )
    if trained is not None and budget is not None:
        raise ValueError("budget: expected trained_params or a budget of steps, got both; leave one out")
    if budget is not None and budget < 1:
        raise ValueError(f"budget: expected at least one step, got {budget}")
    if not 0 < fit < 1:
        raise ValueError(f"fit: expected a share of the loss between 0 and 1, got {fit}")
    if effort not in ("full", "quick"):
        raise ValueError(f"effort: expected 'full' or 'quick', got {effort!r}")
    if largest < problem.outputs:
        raise ValueError(
            f"largest_kernel: expected at least the {problem.outputs} outputs of one sample, got {largest}"
        )
    if memory < 2**20:
        raise ValueError(f"memory: expected bytes, at least 2**20, got {memory}")


def _setting(
    problem: inputs.Problem,
    loss: Any,
    alpha: float,
    key: AnyKey,
    fit: float,
    memory: int,
    largest: int,
    devices: int | None,
) -> tuple[Setting, int]:
    """The problem on the samples that are used, with kernel and spectrum at w0; and the number of samples given."""
    given, k = problem.x.shape[0], problem.outputs
    key_draw, key = jax.random.split(key)
    x, target = problem.x, problem.y
    if given * k > largest:
        if loss is not None:
            raise ValueError(
                f"largest_kernel: {given} samples of {k} outputs need {given * k} rows, got {largest}; a loss of one's "
                "own cannot be cut to fewer samples: give fewer samples, or allow a larger kernel"
            )
        chosen = np.sort(np.asarray(jax.random.choice(key_draw, given, (largest // k,), replace=False)))
        x, target = x[chosen], None if target is None else target.reshape(given, k)[chosen].reshape(-1)
    x = spread(x, devices)
    network = parts.InBlocks(problem.f, _block(problem.f, problem.params, x, memory))
    h = models.as_map(network, x)
    if loss is None:
        assert target is not None
        loss = SquareLoss(target)
    outputs0 = alpha * h(problem.params)
    _check_loss(loss, outputs0)
    kernel0 = _kernel(network, problem.params, x, memory)
    return Setting(
        h, network, problem.params, x, loss, alpha, outputs0, kernel0, parts.spectrum(kernel0), memory, fit, key
    ), given


def spread(x: Array, devices: int | None = None) -> Array:
    """x with its rows spread evenly over devices (default: the largest number of them that divides the rows).

    Raises `ValueError` if there are not so many devices, or if they do not divide the number of rows.
    """
    there = jax.local_devices()
    count = devices if devices is not None else max(c for c in range(1, len(there) + 1) if x.shape[0] % c == 0)
    if not 1 <= count <= len(there) or x.shape[0] % count:
        raise ValueError(
            f"devices: expected between 1 and {len(there)} that divide the {x.shape[0]} samples, got {devices}"
        )
    if count == 1:
        return x
    mesh = jax.sharding.Mesh(np.array(there[:count]), ("samples",))
    return jax.device_put(x, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("samples")))


def _block(f: Callable[..., Array], params: PyTree, x: Array, memory: int) -> int:
    """Samples whose values, tangents and gradients fit into half of the memory, as f is traced on one row."""
    sizes, item = kernel_blocks.measure(f, params, x, layers=False)
    return int(max(1, memory // (2 * 8 * item * max(1, sizes.forward))))


def _kernel(f: Callable[..., Array], params: PyTree, x: Array, memory: int) -> Array:
    kernel = kernels.tangent_kernel(f, params, x, memory=memory)
    size = kernel.shape[0] * kernel.shape[1]
    kernel = kernel.reshape(size, size)
    if not bool(jnp.all(jnp.isfinite(kernel))):
        raise ValueError(
            "f: expected finite derivatives at params, got a tangent kernel with nan or inf; f is not differentiable "
            "here (a square root or a norm at 0?), or overflows: move or rescale the weights"
        )
    if not bool(jnp.any(kernel != 0)):
        raise ValueError(
            "f: expected outputs that change with params, got a zero Jacobian; is f piecewise constant (a label, a "
            "sign, a round), or are the parameters cut off by stop_gradient?"
        )
    return kernel


def _check_loss(loss: Any, outputs: Array) -> None:
    try:
        value = loss(outputs)
    except (TypeError, ValueError) as error:
        raise ValueError(f"loss: fails on flat outputs of shape {outputs.shape}: {error}") from error
    if jnp.ndim(value) != 0 or not bool(jnp.isfinite(value)):
        raise ValueError(f"loss: expected a finite scalar at alpha h(w0), got {value}; sum or average over the outputs")


def _size(params: PyTree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def _distance(s: Setting) -> float:
    minimizer = getattr(s.loss, "minimizer", None)
    return float("nan") if minimizer is None else float(jnp.linalg.norm(s.outputs0 - minimizer))


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
        "displacement": parts.norm(step),
        "start": parts.norm(params0),
        "jacobian": parts.jacobian_drift(h, params0, params, key=key),
        "outputs": alpha * h(params),
    }


def predict(s: Setting) -> tuple[Predicted, PyTree]:
    r"""Where the linearized model ends, how wrong it is there, and the direction $\bar v$ in which it goes."""
    flow_time, steps = None, None
    if isinstance(s.loss, SquareLoss):
        residual = s.outputs0 - s.loss.target
        time = parts.time_to_fit(s.spectrum, residual, s.fit)
        flow_time, force = float(time), parts.linearized_force(s.spectrum, residual, time)
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
    terms = float(jnp.linalg.norm(s.outputs0)) + s.alpha * float(jnp.sqrt(s.spectrum.values[-1]) * parts.norm(s.params))
    return 10 * float(jnp.finfo(s.kernel0.dtype).eps) * terms


def _over(after: float, before: float) -> float:
    return after / before if before > 0 else np.nan


def _kernel_or_nan(s: Setting, params: PyTree) -> Array:
    """The kernel at other parameters; nan where it is not finite, since only w0 must be a good point."""
    found = kernels.tangent_kernel(s.network, params, s.x, memory=s.memory)
    return found.reshape(s.kernel0.shape)


def _step_size(s: Setting) -> float:
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
    size = _step_size(s)

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
def _trained(h: models.BatchMap, params: PyTree, loss: Any, alpha: Array, size: Array, steps: Array) -> PyTree:
    return parts.descent(h, params, loss, alpha, size, steps)[0]


def train(s: Setting, budget: int, step_size: float | None, activations: Callable[..., PyTree] | None) -> Measured:
    """Train by full-batch descent, and its linearization by the same steps, and compare.

    Raises `ValueError` if a parameter ends at a value that is not finite: the step is too large.
    """
    size = _step_size(s) if step_size is None else inputs.require_positive("step_size", step_size)
    number = s.kernel0.dtype
    args = (jnp.asarray(s.alpha, number), jnp.asarray(size, number), jnp.asarray(budget))
    end = _trained(s.h, s.params, s.loss, *args)
    if not all(bool(jnp.all(jnp.isfinite(leaf))) for leaf in jax.tree.leaves(end)):
        raise ValueError(f"step_size: the training with {size:.3g} ended at nan or inf; take a smaller one")
    linear = jax.jit(lambda: parts.linearized_descent(s.kernel0, s.outputs0, s.loss, args[1], args[2]))()
    return measure(s, end, activations, source=f"{budget} steps of gradient descent of size {size:.3g}", linear=linear)


def measure(
    s: Setting,
    trained: PyTree,
    activations: Callable[..., PyTree] | None,
    *,
    source: str,
    linear: tuple[Array, Array] | None = None,
) -> Measured:
    r"""What separates trained parameters from $w_0$; `linear` is where the linearized model ended (outputs, force)."""
    found = _compared(s.h, s.params, trained, jnp.asarray(s.alpha, s.kernel0.dtype), jax.random.fold_in(s.key, 2))
    drift = parts.kernel_drift(s.kernel0, _kernel_or_nan(s, trained))
    linear = _matched(s, found["outputs"]) if linear is None else linear
    function, parameter = None, None
    if linear is not None:
        outputs, force = linear
        wbar = jax.tree.map(lambda w, v: w + v / s.alpha, s.params, _pulled(s.h, s.params, force))
        parameter = float(parts.parameter_displacement(wbar, trained) / found["displacement"])
        distance = _distance(s)
        if np.isfinite(distance) and distance > 0:
            function = float(jnp.linalg.norm(outputs - found["outputs"])) / distance
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
        parameter_gap=parameter,
        kernel_drift=float(drift.relative),
        kernel_turned=float(drift.turned),
        jacobian_drift=float(found["jacobian"]),
        loss_start=float(s.loss(s.outputs0)),
        loss_end=float(s.loss(found["outputs"])),
        activation_stability=stable,
    )


def _matched(s: Setting, outputs: Array) -> tuple[Array, Array] | None:
    """The linearized flow of the square loss at the time when its loss is that of the trained model; None for others."""
    if not isinstance(s.loss, SquareLoss):
        return None
    residual = s.outputs0 - s.loss.target
    seen = s.spectrum.values > 0
    along = (s.spectrum.vectors.T @ residual) ** 2
    can, cannot = 0.5 * float(jnp.sum(jnp.where(seen, along, 0.0))), 0.5 * float(jnp.sum(jnp.where(seen, 0.0, along)))
    left = (float(s.loss(outputs)) - cannot) / can if can > 0 else 1.0
    if left >= 1.0:
        return None
    time = parts.time_to_fit(s.spectrum, residual, 1.0 - max(left, 1e-12))
    return s.loss.target + parts.remaining(s.spectrum, residual, time), parts.linearized_force(
        s.spectrum, residual, time
    )


@eqx.filter_jit
def _climbed(h: models.BatchMap, params: PyTree, direction: PyTree, key: AnyKey) -> Array:
    r"""The largest $\|D^2h[u, u]\|$ met on a short climb: along v, along random u, and as u and its image alternate."""
    w, unravel = ravel_pytree(params)
    outputs = outputs_of(h, unravel, jax.eval_shape(h, params).size)
    flat = ravel_pytree(direction)[0].astype(w.dtype)
    drawn = jax.random.normal(key, w.shape, dtype=w.dtype)

    def climb(_: Array | int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        u, best = state
        u = u / jnp.linalg.norm(u)
        image = second_differential(outputs.together, w, u, u)
        size = jnp.linalg.norm(image)
        image = jnp.where(size > 0, image, 1.0)
        return weighted_hessian(outputs, w, image / jnp.linalg.norm(image))(u), jnp.maximum(best, size)

    # v alone may lie where D2h vanishes (a symmetrized start), so half of the first direction is random.
    mixed = flat / jnp.linalg.norm(flat) + drawn / jnp.linalg.norm(drawn)
    along = jnp.linalg.norm(second_differential(outputs.together, w, flat, flat)) / jnp.vdot(flat, flat)
    return jnp.abs(outputs.factor) * jax.lax.fori_loop(0, 8, climb, (mixed, along))[1]


def _norms(s: Setting, direction: PyTree, effort: str) -> tuple[Pair, Pair, Pair]:
    """The brackets of |Dh|, |D2h| and kappa; with effort "quick" |D2h| is known from below, along one direction."""
    # The eigenvalue is exact but for N roundings of it.
    largest, size = float(s.spectrum.values[-1]), s.kernel0.shape[0]
    rounding = size * float(jnp.finfo(s.kernel0.dtype).eps)
    jacobian = float(np.sqrt(largest * (1 - rounding))), float(np.sqrt(largest * (1 + rounding)))
    if effort == "full":
        flat = ravel_pytree(s.params)[0]
        each = s.memory // (4 * flat.size * flat.dtype.itemsize)
        lower, upper = norms.hessian_operator_norm(
            s.h, s.params, key=jax.random.fold_in(s.key, 3), memory=min(s.memory, 2**27) if each else s.memory
        )
        hessian = float(lower), float(upper)
    else:
        hessian = float(_climbed(s.h, s.params, direction, s.key)), np.inf
    distance = _distance(s) / s.alpha
    return jacobian, hessian, (distance * hessian[0] / jacobian[1] ** 2, distance * hessian[1] / jacobian[0] ** 2)
