"""Reads a network as a list of primitive steps, and finds the parameters that enter by one dense layer or convolution.

A *layer* is a step z = contraction(a, W): a depends on the input, W is a leaf of the parameters, perhaps transposed,
reshaped or multiplied by a constant. If the leaf is used nowhere else, its Jacobian is known from the layer's input a
and from the gradients of the outputs with respect to z. Adding a zero shift to every z gives all those gradients in
one backward pass. Leaves that enter otherwise (biases, shared weights, scales) keep their own Jacobian.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jaxtyping import Array, PyTree

from lazy_course.convolutional import FEW_PIXELS, extract_patches

CALLS = {"jit": "jaxpr", "pjit": "jaxpr", "closed_call": "call_jaxpr", "core_call": "call_jaxpr"}
# Steps that pass a leaf on with its norm unchanged, entry by entry.
ISOMETRIES = {"transpose", "reshape", "squeeze", "expand_dims", "copy", "copy_p", "neg", "rev"}


class Step(NamedTuple):
    """One primitive: it reads the slots `inputs` and writes the slots `outputs`; `call` computes it."""

    name: str
    params: dict[str, Any]
    call: Callable[..., list[Array]]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


class Layer(NamedTuple):
    """A step that multiplies data with a leaf. `data` is 0 or 1: which operand of the step the data is."""

    step: int
    leaf: int
    data: int
    scalars: tuple[tuple[str, int], ...]


class Program(NamedTuple):
    """A network as steps: slots hold its leaves first, then the row of x, then constants and results."""

    steps: tuple[Step, ...]
    constants: dict[int, Any]
    shapes: dict[int, Any]
    outputs: tuple[int, ...]
    layers: tuple[Layer, ...]
    n_leaves: int

    def others(self) -> tuple[int, ...]:
        """The leaves that belong to no layer."""
        in_layers = {layer.leaf for layer in self.layers}
        numbers = [i for i in range(self.n_leaves) if jnp.issubdtype(self.shapes[i].dtype, jnp.inexact)]
        return tuple(i for i in numbers if i not in in_layers)


def read_program(f: Callable[..., Array], params: PyTree, row: Any, *, find_layers: bool = True) -> Program:
    """The steps of f(params, row), calls of compiled functions opened, and its layers.

    `row` is one row of x with its leading axis of length 1, an array or its `jax.ShapeDtypeStruct`.
    """
    leaves, tree = jax.tree.flatten(params)
    shapes = [jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)) for leaf in leaves]
    closed = jax.make_jaxpr(lambda *a: jnp.ravel(f(jax.tree.unflatten(tree, a[:-1]), a[-1])))(*shapes, row)
    reader = _Reader()
    inputs = [reader.slot(v.aval) for v in closed.jaxpr.invars]
    outputs = reader.read(closed, inputs)
    found = _find_layers(reader, outputs, len(leaves)) if find_layers else ()
    return Program(tuple(reader.steps), reader.constants, reader.shapes, tuple(outputs), found, len(leaves))


class _Reader:
    """Collects steps, and numbers the values that flow between them."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.constants: dict[int, Any] = {}
        self.shapes: dict[int, Any] = {}

    def slot(self, aval: Any) -> int:
        self.shapes[len(self.shapes)] = aval
        return len(self.shapes) - 1

    def constant(self, value: Any, aval: Any) -> int:
        slot = self.slot(aval)
        self.constants[slot] = value
        return slot

    def read(self, closed: Any, inputs: list[int]) -> list[int]:
        jaxpr = closed.jaxpr
        place = dict(zip(jaxpr.invars, inputs, strict=True))
        place.update({v: self.constant(c, v.aval) for v, c in zip(jaxpr.constvars, closed.consts, strict=True)})

        def where(v: Any) -> int:
            return self.constant(v.val, v.aval) if isinstance(v, core.Literal) else place[v]

        for eqn in jaxpr.eqns:
            reads = [where(v) for v in eqn.invars]
            call = CALLS.get(eqn.primitive.name)
            if call is not None:
                writes = self.read(eqn.params[call], reads)
            else:
                writes = [self.slot(v.aval) for v in eqn.outvars]
                step = Step(eqn.primitive.name, eqn.params, _alone(jaxpr, eqn), tuple(reads), tuple(writes))
                self.steps.append(step)
            place.update(zip(eqn.outvars, writes, strict=True))
        return [where(v) for v in jaxpr.outvars]


def _alone(jaxpr: Any, eqn: Any) -> Callable[..., list[Array]]:
    """One equation of a jaxpr as a function of all its operands."""
    places = [i for i, v in enumerate(eqn.invars) if not isinstance(v, core.Literal)]
    first = {eqn.invars[i]: i for i in reversed(places)}
    one = jaxpr.replace(constvars=[], invars=list(first), outvars=list(eqn.outvars), eqns=[eqn])
    function = core.jaxpr_as_fun(core.ClosedJaxpr(one, []))
    return lambda *operands: list(function(*(operands[i] for i in first.values())))


class _Link(NamedTuple):
    """A slot that holds a leaf, rearranged and multiplied by the constants in `scalars`."""

    leaf: int
    scalars: tuple[tuple[str, int], ...] = ()


def _find_layers(reader: _Reader, outputs: list[int], n_leaves: int) -> tuple[Layer, ...]:
    links = {i: _Link(i) for i in range(n_leaves)}
    # Constants map to a slot of size 1 that they repeat, if there is one.
    constants: dict[int, int | None] = {s: _single(reader, s) for s in reader.constants}
    candidates: list[Layer] = []
    spoiled: set[int] = set()
    for number, step in enumerate(reader.steps):
        linked = [i for i in step.inputs if i in links]
        if all(i in constants for i in step.inputs):
            repeats = step.name == "broadcast_in_dim" and constants[step.inputs[0]]
            for out in step.outputs:
                single = _single(reader, out)
                constants[out] = single if single is not None else (repeats or None)
            continue
        if not linked:
            continue
        link = _followed(reader, step, links, constants)
        if link is not None:
            links[step.outputs[0]] = link
        elif len(linked) == 1 and _multiplies(step, reader.shapes, step.inputs.index(linked[0])):
            weight = step.inputs.index(linked[0])
            candidates.append(Layer(number, links[linked[0]].leaf, 1 - weight, links[linked[0]].scalars))
        else:
            spoiled.update(links[i].leaf for i in linked)
    spoiled.update(links[i].leaf for i in outputs if i in links)
    uses = [layer.leaf for layer in candidates]
    return tuple(layer for layer in candidates if layer.leaf not in spoiled and uses.count(layer.leaf) == 1)


def _single(reader: _Reader, slot: int) -> int | None:
    return slot if reader.shapes[slot].size == 1 else None


def _followed(reader: _Reader, step: Step, links: dict[int, _Link], constants: dict[int, int | None]) -> _Link | None:
    """The link that a step passes on, if it only rearranges a leaf or multiplies it by one number."""
    name, before, after = step.name, reader.shapes[step.inputs[0]], reader.shapes[step.outputs[0]]
    first = links.get(step.inputs[0])
    if name in ISOMETRIES and first is not None:
        return first
    if name == "broadcast_in_dim" and first is not None and before.size == after.size:
        return first
    if name == "convert_element_type" and first is not None and jnp.issubdtype(after.dtype, jnp.inexact):
        return first
    if name in ("mul", "div"):
        other = step.inputs[1]
        scalar = constants.get(other)
        if first is None and name == "mul":
            first, scalar = links.get(other), constants.get(step.inputs[0])
        if first is not None and scalar is not None and reader.shapes[step.outputs[0]].size == _size(reader, first):
            return _Link(first.leaf, (*first.scalars, (name, scalar)))
    return None


def _size(reader: _Reader, link: _Link) -> int:
    return int(reader.shapes[link.leaf].size)


def _multiplies(step: Step, shapes: dict[int, Any], weight: int) -> bool:
    """Whether a step contracts data with a weight in a way that `kernel_layers` knows."""
    if step.name == "dot_general":
        return not any(step.params["dimension_numbers"][1])
    if step.name == "conv_general_dilated":
        numbers = step.params["dimension_numbers"]
        plain = step.params["feature_group_count"] == 1 and step.params["batch_group_count"] == 1
        plain = plain and all(d == 1 for d in step.params["lhs_dilation"])
        return weight == 1 and plain and shapes[step.inputs[0]].shape[numbers.lhs_spec[0]] == 1
    return False


def few_pixels(step: Step, values: list[Any]) -> Array | None:
    """A convolution with few output pixels as a product of patches and filters; None for any other step."""
    if step.name != "conv_general_dilated":
        return None
    numbers, params = step.params["dimension_numbers"], step.params
    plain = params["feature_group_count"] == params["batch_group_count"] == 1
    if not plain or any(d != 1 for d in params["lhs_dilation"]):
        return None
    x, filters = values
    x = jnp.transpose(x, (numbers.lhs_spec[0], *numbers.lhs_spec[2:], numbers.lhs_spec[1]))
    filters = jnp.transpose(filters, (*numbers.rhs_spec[2:], numbers.rhs_spec[1], numbers.rhs_spec[0]))
    spans = [(w - 1) * d + 1 for w, d in zip(filters.shape[:-2], params["rhs_dilation"], strict=True)]
    sizes = [
        (x.shape[i + 1] + sum(params["padding"][i]) - span) // params["window_strides"][i] + 1
        for i, span in enumerate(spans)
    ]
    if not 0 < np.prod(sizes) <= FEW_PIXELS:
        return None
    patches = extract_patches(
        x,
        filters.shape[:-2],
        strides=params["window_strides"],
        padding=params["padding"],
        dilation=params["rhs_dilation"],
    )
    z = patches @ filters.reshape(-1, filters.shape[-1])
    back = np.argsort((numbers.out_spec[0], *numbers.out_spec[2:], numbers.out_spec[1]))
    return jnp.transpose(z, back.tolist())


def run(
    program: Program,
    leaves: list[Array],
    row: Array,
    shifts: list[Array],
) -> tuple[Array, list[Array], list[Array]]:
    """The flat outputs for one row, the inputs of all layers, and the factors that multiply their leaves.

    `shifts` are added to the results of the layers.
    """
    values: dict[int, Any] = dict(enumerate([*leaves, row]))
    values.update(program.constants)
    numbers = {layer.step: i for i, layer in enumerate(program.layers)}
    for position, step in enumerate(program.steps):
        arguments = [values[i] for i in step.inputs]
        replaced = few_pixels(step, arguments)
        results = step.call(*arguments) if replaced is None else [replaced]
        if position in numbers:
            results[0] = results[0] + shifts[numbers[position]]
        values.update(zip(step.outputs, results, strict=True))
    inputs = [values[program.steps[layer.step].inputs[layer.data]] for layer in program.layers]
    factors = [_factor(layer, values) for layer in program.layers]
    return values[program.outputs[0]], inputs, factors


def _factor(layer: Layer, values: dict[int, Any]) -> Array:
    factor = jnp.ones((), values[layer.leaf].dtype)
    for operation, slot in layer.scalars:
        scalar = jnp.reshape(values[slot], ()).astype(factor.dtype)
        factor = factor * scalar if operation == "mul" else factor / scalar
    return factor
