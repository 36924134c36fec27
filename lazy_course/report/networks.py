"""Models of other libraries as the pair (f, params) that a report takes; nothing of theirs is imported here."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, PyTree

Network = Callable[[PyTree, Array], Array]


def equinox_network(model: Any, *, batched: bool = False) -> tuple[Network, PyTree]:
    """(f, params) of an equinox module: params are its floating arrays, all else is held fixed.

    By the custom of equinox the module takes one sample and is mapped over the batch; `batched`: it takes all rows.
    For trained parameters write `equinox_network(trained)[1]`. Put dropout into inference mode first.
    Raises `ValueError` if the module has no floating arrays.
    """
    params, rest = eqx.partition(model, eqx.is_inexact_array)
    if not jax.tree.leaves(params):
        raise ValueError(f"model: expected a module with floating arrays, got {type(model).__name__} without any")

    def f(params: PyTree, x: Array) -> Array:
        whole = eqx.combine(params, rest)
        return whole(x) if batched else jax.vmap(whole)(x)

    return f, params


def linen_network(module: Any, variables: Mapping[str, Any], **options: Any) -> tuple[Network, PyTree]:
    """(f, params) of a flax.linen module: params are `variables["params"]`, other collections are held fixed.

    `options` go to `module.apply` (such as train=False). Raises `ValueError` without a collection "params".
    """
    if "params" not in variables:
        raise ValueError(f"variables: expected a collection 'params', got {sorted(variables)}; give module.init(...)")
    rest = {name: value for name, value in variables.items() if name != "params"}
    return lambda params, x: module.apply({"params": params, **rest}, x, **options), variables["params"]


def nnx_network(model: Any) -> tuple[Network, PyTree]:
    """(f, params) of a flax.nnx module: params are its `nnx.Param` as nested dictionaries, other state is held fixed.

    For trained parameters write `nnx_network(trained)[1]`. Call `model.eval()` first, for dropout and batch statistics.
    """
    from flax import nnx

    graph, *states = nnx.split(model, nnx.Param, ...)
    state, rest = states

    def f(params: PyTree, x: Array) -> Array:
        inside = jax.tree.map(lambda leaf: leaf, state)
        nnx.replace_by_pure_dict(inside, params)
        return nnx.merge(graph, inside, rest)(x)

    return f, nnx.to_pure_dict(state)


def apply_network(apply: Callable[..., Any], *, state: PyTree | None = None, rng: Any = None) -> Network:
    """f(params, x) of a haiku-style `apply(params, rng, x)`, or `apply(params, state, rng, x)` if `state` is given.

    The state is held fixed, and its new value dropped. params are what `init` returned.
    """
    if state is None:
        return lambda params, x: apply(params, rng, x)
    return lambda params, x: apply(params, state, rng, x)[0]
