r"""Stochastic gradient descent of centred and scaled networks, a stack of scales at once, in displacement coordinates.

All members of a stack share the start $w_0$, the data and the batches, and differ in $\alpha$. What is trained is
$v = \alpha (w - w_0)$: descent on $R(\alpha (f(w_0 + v/\alpha) - f(w_0)))$ in v is descent on $R/\alpha^2$ in w with
the same step, and $\alpha = \infty$, the linearized model $Df(w_0) v$, is a member like any other.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, PyTree

from lazy_course.convnets.data import augment
from lazy_course.models import AnyKey

Network = Callable[[PyTree, Array], Array]
LOSSES = ("square", "cross_entropy")
CHUNK = 512  # inputs of one evaluation


class Rule(NamedTuple):
    """How a stack is trained; part of the compiled program.

    Descent with `momentum` and step $\\eta_0/(1 + \\beta t)$ in epoch t, `decay` = $\\beta$; batches of `batch`.
    """

    loss: str
    batch: int
    momentum: float
    decay: float
    linear: bool
    augmented: bool
    mesh: Mesh | None


class State(NamedTuple):
    """Where the members stand: v and the optimizer's state, each leaf with the members first."""

    way: PyTree
    memory: optax.OptState


class Seen(NamedTuple):
    """Loss R and accuracy of each member on a data set."""

    loss: Float[Array, " R"]
    accuracy: Float[Array, " R"]


def devices_mesh(batch: int) -> Mesh | None:
    """All devices of this process in a row, for batches that they divide; None if there is one, or if they do not."""
    devices = jax.devices()
    if len(devices) == 1 or batch % len(devices):
        return None
    return jax.make_mesh((len(devices),), ("batch",), axis_types=(AxisType.Auto,))


def optimizer(rule: Rule, steps: int) -> optax.GradientTransformation:
    r"""Descent with momentum; the step is $1/(1 + \beta t)$ in epoch t = 0, 1, ... of `steps` steps.

    Members' own $\eta_0$ multiply what it returns. Source: chizat2019lazy, Section 3.2.
    """
    return optax.sgd(lambda count: 1.0 / (1.0 + rule.decay * (count // steps)), momentum=rule.momentum)


def begin(start: PyTree, members: int, rule: Rule, steps: int) -> State:
    """The state v = 0 of all members."""
    way = jax.tree.map(lambda leaf: jnp.zeros((members, *leaf.shape), leaf.dtype), start)
    return State(way, optimizer(rule, steps).init(way))


def outputs(f: Network, start: PyTree, way: PyTree, alpha: Array, x: Array, base: Array, linear: bool) -> Array:
    r"""$\alpha (f(w_0 + v/\alpha, x) - f(w_0, x))$ of one member, or $Df(w_0, x) v$; `base` is $f(w_0, x)$."""
    if linear:
        return jax.jvp(lambda w: f(w, x), (start,), (way,))[1]
    now = jax.tree.map(lambda w, v: w + v / alpha.astype(w.dtype), start, way)
    return alpha.astype(base.dtype) * (f(now, x) - base)


def risk(z: Float[Array, "n k"], y: Int[Array, " n"], loss: str) -> Float[Array, ""]:
    """The mean over samples (square: and over outputs, with targets 0 and 1) of the loss of outputs z, classes y."""
    if loss == "square":
        return jnp.mean((z - jax.nn.one_hot(y, z.shape[1], dtype=z.dtype)) ** 2)
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(z, y))


@eqx.filter_jit
def epoch(
    f: Network,
    rule: Rule,
    start: PyTree,
    state: State,
    alphas: Float[Array, " R"],
    rates: Float[Array, " R"],
    x: Float[Array, "n ..."],
    y: Int[Array, " n"],
    key: AnyKey,
) -> State:
    """All batches of one epoch, in the order that the key draws; what is left over of the data waits for another."""
    steps = x.shape[0] // rule.batch
    key_order, key_augment = jax.random.split(key)
    order = jax.random.permutation(key_order, x.shape[0])[: steps * rule.batch].reshape(steps, rule.batch)
    descent = optimizer(rule, steps)

    def step(now: State, job: tuple[Array, Array]) -> tuple[State, None]:
        rows, number = job
        images, labels = shared(x[rows], rule.mesh), shared(y[rows], rule.mesh)
        if rule.augmented:
            images = augment(jax.random.fold_in(key_augment, number), images)
        base = f(start, images)

        def total(way: PyTree) -> Array:
            one = jax.vmap(lambda v, a: risk(outputs(f, start, v, a, images, base, rule.linear), labels, rule.loss))
            return jnp.sum(one(way, alphas))

        update, memory = descent.update(jax.grad(total)(now.way), now.memory)
        way = jax.tree.map(lambda v, u: v + rates.astype(v.dtype).reshape(-1, *[1] * (u.ndim - 1)) * u, now.way, update)
        return State(way, memory), None

    return jax.lax.scan(step, state, (order, jnp.arange(steps)))[0]


def shared(part: Array, mesh: Mesh | None) -> Array:
    """The rows of a batch divided among the devices of the mesh."""
    if mesh is None:
        return part
    return jax.lax.with_sharding_constraint(part, NamedSharding(mesh, PartitionSpec("batch")))


@eqx.filter_jit
def predict(
    f: Network, start: PyTree, way: PyTree, alphas: Float[Array, " R"], x: Float[Array, "n ..."], *, linear: bool
) -> Float[Array, "R n k"]:
    """The outputs of all members (`linear`: of their tangent models), on `CHUNK` inputs at a time."""

    def chunk(rows: Array) -> Array:
        base = f(start, rows)
        return jax.vmap(lambda v, a: outputs(f, start, v, a, rows, base, linear))(way, alphas)

    size = min(CHUNK, x.shape[0])
    whole = x.shape[0] // size * size
    parts = jax.lax.map(chunk, x[:whole].reshape(-1, size, *x.shape[1:]))
    found = jnp.swapaxes(parts, 0, 1).reshape(alphas.shape[0], whole, -1)
    return found if whole == x.shape[0] else jnp.concatenate([found, chunk(x[whole:])], axis=1)


@eqx.filter_jit
def measure(z: Float[Array, "R n k"], y: Int[Array, " n"], loss: str) -> Seen:
    """Loss and accuracy of each member from its outputs; outputs that are not finite count as wrong."""
    right = jnp.argmax(z, axis=2) == y[None]
    right &= jnp.all(jnp.isfinite(z), axis=2)
    return Seen(jax.vmap(lambda outs: risk(outs, y, loss))(z), jnp.mean(right, axis=1))
