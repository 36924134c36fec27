"""What a report asks of its arguments; every refusal names the argument, what came, and what to do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

KINKS = {"max", "min", "abs", "sign", "reduce_max", "reduce_min", "argmax", "argmin", "floor", "round", "ceil"}


@dataclass(frozen=True)
class Problem:
    """A network with its parameters and data, checked: y is flat, in the order of the flattened outputs."""

    f: Callable[..., Array]
    params: PyTree
    x: Array
    y: Array | None
    outputs: int


def checked(f: Callable[..., Array], params: PyTree, x: Any, y: Any) -> Problem:
    """The arguments as arrays.

    Raises `ValueError` for parameters that are not floating arrays or not finite, inputs that are integers or have no
    rows, outputs of the wrong rank, type or number, or not finite, and targets of another shape.
    """
    params = _params(params)
    x = _inputs(x)
    try:
        shape = jax.eval_shape(f, params, x)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"f: f(params, x) fails for x of shape {x.shape}: {error}; expected f(params, x) -> (n, k) on a batch of "
            "rows (jax.vmap a function of one row, or see lazy_course.report.networks)"
        ) from error
    values = _outputs(f, params, x, shape)
    return Problem(_two_axes(f, shape), params, x, _targets(y, x, shape), 1 if values.ndim == 1 else values.shape[1])


def _params(params: PyTree) -> PyTree:
    leaves = jax.tree_util.tree_flatten_with_path(params)[0]
    if not leaves:
        raise ValueError("params: expected a pytree with floating arrays, got one without leaves")
    for path, leaf in leaves:
        name = f"params{jax.tree_util.keystr(path)}"
        dtype = getattr(leaf, "dtype", None)
        if dtype is None and not isinstance(leaf, float):
            raise ValueError(
                f"{name}: expected a floating array, got {type(leaf).__name__}; keep what is not trained out of params "
                "(equinox_network does so for an equinox module)"
            )
        if dtype is not None and not jnp.issubdtype(dtype, jnp.floating):
            raise ValueError(
                f"{name}: expected a floating array, got {dtype}: it has no derivative; keep what is not trained out "
                "of params, or cast it with .astype(float)"
            )
        if not np.all(np.isfinite(np.asarray(leaf))):
            raise ValueError(f"{name}: expected finite numbers, got nan or inf; initialize again or rescale")
    return jax.tree.map(jnp.asarray, params)


def _inputs(x: Any) -> Array:
    x = x if isinstance(x, jax.Array) else jnp.asarray(x)
    if x.ndim == 0 or x.shape[0] == 0:
        raise ValueError(f"x: expected one row per sample, got shape {x.shape}")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"x: expected floating inputs, got {x.dtype}; write x.astype(float), and for tokens or labels give the "
            "one-hot rows or the embedded rows"
        )
    if not bool(jnp.all(jnp.isfinite(x))):
        raise ValueError("x: expected finite inputs, got nan or inf; drop or fill these entries")
    return x


def _outputs(f: Callable[..., Array], params: PyTree, x: Array, shape: Any) -> Array:
    if not hasattr(shape, "shape"):
        raise ValueError(
            f"f: expected one array from f(params, x), got {type(shape).__name__}; return the outputs alone "
            "(a haiku or linen apply with state returns a pair: take its first part)"
        )
    if len(shape.shape) not in (1, 2) or shape.shape[0] != x.shape[0]:
        raise ValueError(
            f"f: expected outputs of shape (n, k) or (n,) with n = {x.shape[0]} rows, got {shape.shape}; reshape the "
            "outputs of a sample into one row, and vmap a function that takes one sample"
        )
    if not jnp.issubdtype(shape.dtype, jnp.floating):
        raise ValueError(
            f"f: expected floating outputs, got {shape.dtype}: an output like a class label has no derivative; "
            "return the logits"
        )
    values = f(params, x)
    if not bool(jnp.all(jnp.isfinite(values))):
        bad = int(jnp.sum(~jnp.isfinite(values)))
        raise ValueError(
            f"f: expected finite outputs at params, got {bad} that are nan or inf; rescale weights or data"
        )
    return values


def _two_axes(f: Callable[..., Array], shape: Any) -> Callable[..., Array]:
    if len(shape.shape) == 2:
        return f
    return lambda params, x: f(params, x)[:, None]


def _targets(y: Any, x: Array, shape: Any) -> Array | None:
    if y is None:
        return None
    y = y if isinstance(y, jax.Array) else jnp.asarray(y)
    wide = (*shape.shape, 1) if len(shape.shape) == 1 else shape.shape
    allowed = (wide, wide[:1]) if wide[1] == 1 else (wide,)
    if y.shape not in allowed:
        raise ValueError(
            f"y: expected the shape {shape.shape} of f(params, x), got {y.shape}; one row per sample, and one-hot rows "
            "(jax.nn.one_hot) for class labels"
        )
    if not jnp.issubdtype(y.dtype, jnp.floating):
        raise ValueError(f"y: expected floating targets, got {y.dtype}; write y.astype(float)")
    if not bool(jnp.all(jnp.isfinite(y))):
        raise ValueError("y: expected finite targets, got nan or inf; drop these samples")
    return jnp.ravel(y).astype(shape.dtype)


def require_same(params: PyTree, other: PyTree, name: str) -> PyTree:
    """`other` as arrays; raises `ValueError` unless it has the structure and shapes of params, and finite entries."""
    other = _params(other)
    if str(jax.tree.structure(params)) != str(jax.tree.structure(other)):
        raise ValueError(
            f"{name}: expected the structure of params, {jax.tree.structure(params)}, got {jax.tree.structure(other)}"
        )
    for (path, a), b in zip(jax.tree_util.tree_flatten_with_path(params)[0], jax.tree.leaves(other), strict=True):
        if jnp.shape(a) != jnp.shape(b):
            where = jax.tree_util.keystr(path)
            raise ValueError(f"{name}{where}: expected the shape {jnp.shape(a)}, got {jnp.shape(b)}; same model?")
    return other


def require_positive(name: str, value: Any) -> float:
    """The value as a float; raises `ValueError` unless it is a positive finite number."""
    if not (np.ndim(value) == 0 and np.isfinite(value) and value > 0):
        raise ValueError(f"{name}: expected a positive finite number, got {value}")
    return float(value)


def kinks(f: Callable[..., Array], params: PyTree, x: Array) -> tuple[str, ...]:
    """The operations of f that may have a kink or a jump (ReLU is a "max"), as JAX traces f on one row."""
    found: set[str] = set()
    _walk(jax.make_jaxpr(f)(params, x[:1]).jaxpr, found)
    return tuple(sorted(found))


def _walk(jaxpr: Any, found: set[str]) -> None:
    for equation in jaxpr.eqns:
        if equation.primitive.name in KINKS:
            found.add(equation.primitive.name)
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=lambda v: hasattr(v, "eqns")):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                _walk(inner, found)
