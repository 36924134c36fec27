"""Networks `f(params, x) -> (n, k)`, their initializations, and the maps `h(params) -> y` into F.

Every model is an equinox module: a plain callable whose numbers are leaves of a pytree. That is why a
compiled function that takes a model is compiled once per shape and not once per draw.
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree, UInt32

Activation = Callable[[Array], Array]
AnyKey = Key[Array, ""] | UInt32[Array, "2"]
RealArray = Array | np.ndarray
Scalar = float | int | Float[RealArray, ""]

ACTIVATIONS: dict[str, Activation] = {
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "softplus": jax.nn.softplus,
    "erf": jax.scipy.special.erf,
    "gelu": lambda t: jax.nn.gelu(t, approximate=False),
    "sigmoid": jax.nn.sigmoid,
    "linear": lambda t: t,
}


def activation_function(activation: str | Activation) -> Activation:
    """The function that an activation's name stands for; a callable is returned as it is.

    Raises `ValueError` for a name that is not in `ACTIVATIONS`.
    """
    if callable(activation):
        return activation
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"activation: expected one of {sorted(ACTIVATIONS)} or a callable, got {activation!r}; "
            "pass the function itself for any other activation"
        )
    return ACTIVATIONS[activation]


class Function(eqx.Module):
    """A callable pytree compared by identity, so that `jax.jit(h)` takes it like any plain function."""

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other


class TwoLayer(Function):
    """The network built by `two_layer`."""

    activation: Activation
    scale: Float[Array, ""]

    def __call__(self, params: PyTree, x: Float[RealArray, "n d"]) -> Float[Array, "n k"]:
        hidden = self.activation(jnp.asarray(x) @ params["input"].T)
        return self.scale * (hidden @ params["output"].T)


def two_layer(activation: str | Activation = "tanh", *, scale: Scalar = 1.0) -> TwoLayer:
    r"""A network with one hidden layer, $f(w, x) = \alpha(m) \sum_i b_i\, \sigma(\langle a_i, x\rangle)$.

    The sum runs over m neurons. `params["input"]` has shape `(m, d)` and rows $a_i$; `params["output"]`
    has shape `(k, m)` and columns $b_i$. `scale` is $\alpha(m)$: 1/m, 1/sqrt(m) or 1 in the course.
    There is no bias: append a 1 to x for one.
    Raises `ValueError` for an unknown activation. Source: chizat2019lazy, Section 1.2 and Appendix A.2.
    """
    return TwoLayer(activation_function(activation), jnp.asarray(scale, dtype=float))


def init_two_layer(
    key: AnyKey,
    d: int,
    m: int,
    k: int = 1,
    *,
    input_std: Scalar = 1.0,
    output_std: Scalar = 1.0,
    symmetrized: bool = False,
) -> dict[str, Array]:
    r"""Independent normal weights for `two_layer`: `{"input": (m, d), "output": (k, m)}`.

    With `symmetrized` only m/2 neurons are drawn; the second half repeats their input weights and negates
    their output weights, so that $f(w_0, x) = 0$ for every x (in floating point, up to the rounding of the
    sum). Raises `ValueError` if a size is not positive, or if m is odd and `symmetrized` is on.
    Source: chizat2019lazy, Section 1.2 (initialization that doubles the neurons).
    """
    for name, size in (("d", d), ("m", m), ("k", k)):
        _require_positive(name, size)
    if symmetrized and m % 2:
        raise ValueError(f"m: expected an even width for a symmetrized initialization, got {m}; use m={m + 1}")
    drawn = m // 2 if symmetrized else m
    key_input, key_output = jax.random.split(key)
    inputs = jnp.asarray(input_std) * jax.random.normal(key_input, (drawn, d), dtype=float)
    outputs = jnp.asarray(output_std) * jax.random.normal(key_output, (k, drawn), dtype=float)
    if symmetrized:
        inputs = jnp.concatenate([inputs, inputs], axis=0)
        outputs = jnp.concatenate([outputs, -outputs], axis=1)
    return {"input": inputs, "output": outputs}


class Homogeneous(Function):
    """The network built by `homogeneous`."""

    q: int = eqx.field(static=True)
    activation: Activation

    def __call__(self, params: PyTree, x: Float[RealArray, "n d"]) -> Float[Array, "n k"]:
        if len(params) != self.q:
            raise ValueError(
                f"params: expected a list of q = {self.q} matrices, got {len(params)}; "
                "draw them with init_homogeneous(key, widths), where widths has q + 1 entries"
            )
        y = jnp.asarray(x)
        for matrix in params[:-1]:
            y = self.activation(y @ matrix.T)
        return y @ params[-1].T


def homogeneous(q: int, activation: str | Activation = "relu") -> Homogeneous:
    r"""A network of q layers without biases, $f(w, x) = W_q\, \sigma(W_{q-1} \cdots \sigma(W_1 x))$.

    It is positively q-homogeneous: $f(\lambda w, x) = \lambda^q f(w, x)$ for $\lambda > 0$, because
    $\sigma(\lambda t) = \lambda \sigma(t)$. "relu" has kinks; "linear" is the only choice that is
    differentiable at 0. `params` is a list of q matrices of shape (width out, width in).
    Raises `ValueError` if q < 1 or if the activation is not positively 1-homogeneous.
    Source: chizat2019lazy, Section 1.2.
    """
    _require_positive("q", q)
    sigma = activation_function(activation)
    probe = np.array([-1.5, -0.25, 0.5, 2.0])
    if not np.allclose(sigma(jnp.asarray(3.0 * probe)), 3.0 * np.asarray(sigma(jnp.asarray(probe)))):
        raise ValueError(
            "activation: expected a positively 1-homogeneous function (sigma(3 t) = 3 sigma(t)), "
            f"got {activation!r}; use 'relu' or 'linear'"
        )
    return Homogeneous(q, sigma)


def init_homogeneous(key: AnyKey, widths: Sequence[int]) -> list[Array]:
    r"""Normal weights of variance 1 / (width in) for `homogeneous`: matrices (widths[i+1], widths[i]).

    `widths` = (d, m_1, ..., m_{q-1}, k) has q + 1 entries. Raises `ValueError` for fewer than two entries or
    an entry that is not positive.
    """
    if len(widths) < 2:
        raise ValueError(f"widths: expected (d, ..., k) with at least two entries, got {tuple(widths)}")
    for width in widths:
        _require_positive("widths", width)
    keys = jax.random.split(key, len(widths) - 1)
    pairs = zip(keys, widths[:-1], widths[1:], strict=True)
    return [jax.random.normal(k, (after, before), dtype=float) / before**0.5 for k, before, after in pairs]


class Diagonal(Function):
    """The network built by `diagonal`."""

    def __call__(self, params: PyTree, x: Float[RealArray, "n d"]) -> Float[Array, "n 1"]:
        return (jnp.asarray(x) @ (params["plus"] ** 2 - params["minus"] ** 2))[:, None]


def diagonal() -> Diagonal:
    r"""The diagonal linear network $f(w, x) = \langle w_+^2 - w_-^2, x\rangle$ (squares entry by entry).

    `params["plus"]` and `params["minus"]` have shape `(d,)`. It is 2-homogeneous and quadratic in w:
    $\|D^2 h\| = 2 \max_j \|X_j\|$ with $X_j$ the columns of the data. Source: woodworth2020kernel.
    """
    return Diagonal()


def init_diagonal(
    d: int, scale: Scalar, w0: RealArray | Sequence[float] | Sequence[Sequence[float]] | None = None
) -> dict[str, Array]:
    r"""Weights $w_\pm = $ `scale` $\cdot w_0$ for `diagonal`, with $w_0 = (1, \dots, 1)$ unless it is given.

    `w0` has shape `(d,)` (then $w_+ = w_-$ and $h(w_0) = 0$), or `(2, d)`: first $w_+$, then $w_-$.
    Raises `ValueError` for any other shape, or d < 1.
    """
    _require_positive("d", d)
    shape = jnp.ones((d,)) if w0 is None else jnp.asarray(w0, dtype=float)
    if shape.shape not in ((d,), (2, d)):
        raise ValueError(f"w0: expected shape ({d},) or (2, {d}), got {shape.shape}; it must agree with d = {d}")
    plus, minus = shape if shape.ndim == 2 else (shape, shape)
    return {"plus": jnp.asarray(scale) * plus, "minus": jnp.asarray(scale) * minus}


class BatchMap(Function):
    """The map built by `as_map`; norms.py uses its parts for products of a single sample's Hessian."""

    f: Callable[..., Array]
    x: Array
    weight: Float[Array, ""]

    def __call__(self, params: PyTree) -> Float[Array, " n_outputs"]:
        return self.weight * jnp.ravel(self.f(params, self.x))


def as_map(f: Callable[..., Array], x: Float[RealArray, "n ..."], *, normalize: bool = False) -> BatchMap:
    r"""The model as a map into F: $h(w) = (f(w, x_i))_{i \le n}$ as one flat array of $n k$ numbers.

    The Euclidean norm of `h(params)` is the norm of F. With `normalize` every output is multiplied by
    $1/\sqrt{n}$, which makes it the empirical $L^2$ norm $(\frac1n \sum_i \|f(w, x_i)\|^2)^{1/2}$.
    f must treat the rows of x independently (no batch statistics): norms.py relies on it.
    Raises `ValueError` if x is a scalar or has no rows.
    """
    x = jnp.asarray(x)
    if x.ndim == 0 or x.shape[0] == 0:
        raise ValueError(f"x: expected an array with one row per sample, got shape {x.shape}")
    return BatchMap(f, x, jnp.asarray(x.shape[0] ** -0.5 if normalize else 1.0))


class AffineMap(Function):
    """The map w -> factor (inner(w) - offset), built by `centred` and `scaled`."""

    inner: Callable[[PyTree], Array]
    factor: Float[Array, ""]
    offset: Array

    def __call__(self, params: PyTree) -> Array:
        return self.factor * (self.inner(params) - self.offset)


def centred(h: Callable[[PyTree], Array], params0: PyTree) -> AffineMap:
    r"""The model minus its initial output, $w \mapsto h(w) - h(w_0)$: it vanishes at $w_0$.

    Its differentials of every order are those of h.
    """
    return AffineMap(h, jnp.asarray(1.0), jax.lax.stop_gradient(h(params0)))


def scaled(h: Callable[[PyTree], Array], alpha: Scalar) -> AffineMap:
    r"""The rescaled model $w \mapsto \alpha h(w)$, $\alpha > 0$.

    Raises `ValueError` if alpha is not positive and finite (not checked inside `jax.jit`).
    Source: chizat2019lazy, Section 1.2.
    """
    if not isinstance(alpha, jax.core.Tracer) and not (np.isfinite(alpha) and alpha > 0):
        raise ValueError(f"alpha: expected a positive finite number, got {alpha}")
    return AffineMap(h, jnp.asarray(alpha, dtype=float), jnp.asarray(0.0))


def _require_positive(name: str, value: Any) -> None:
    if value < 1:
        raise ValueError(f"{name}: expected a positive integer, got {value}")
