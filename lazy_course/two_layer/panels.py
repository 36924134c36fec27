r"""The settings of Figures 1(c), 2(a) and 2(b), and the stacks of runs that each of them is made of.

Three presets: `paper` is what the text says, with the code's choice where the text is silent; `as-coded` is what the
authors' public code does; `quick` is small, for tests and for a first look. A repetition draws one teacher, one data
set and one start; the runs of a repetition share them, and differ in tau, in width or in scale.
Source: chizat2019lazy, Section 3.1.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from lazy_course.models import AnyKey
from lazy_course.two_layer import numerics
from lazy_course.two_layer.numerics import Data, Rates, Teacher, Weights

TAUS_1C = tuple(round(-2.2 + 0.1 * i, 1) for i in range(33))
TAUS_2B = (-2.0, -1.7, -1.4, *(round(-1.0 + 0.1 * i, 1) for i in range(11)), 0.3, 0.6, 0.9)
WIDTHS_2A = ((2, 3, 4, 6, 8), (12, 16, 24, 32), (64,), (128,), (256,), (512,))


class Job(NamedTuple):
    """One stack of runs: where it starts, how it steps, on which data. `batch` is 0 for full-batch descent."""

    weights: Weights
    rates: Rates
    data: Data
    teacher: Teacher
    key: AnyKey
    batch: int


@dataclass(frozen=True)
class AgainstTau:
    """Figure 1(c): test loss against tau; gradient descent with step min(cap, ratio / tau^2); `logs` are log10(tau)."""

    d: int = 100
    n: int = 1000
    n_test: int = 1000
    m: int = 50
    logs: tuple[float, ...] = TAUS_1C
    runs: int = 10
    iterations: int = 10_000
    every: int = 10
    ratio: float = 0.1
    cap: float = 10.0
    positive: bool = False
    dtype: str = "float32"
    seed: int = 1

    @property
    def jobs(self) -> int:
        """One stack a repetition."""
        return self.runs

    def job(self, index: int) -> Job:
        """The stack of one repetition: all tau."""
        keys = repetition(self.seed, index)
        teacher, data = draw_problem(keys, self.d, self.n, self.n_test)
        unit = numerics.draw_student(keys[2], self.d, self.m, symmetrized=True, positive=self.positive)
        tau = 10.0 ** jnp.asarray(self.logs)
        steps = jnp.minimum(self.cap, self.ratio / tau**2)
        rates = Rates(jnp.ones_like(tau), steps, steps)
        return cast(Job(numerics.scaled_weights(unit, tau), rates, data, teacher, keys[3], 0), self.dtype)


@dataclass(frozen=True)
class AgainstWidth:
    r"""Figure 2(a): test loss against m for $\alpha(m) = 1/\sqrt m$ (run 2i of a stack) and 1/m (run 2i + 1).

    Descent on $R/\alpha^2$ with step `root_ratio`/m and `mean_ratio`/m; the teacher is multiplied by `teacher_scale`.
    Widths of a group share a stack, the narrow ones filled up with neurons of weight 0. Weights are standard normal.
    """

    d: int = 100
    n: int = 1000
    n_test: int = 1000
    widths: tuple[tuple[int, ...], ...] = WIDTHS_2A
    runs: int = 5
    iterations: int = 25_000
    every: int = 25
    root_ratio: float = 1.0
    mean_ratio: float = 1.0
    teacher_scale: float = 1.0
    dtype: str = "float32"
    seed: int = 2

    @property
    def jobs(self) -> int:
        """One stack a repetition and group of widths."""
        return self.runs * len(self.widths)

    def job(self, index: int) -> Job:
        """The stack of one repetition and one group: both scales of each width."""
        run, group = divmod(index, len(self.widths))
        keys = repetition(self.seed, run)
        teacher, data = draw_problem(keys, self.d, self.n, self.n_test, teacher_scale=self.teacher_scale)
        most = max(self.widths[group])
        students, scales, steps = [], [], []
        for m in self.widths[group]:
            for place, (scale, ratio) in enumerate(((m**-0.5, self.root_ratio), (1 / m, self.mean_ratio))):
                key = jax.random.fold_in(jax.random.fold_in(keys[2], m), place)
                students.append(padded(numerics.draw_student(key, self.d, m, symmetrized=False), most))
                scales.append(scale)
                steps.append(ratio / m)
        stack = Weights(*(jnp.concatenate(leaves) for leaves in zip(*students, strict=True)))
        rates = Rates(jnp.asarray(scales), jnp.asarray(steps), jnp.asarray(steps))
        return cast(Job(stack, rates, data, teacher, keys[3], 0), self.dtype)


@dataclass(frozen=True)
class Population:
    r"""Figure 2(b): population loss against tau by SGD with fresh batches; `logs` are log10(tau).

    The student is `scale` times the sum of its neurons, the teacher is multiplied by `teacher_scale`. The step of both
    layers is min(cap, ratio / tau^2) times `output_factor` or `input_factor` (on $R/\alpha^2$).
    """

    d: int = 100
    n_test: int = 2000
    m: int = 50
    logs: tuple[float, ...] = TAUS_2B
    runs: int = 5
    iterations: int = 20_000
    every: int = 100
    batch: int = 200
    ratio: float = 0.1
    cap: float = 10.0
    scale: float = 1.0
    teacher_scale: float = 1.0
    input_factor: float = 1.0
    output_factor: float = 1.0
    positive: bool = False
    dtype: str = "float32"
    seed: int = 3

    @property
    def jobs(self) -> int:
        """One stack a repetition."""
        return self.runs

    def job(self, index: int) -> Job:
        """The stack of one repetition: all tau. Training points are drawn as it goes; both losses are estimates."""
        keys = repetition(self.seed, index)
        teacher, data = draw_problem(keys, self.d, self.n_test, self.n_test, teacher_scale=self.teacher_scale)
        unit = numerics.draw_student(keys[2], self.d, self.m, symmetrized=True, positive=self.positive)
        tau = 10.0 ** jnp.asarray(self.logs)
        steps = jnp.minimum(self.cap, self.ratio / tau**2)
        rates = Rates(self.scale * jnp.ones_like(tau), self.input_factor * steps, self.output_factor * steps)
        stack = numerics.scaled_weights(unit, tau)
        return cast(Job(stack, rates, data, teacher, keys[3], self.batch), self.dtype)


Panel = AgainstTau | AgainstWidth | Population
S = TypeVar("S")

# The code of 2(b): the student is a mean over its m = 50 neurons, the teacher is divided by the batch size, and the
# gradient lacks the factor 1/m of the student and has a factor d for the input weights.
CODED_2B = Population(
    runs=10,
    ratio=0.25,
    cap=25.0,
    scale=1 / 50,
    teacher_scale=1 / 200,
    input_factor=100 / 50,
    output_factor=1 / 50,
    positive=True,
)

CODED_2A = AgainstWidth(runs=10, teacher_scale=100.0, mean_ratio=0.05)

PANELS: dict[str, dict[str, Panel]] = {
    "fig1c": {
        "paper": AgainstTau(),
        "as-coded": AgainstTau(positive=True),
        "quick": AgainstTau(d=10, n=60, n_test=100, m=8, logs=(-1.5, -0.5, 0.5), runs=2, iterations=200),
    },
    "fig2a": {
        "paper": AgainstWidth(),
        "as-coded": CODED_2A,
        "as-coded-2-runs": replace(CODED_2A, runs=2),
        "quick": AgainstWidth(d=10, n=60, n_test=100, widths=((2, 4), (8,)), runs=2, iterations=250),
    },
    "fig2b": {
        "paper": Population(),
        "as-coded": CODED_2B,
        "as-coded-without-d": replace(CODED_2B, input_factor=1 / 50),
        "quick": Population(d=10, n_test=100, m=8, logs=(-1.5, -0.5, 0.5), runs=2, iterations=400, batch=20),
    },
}


def repetition(seed: int, run: int) -> Array:
    """Four keys of a repetition: teacher, data, start, batches."""
    return jax.random.split(jax.random.fold_in(jax.random.key(seed), run), 4)


def draw_problem(keys: Array, d: int, n: int, n_test: int, *, teacher_scale: float = 1.0) -> tuple[Teacher, Data]:
    """A teacher, its outputs multiplied by `teacher_scale`, and data with its answers, from a repetition's keys."""
    teacher = numerics.draw_teacher(keys[0], d)
    teacher = Teacher(teacher.inputs, teacher_scale * teacher.outputs)
    return teacher, draw_data(keys[1], teacher, n, n_test)


def draw_data(key: AnyKey, teacher: Teacher, n: int, n_test: int) -> Data:
    """n training and `n_test` test points on the sphere with the teacher's answers."""
    key_train, key_test = jax.random.split(key)
    x = numerics.sphere(key_train, n, teacher.inputs.shape[1])
    x_test = numerics.sphere(key_test, n_test, teacher.inputs.shape[1])
    return Data(x, teacher(x), x_test, teacher(x_test))


def padded(weights: Weights, m: int) -> Weights:
    """The same student with neurons a = 0, b = 0 up to width m: no step moves them."""
    missing = m - weights.outputs.shape[1]
    return Weights(
        jnp.pad(weights.inputs, ((0, 0), (0, missing), (0, 0))), jnp.pad(weights.outputs, ((0, 0), (0, missing)))
    )


def cast(job: Job, dtype: str) -> Job:
    """The job in single or double precision, as a compiled program takes it."""
    kind = np.dtype(dtype)

    def single(part: S) -> S:
        return jax.tree.map(lambda leaf: leaf.astype(kind), part)

    return Job(single(job.weights), single(job.rates), single(job.data), single(job.teacher), job.key, job.batch)
