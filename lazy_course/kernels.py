"""The tangent kernel of any finite network: by layers where it has layers, by Jacobians or by products elsewhere."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree
from rich.progress import Progress

from lazy_course import kernel_blocks
from lazy_course.kernel_operator import kernel_by_products, products_size
from lazy_course.kernel_plan import Plan, Request, Sizes, least, least_diagonal, plan, plan_diagonal
from lazy_course.models import RealArray

FORMS = ("full", "trace", "outputs", "diagonal")
METHODS = ("auto", "layers", "jacobian", "products")
MEMORY = 4 * 2**30


def tangent_kernel(
    f: Callable[..., Array],
    params: PyTree,
    x1: Float[RealArray, "n1 ..."],
    x2: Float[RealArray, "n2 ..."] | None = None,
    *,
    form: str = "full",
    method: str = "auto",
    memory: int = MEMORY,
    progress: bool = False,
) -> Float[Array, "..."]:
    r"""The tangent kernel $K_{ia,jb} = \langle D_w f_a(w, x_i), D_w f_b(w, x'_j)\rangle$ of a network.

    The network is any JAX function `f(params, x) -> (n, k)` that treats the rows of x independently; a and b number its
    outputs. With `x2` left out, x' = x, each symmetric half is computed once, and the (n k) x (n k) matrix is
    $Dh(w)\, Dh(w)^\top$ of the map `models.as_map(f, x)`.

    `form` says what is returned: "full" (n1, k, n2, k); "trace" $\sum_a K_{ia,ja}$ (n1, n2); "outputs" $K_{ia,ja}$
    (n1, n2, k); "diagonal" $K_{ia,ia}$ (n1, k), without x2. `kernel_operator.tangent_operator` is the same kernel as a
    matrix-free operator.

    `method` "layers" reads f, finds the parameters that enter by one dense layer or convolution (also in functions
    that were not written for it), and computes each layer's part in the cheapest of three ways (`kernel_layers`); all
    other parameters by their Jacobian. "jacobian" does so with all of them. "products" forms no Jacobian: n2 k products
    with vectors. "auto" is "layers", or "products" where a Jacobian of one sample does not fit.

    `memory` is the number of bytes that the computation may take, the result included, the parameters not; larger
    requests go in blocks of samples. `progress` shows how many blocks are done. Works under `jax.jit` and `jax.vmap`.
    The result has the precision of the outputs. Raises `ValueError` if the rows of x1 and x2 have different shapes, for
    an unknown form or method, or before any work if the request does not fit into `memory`. Source: jacot2018neural.
    """
    x1 = jnp.asarray(x1)
    x2 = None if x2 is None else jnp.asarray(x2)
    _check(x1, x2, form, method)
    return _computed(f, params, x1, x2, form, method, memory, progress)


def _computed(
    f: Callable[..., Array],
    params: PyTree,
    x1: Array,
    x2: Array | None,
    form: str,
    method: str,
    memory: int,
    progress: bool,
) -> Array:
    layers = method != "jacobian"
    sizes, item = kernel_blocks.measure(f, params, x1, layers=layers)
    request, numbers = _request(sizes, x1, x2, form), memory // item
    found = None if method == "products" else _plan(sizes, request, form, numbers)
    if found is not None:
        blocks = kernel_blocks.Blocks(f, params, x1, x2, form, found, layers)
        return _with_progress(blocks.run, blocks.count, progress)
    allowed = method in ("auto", "products") and form != "diagonal"
    if allowed and products_size(sizes, request.n1, request.n2, form) <= numbers:
        return kernel_by_products(f, params, x1, x2, sizes, form=form, numbers=numbers)
    raise ValueError(_refusal(sizes, request, form, method, memory, item))


def _check(x1: Array, x2: Array | None, form: str, method: str) -> None:
    if x1.ndim == 0 or x1.shape[0] == 0 or (x2 is not None and x2.ndim > 0 and x2.shape[0] == 0):
        raise ValueError("x1, x2: expected arrays with one row per sample, got one without rows")
    if x2 is not None and x1.shape[1:] != x2.shape[1:]:
        raise ValueError(f"x2: expected rows of shape {x1.shape[1:]} like those of x1, got {x2.shape[1:]}")
    if form not in FORMS:
        raise ValueError(f"form: expected one of {FORMS}, got {form!r}; tangent_operator is the matrix-free form")
    if method not in METHODS:
        raise ValueError(f"method: expected one of {METHODS}, got {method!r}")
    if form == "diagonal" and x2 is not None:
        raise ValueError("x2: the diagonal pairs each sample with itself; leave x2 out")
    if form == "diagonal" and method == "products":
        raise ValueError("method: the diagonal needs the Jacobian of one sample; use 'layers' or 'jacobian'")


def _request(sizes: Sizes, x1: Array, x2: Array | None, form: str) -> Request:
    n1, n2 = x1.shape[0], (x1 if x2 is None else x2).shape[0]
    if form == "full":
        return Request(n1, n2, sizes.k, 1, 1, x2 is None)
    if form == "trace":
        return Request(n1, n2, 1, sizes.k, 1, x2 is None)
    return Request(n1, n2, 1, 1, sizes.k, x2 is None)


def _plan(sizes: Sizes, request: Request, form: str, numbers: int) -> Plan | None:
    if form == "diagonal":
        return plan_diagonal(sizes, request.n1, numbers)
    return plan(sizes, request, numbers)


def _with_progress(work: Callable[[Callable[[], None]], Array], count: int, progress: bool) -> Array:
    if not progress:
        return work(lambda: None)
    with Progress() as bar:
        task = bar.add_task("tangent kernel", total=count)
        return work(lambda: bar.advance(task))


def _refusal(sizes: Sizes, request: Request, form: str, method: str, memory: int, bytes_each: int) -> str:
    n1, n2, k = request.n1, request.n2, sizes.k
    shape: Any = {"full": (n1, k, n2, k), "trace": (n1, n2), "outputs": (n1, n2, k), "diagonal": (n1, k)}[form]
    if form == "diagonal":
        needed = least_diagonal(sizes, n1)
    elif method == "products":
        needed = products_size(sizes, n1, n2, form)
    else:
        needed = least(sizes, request)
    smaller = {"full": "form='trace' or 'outputs', ", "outputs": "form='trace', "}.get(form, "")
    return (
        f"memory: the {form} kernel of shape {shape} needs {_readable(needed * bytes_each)}, got "
        f"{_readable(memory)}; give memory={needed * bytes_each} or more if the machine has it, or use {smaller}"
        f"single precision, fewer samples, or kernel_operator.tangent_operator, which forms no matrix"
    )


def _readable(size: int) -> str:
    return f"{size / 2**30:.3g} GiB" if size >= 2**28 else f"{size / 2**20:.3g} MiB"
