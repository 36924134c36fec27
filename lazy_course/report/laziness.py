"""`laziness_report`: what the course can say about a model and its data before, and after, it is trained."""

import time as clock
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

import lazy_course
from lazy_course.losses import SquareLoss
from lazy_course.models import AnyKey
from lazy_course.report import inputs, proved, words
from lazy_course.report.curvature import brackets
from lazy_course.report.record import LazinessReport
from lazy_course.report.setting import Setting, check_options, distance, parameter_count, prepare
from lazy_course.report.training import measure, predict, rounding, train

Lipschitz = float | int | Callable[[float], float] | None
MEMORY = 2 * 2**30
LARGEST_KERNEL = 2000


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
    effort: str = "full",
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
    $R(\alpha h)/\alpha^2$ (`step_size` by default $1/(M\|Dh(w_0)\|^2)$, halved when the loss would grow).
    `activations(params, x)` returns
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
    check_options(problem, loss, trained_params, budget, fit, effort, memory, largest_kernel)
    trained = None if trained_params is None else inputs.require_same(problem.params, trained_params, "trained_params")
    alpha = inputs.require_positive("alpha", alpha)
    setting, given = prepare(problem, loss, alpha, key, fit, memory, largest_kernel, devices)
    predicted, direction = predict(setting)
    measured = None
    if trained is not None:
        measured = measure(setting, trained, activations, source="the parameters given")
    elif budget is not None:
        measured = train(setting, budget, step_size, activations)
    jacobian, hessian, kappa = brackets(setting, direction, effort)
    certified, why_not = proved.certify(setting.h, setting.params, setting.loss, alpha, lip_dh)
    word, reasons = words.verdict(predicted, measured, certified, kappa[1])
    found = LazinessReport(
        **_start(setting),
        samples_given=given,
        outputs=problem.outputs,
        jacobian_norm=jacobian,
        hessian_norm=hessian,
        kappa=kappa,
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


def _start(s: Setting) -> dict[str, Any]:
    """What the kernel and the outputs at w0 say."""
    values = np.asarray(s.spectrum.values)
    smallest = float(np.sqrt(values[0])) if parameter_count(s.params) >= values.size else 0.0
    return {
        "samples": s.x.shape[0],
        "parameters": parameter_count(s.params),
        "dtype": str(s.kernel0.dtype),
        "loss": "square" if isinstance(s.loss, SquareLoss) else type(s.loss).__name__,
        "alpha": s.alpha,
        "residual": distance(s),
        "initial_output": float(jnp.linalg.norm(s.outputs0)),
        "sigma_min": smallest,
        "rank": int(np.sum(values > 0)),
        "condition_number": float(values[-1] / smallest**2) if smallest > 0 else np.inf,
        "eigenvalues": tuple(float(v) for v in values[::-1]),
    }
