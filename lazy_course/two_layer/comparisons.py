"""What is set beside the plain runs: the linearized model, kappa, the faster road, and the best tangent fit.

`lazy-course reproduce fig1c-linearized | fig1c-road | fig2b-plateau` write their records into data/, as the panels do.
They draw what the panels draw, from the same keys, in double precision.
"""

import dataclasses
import time
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course.half_spaces import half_space_moments
from lazy_course.models import RealArray
from lazy_course.store import digits, versions
from lazy_course.two_layer import linearized, stabilized
from lazy_course.two_layer.numerics import Teacher, Weights
from lazy_course.two_layer.panels import AgainstTau, Job, Population


def unit_start(settings: AgainstTau | Population, job: Job) -> Weights:
    """The start of a repetition at tau = 1."""
    tau = 10.0 ** settings.logs[0]
    return Weights(job.weights.inputs[:1] / tau, job.weights.outputs[:1] / tau)


def precise(settings: AgainstTau) -> AgainstTau:
    """The same settings in double precision: the same draws, not rounded."""
    return dataclasses.replace(settings, dtype="float64")


def against_linearized(settings: AgainstTau, *, points: int = 201) -> dict[str, Any]:
    """For each repetition the linearized model's losses at every tau, its limit, and kappa at tau = 1.

    `test_best` is the least test loss over `points` iterations, evenly spaced in log time.
    """
    start, rows = time.monotonic(), []
    grid = np.unique(np.round(np.geomspace(1, settings.iterations, points)))
    for index in range(settings.runs):
        job = precise(settings).job(index)
        unit = unit_start(settings, job)
        modes = linearized.modes(unit, job.data)
        # At tau the kernel is tau^2 times larger, and step * tau^2 is the same number for all tau above a threshold.
        sizes = np.asarray(job.rates.input_step) * 10.0 ** (2 * np.asarray(settings.logs))
        curves = {
            size: linearized.losses(modes, jnp.asarray(size), grid)
            for size in dict.fromkeys(np.round(sizes, 12).tolist())
        }
        found = [curves[size] for size in np.round(sizes, 12).tolist()]
        limit = linearized.losses(modes, jnp.asarray(1.0), np.array([np.inf]))
        rows.append(
            {
                "train_end": digits(np.array([float(train[-1]) for train, _ in found])),
                "test_end": digits(np.array([float(test[-1]) for _, test in found])),
                "test_best": digits(np.array([float(jnp.min(test)) for _, test in found])),
                "test_limit": float(f"{float(limit[1][0]):.6g}"),
                "unit_kappa": float(f"{float(linearized.unit_kappa(unit, job.data)):.6g}"),
                "stiffness": float(f"{float(modes.rates[-1]):.6g}"),
            }
        )
    return described(settings, start) | {"jobs": rows}


def by_the_road(settings: AgainstTau, *, runs: int = 10, tolerance: float = 1e-3) -> dict[str, Any]:
    """End losses and gradient evaluations of the stabilized method, from the starts of the first `runs` repetitions."""
    start, rows = time.monotonic(), []
    for index in range(min(runs, settings.runs)):
        job = precise(settings).job(index)
        found = []
        for place in range(len(settings.logs)):
            weights = Weights(job.weights.inputs[place : place + 1], job.weights.outputs[place : place + 1])
            step = job.rates.input_step[place]
            found.append(stabilized.follow(weights, job.data, settings.iterations * step, tolerance, step))
        rows.append(
            {
                "train_end": digits(np.array([float(road.train) for road in found])),
                "test_end": digits(np.array([float(road.test) for road in found])),
                "test_best": digits(np.array([float(road.best) for road in found])),
                "evaluations": [int(road.evaluations) for road in found],
            }
        )
    return described(settings, start) | {"tolerance": tolerance, "jobs": rows}


def described(settings: Any, start: float) -> dict[str, Any]:
    """How a record was made."""
    return {
        "settings": dataclasses.asdict(settings),
        "versions": versions(),
        "seconds": round(time.monotonic() - start, 1),
    }


def plateaus(settings: Population) -> dict[str, Any]:
    """For each repetition the linearized model's population loss, in units of the teacher of norm 1.

    `values` are its infimum, `test_end` (one a tau) what descent on the population loss itself reaches in as many
    steps as the panel makes.
    """
    start, values, ends = time.monotonic(), [], []
    logs = np.asarray(settings.logs)
    sizes = np.minimum(settings.cap, settings.ratio / 10.0 ** (2 * logs)) * 10.0 ** (2 * logs)
    for index in range(settings.runs):
        job = dataclasses.replace(settings, dtype="float64").job(index)
        unit = unit_start(settings, job)
        teacher = Teacher(job.teacher.inputs, job.teacher.outputs / settings.teacher_scale)
        # A symmetrized student has each direction twice.
        half = settings.m // 2
        once = Weights(unit.inputs[:, :half], unit.outputs[:, :half])
        values.append(float(f"{float(best_tangent_fit(once.inputs[0], teacher)):.6g}"))
        factors = 2 * settings.input_factor, 2 * settings.output_factor
        ends.append(digits(np.asarray(linearized_descent(once, teacher, sizes, settings.iterations, factors))))
    return described(settings, start) | {"values": values, "test_end": ends}


@eqx.filter_jit
def best_tangent_fit(inputs: Float[Array, "m d"], teacher: Teacher) -> Float[Array, ""]:
    r"""$\inf_v \frac12 E (f^\star(x) - J_0 v)^2$, x uniform on the sphere: what the linearized model cannot beat.

    The tangent features of a ReLU neuron span the entries of $x 1_{\langle b_j, x\rangle > 0}$, so only the directions
    $b_j$ matter, and the same for every tau. The moments are known (`half_space_moments`); eigenvalues of the normal
    equations below 1e-13 of the largest are dropped.
    """
    gram, right, second = _moments(inputs, teacher)
    values, vectors = jnp.linalg.eigh(gram)
    return 0.5 * (second - jnp.sum(_explained(values, vectors.T @ right)))


@eqx.filter_jit
def linearized_descent(
    weights: Weights, teacher: Teacher, sizes: Float[RealArray, " taus"], steps: int, factors: tuple[float, float]
) -> Float[Array, " taus"]:
    r"""Population loss of the linearized model of one run (R = 1) after `steps` steps of exact descent from output 0.

    In the coordinates $v_j = a_j\,\delta b_j + b_j\,\delta a_j$ a step is $v \leftarrow v - \eta A (M v - c)$. Here M
    and c are the moments of the features, and $A_j = f_b a_j^2\,\mathrm{Id} + f_a b_j b_j^\top$ with $(f_b, f_a)$ the
    `factors`, 2 and 2 for a student that has each neuron twice. `sizes` are $\eta\tau^2$; the weights those of tau 1.
    """
    inputs, outputs = weights.inputs[0], weights.outputs[0]
    m, d = inputs.shape
    gram, right, second = _moments(inputs, teacher)
    square = jnp.sum(inputs**2, axis=1)
    across = jnp.sqrt(factors[0]) * jnp.abs(outputs)
    along = jnp.sqrt(factors[0] * outputs**2 + factors[1] * square)
    outer = inputs[:, :, None] * inputs[:, None, :] / square[:, None, None]
    root = across[:, None, None] * jnp.eye(d)[None] + (along - across)[:, None, None] * outer
    blocks = jnp.einsum("jab,jbkc,kce->jake", root, gram.reshape(m, d, m, d), root)
    values, vectors = jnp.linalg.eigh(blocks.reshape(m * d, m * d))
    explained = _explained(values, vectors.T @ jnp.einsum("jab,jb->ja", root, right.reshape(m, d)).ravel())
    left = (1 - jnp.asarray(sizes)[:, None] * jnp.maximum(values, 0.0)[None, :]) ** (2 * steps)
    return 0.5 * (second - jnp.sum((1 - left) * explained[None, :], axis=1))


def _moments(inputs: Float[Array, "m d"], teacher: Teacher) -> tuple[Array, Array, Array]:
    """Of the features x 1(<b_j, x> > 0) and the teacher: E of feature feature^T, feature f*, and f*^2."""
    student = inputs / jnp.linalg.norm(inputs, axis=1, keepdims=True)
    m, d = student.shape
    gram = jnp.moveaxis(half_space_moments(student, student), 1, 2).reshape(m * d, m * d)
    aligned = half_space_moments(student, teacher.inputs)
    right = jnp.einsum("jkab,kb,k->ja", aligned, teacher.inputs, teacher.outputs).ravel()
    among = half_space_moments(teacher.inputs, teacher.inputs)
    second = jnp.einsum("ikab,ia,kb,i,k->", among, teacher.inputs, teacher.inputs, teacher.outputs, teacher.outputs)
    return gram, right, second


def _explained(values: Array, projected: Array) -> Array:
    """What each mode takes from E f*^2 in the end."""
    kept = values > 1e-13 * values[-1]
    return jnp.where(kept, projected**2 / jnp.where(kept, values, 1.0), 0.0)
