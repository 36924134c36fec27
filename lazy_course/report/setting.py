"""The checked problem of a report: the samples that are used, the map h, its loss, its kernel and spectrum at w0."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from lazy_course import kernel_blocks, kernels, models
from lazy_course.losses import SquareLoss
from lazy_course.models import AnyKey
from lazy_course.report import inputs, parts


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


def check_options(
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


def prepare(
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
        h,
        network,
        problem.params,
        x,
        loss,
        alpha,
        outputs0,
        kernel0,
        jax.jit(parts.spectrum)(kernel0),
        memory,
        fit,
        key,
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


def parameter_count(params: PyTree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def distance(s: Setting) -> float:
    minimizer = getattr(s.loss, "minimizer", None)
    return float("nan") if minimizer is None else float(jnp.linalg.norm(s.outputs0 - minimizer))
