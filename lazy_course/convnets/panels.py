r"""The settings of Figures 3(a), 3(b) and 7(a), and the stacks of runs that each of them is made of.

Three presets: `paper` is the published setting, with the authors' code where the text is silent, and wants a GPU;
`laptop` has MNIST-1D and scikit-learn's digits in place of CIFAR-10 and narrow networks; `quick` is for tests.
Source: chizat2019lazy, Section 3.2 and Section C.3.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from lazy_course.convnets import data, models, training
from lazy_course.convnets.activations import softplus, with_activation
from lazy_course.convnets.data import Split
from lazy_course.convnets.models import Layered
from lazy_course.convolutional import init_convolutional, vgg11
from lazy_course.models import Activation, AnyKey

NETWORKS = ("sequence", "vgg11", "resnet18")


class Job(NamedTuple):
    """One stack: the network, where it starts, its members' scales and steps, how it is trained, on what."""

    f: Layered
    start: PyTree
    alphas: Array
    rates: Array
    rule: training.Rule
    key: AnyKey


@dataclass(frozen=True)
class Study:
    r"""Networks of several widths trained at several scales on one data set.

    `widths` are channels of the sequence net, or factors of the channels of VGG-11 and ResNet-18. `groups` are the
    scales $\alpha$ that share a stack; `linearized` adds a stack of the linearized model, $\alpha = \infty$. `rate` is
    $\eta_0$, `linear_rate` that of the linearized model and of $\alpha \ge$ `lazy_from`. `gain` multiplies the initial
    weights. `limit` and `limit_test` cut the data set (0: all of it). `every` is the number of epochs between two
    measurements.
    """

    data: str = "mnist1d"
    network: str = "sequence"
    widths: tuple[float | int, ...] = (25,)
    groups: tuple[tuple[float, ...], ...] = ((1.0,),)
    linearized: bool = True
    runs: int = 5
    loss: str = "square"
    epochs: int = 80
    every: int = 5
    batch: int = 128
    rate: float = 1.0
    linear_rate: float = 1.0
    lazy_from: float = 1e6
    decay: float = 0.02
    momentum: float = 0.9
    gain: float = 1.0
    augmented: bool = False
    limit: int = 0
    limit_test: int = 0
    dtype: str = "float64"
    seed: int = 7

    def split(self) -> Split:
        """The data set, cut and in this precision."""
        found = data.load(self.data)
        n, q = self.limit or len(found.y), self.limit_test or len(found.y_test)
        kind = np.dtype(self.dtype)
        return Split(found.x[:n].astype(kind), found.y[:n], found.x_test[:q].astype(kind), found.y_test[:q])

    @property
    def stacks(self) -> tuple[tuple[float, ...], ...]:
        """The groups of scales, and an empty one for the linearized model."""
        return (*self.groups, ()) if self.linearized else self.groups

    @property
    def jobs(self) -> int:
        """One stack a width, repetition and group; `place` says which."""
        return len(self.widths) * self.runs * len(self.stacks)

    def place(self, index: int) -> tuple[float | int, int, tuple[float, ...]]:
        """Width, repetition and scales of a job (no scales: the linearized model)."""
        rest, stack = divmod(index, len(self.stacks))
        width, run = divmod(rest, self.runs)
        return self.widths[width], run, self.stacks[stack]

    def index(self, width: float | int, run: int = 0) -> int:
        """The first job of a width and repetition; the inverse of `place`."""
        return (self.widths.index(width) * self.runs + run) * len(self.stacks)

    def job(self, index: int, shape: tuple[int, ...]) -> Job:
        """A stack, for inputs of a shape. The stacks of one repetition and width share start and batches."""
        width, run, scales = self.place(index)
        key_start, key_batches = jax.random.split(jax.random.fold_in(jax.random.key(self.seed), run))
        f, start = draw(key_start, self.network, width, shape, gain=self.gain)
        alphas = jnp.asarray(scales or (jnp.inf,))
        rates = jnp.where(alphas >= self.lazy_from, self.linear_rate, self.rate)
        rule = training.Rule(
            self.loss,
            self.batch,
            self.momentum,
            self.decay,
            not scales,
            self.augmented,
            training.devices_mesh(self.batch),
        )
        kind = np.dtype(self.dtype)
        return Job(f, jax.tree.map(lambda leaf: leaf.astype(kind), start), alphas, rates, rule, key_batches)


@dataclass(frozen=True)
class SmoothStudy(Study):
    """The same with the ReLU replaced by a softplus of this sharpness: a network without kinks."""

    sharpness: float = 10.0

    def job(self, index: int, shape: tuple[int, ...]) -> Job:
        """The stack, smooth."""
        found = super().job(index, shape)
        return found._replace(f=with_activation(found.f, self.activation))

    @cached_property
    def activation(self) -> Activation:
        """One function for all jobs, so that they share their compiled programs."""
        return softplus(self.sharpness)


def draw(
    key: AnyKey, network: str, width: float | int, shape: tuple[int, ...], *, gain: float = 1.0
) -> tuple[Layered, dict[str, Any]]:
    """A network by name and its initial parameters, for inputs of a shape.

    Raises `ValueError` for an unknown name or inputs that the network does not take.
    """
    if network not in NETWORKS:
        raise ValueError(f"network: expected one of {NETWORKS}, got {network!r}")
    if (network == "sequence") != (len(shape) == 1):
        raise ValueError(f"network: {network!r} does not take inputs of shape {shape}; choose other data")
    if network == "sequence":
        sequence = models.sequence_net(channels=round(width))
        return sequence, models.init_sequence_net(key, sequence, shape[0], gain=gain)
    if network == "vgg11":
        vgg = vgg11(width=width)
        return vgg, init_convolutional(key, vgg, shape, gain=gain)
    residual = models.resnet18(width=width)
    return residual, models.init_resnet18(key, residual, shape[-1], gain=gain)


DECADES = tuple(10.0**k for k in range(8))
# The onset lies between 1 and 100 here, so the laptop looks closer there.
LAPTOP_SCALES = (1.0, 10**0.25, 10**0.5, 10**0.75, 10.0, 10**1.5, *DECADES[2:])
ONSET_SCALES = tuple(10.0 ** (k / 2) for k in range(5))

_WIDE = Study(
    data="cifar10",
    network="vgg11",
    widths=(8.0,),
    groups=((1.0,), (1e7,)),
    linearized=False,
    runs=1,
    loss="cross_entropy",
    epochs=200,
    batch=8,
    rate=0.01,
    linear_rate=1.0,
    decay=0.0,
    gain=1.3,
    augmented=True,
)
# The steps of the laptop's Figure 3(b) are from a search over factors of two to three, on the first repetition and a
# middle width: the largest that leave the training loss falling at all widths (standard), and the one with the least
# training loss at the end (linearized). With cross-entropy a standard net at step 1 falls back to chance.
_NARROW = Study(
    data="digits",
    network="vgg11",
    widths=(1 / 16, 1 / 8, 1 / 4),
    runs=3,
    loss="cross_entropy",
    epochs=40,
    batch=32,
    rate=0.02,
    linear_rate=1.0,
    decay=0.02,
    gain=1.3,
    dtype="float32",
)
_QUICK = Study(widths=(4,), groups=((1.0, 1e3, 1e7),), runs=2, epochs=4, every=2, batch=20, limit=120, limit_test=120)

PANELS: dict[str, dict[str, tuple[Study, ...]]] = {
    "fig3a": {
        "paper": (
            Study(
                data="cifar10",
                network="vgg11",
                widths=(1.0,),
                groups=tuple((alpha,) for alpha in DECADES),
                linearized=False,
                runs=1,
                epochs=70,
                decay=1 / 3,
                augmented=True,
            ),
        ),
        "laptop": (Study(groups=(LAPTOP_SCALES,)),),
        "quick": (_QUICK,),
    },
    "fig3a-smooth": {
        "laptop": (SmoothStudy(groups=(DECADES[:7],), runs=1),),
        "quick": (SmoothStudy(**vars(replace(_QUICK, runs=1))),),
    },
    # Not in the paper: where laziness begins at other widths, for the comparison with kappa.
    "fig3a-widths": {
        "laptop": (Study(widths=(6, 12, 50), groups=(ONSET_SCALES,), runs=3),),
        "quick": (replace(_QUICK, runs=1),),
    },
    "fig3b": {
        "paper": (_WIDE, replace(_WIDE, network="resnet18", widths=(7.0,), gain=1.2)),
        "laptop": (
            Study(widths=(6, 12, 25, 50), runs=3, loss="cross_entropy", rate=0.1, linear_rate=4.0, dtype="float32"),
            _NARROW,
        ),
        "quick": (
            replace(_QUICK, groups=((1.0,),), runs=1, loss="cross_entropy"),
            replace(_NARROW, widths=(1 / 32,), runs=1, epochs=2, every=1, limit=64, limit_test=64),
        ),
    },
}
