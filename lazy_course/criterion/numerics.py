"""What the chapter on the criterion measures on small models, in JAX.

Models are maps `h(params) -> y` with flat outputs; the loss is the square loss to a target. The Jacobian and D2h are
formed (n p^2 numbers), so these functions are for small models. Wide two-layer models are in width.py, models of any
size in lazy_course.norms.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, PyTree

from lazy_course import models
from lazy_course.criterion.width import block_norms
from lazy_course.models import AnyKey, RealArray, Scalar

Model = Callable[[PyTree], Array]


class SmallestExample(models.Function):
    """The map built by `smallest_example`."""

    a: Float[Array, ""]
    b: Float[Array, ""]
    c: Float[Array, ""]

    def __call__(self, w: Float[RealArray, "2"]) -> Float[Array, "2"]:
        return jnp.stack([self.a * w[0], self.b * w[1] + 0.5 * self.c * w[1] ** 2])


def smallest_example(a: Scalar, b: Scalar, c: Scalar) -> SmallestExample:
    """The chapter's example h(w) = (a w1, b w2 + c w2^2 / 2) on two parameters, studied at w0 = 0.

    With a >= b > 0 and c > 0: norm(Dh(0)) = a and norm(D2h) = c.
    """
    return SmallestExample(jnp.asarray(a, dtype=float), jnp.asarray(b, dtype=float), jnp.asarray(c, dtype=float))


class NormPower(models.Function):
    """The map built by `norm_power`."""

    matrices: Float[Array, "n r p"]
    q: Float[Array, ""]

    def __call__(self, w: Float[RealArray, " p"]) -> Float[Array, " n"]:
        return jnp.sum((self.matrices @ jnp.asarray(w)) ** 2, axis=1) ** (self.q / 2)


def norm_power(matrices: Float[RealArray, "n r p"], q: Scalar) -> NormPower:
    """A model that is q-homogeneous and smooth away from 0 for any q >= 1: h_i(w) = norm(A_i w)^q.

    For q = 1 it is not linear, so its second differential is not zero. A_i w must not vanish at w.
    """
    return NormPower(jnp.asarray(matrices), jnp.asarray(q, dtype=float))


class Paired(models.Function):
    """The map built by `paired`."""

    h: Model

    def __call__(self, params: tuple[PyTree, PyTree]) -> Array:
        return self.h(params[0]) - self.h(params[1])


def paired(h: Model) -> Paired:
    """The symmetrized model (u, v) -> h(u) - h(v): zero at u = v, and as homogeneous as h."""
    return Paired(h)


class Tensors(NamedTuple):
    """Output (n,), Jacobian (n, p) and second differential (n, p, p) of a small model at a point."""

    output: np.ndarray
    jacobian: np.ndarray
    hessian: np.ndarray

    @property
    def jacobian_norm(self) -> float:
        """The largest singular value of Dh."""
        return float(np.linalg.norm(self.jacobian, 2))

    @property
    def hessian_norm(self) -> float:
        """The norm of D2h: a value that a direction reaches (the alternation of `width.block_norms`)."""
        return float(block_norms(self.hessian[None])[0])

    def residual_norm(self, target: RealArray) -> float:
        """norm(h - y*)."""
        return float(np.linalg.norm(self.output - np.asarray(target)))

    def kappa(self, target: RealArray) -> float:
        """norm(h - y*) norm(D2h) / norm(Dh)^2."""
        return self.residual_norm(target) * self.hessian_norm / self.jacobian_norm**2

    def gradient(self, target: RealArray) -> np.ndarray:
        """The gradient of F for the square loss, Dh^T (h - y*)."""
        return (self.output - np.asarray(target)) @ self.jacobian


def tensors(h: Model, points: PyTree) -> list[Tensors]:
    """The dense `Tensors` of h at several points: `points` is a pytree of params with a leading axis.

    n p^2 numbers a point: for small models. For large ones see lazy_course.norms.
    """
    columns = _dense(h, points)
    return [Tensors(*(np.asarray(part) for part in row)) for row in zip(*columns, strict=True)]


@eqx.filter_jit
def _dense(h: Model, points: PyTree) -> tuple[Array, Array, Array]:
    # h is an argument, so that models of one class and shape share a compilation.
    _, unravel = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], points))
    flat = jax.vmap(lambda params: ravel_pytree(params)[0])(points)

    def on_vectors(v: Array) -> Array:
        return h(unravel(v))

    def at(w: Array) -> tuple[Array, Array, Array]:
        return on_vectors(w), jax.jacrev(on_vectors)(w), jax.jacfwd(jax.jacrev(on_vectors))(w)

    return jax.vmap(at)(flat)


def _stacked(params: PyTree, factors: Float[RealArray, " s"]) -> PyTree:
    """The params times every factor, with a leading axis."""
    return jax.tree.map(lambda leaf: jnp.multiply.outer(jnp.asarray(factors), jnp.asarray(leaf)), params)


class RelativeChanges(NamedTuple):
    """Relative changes after one gradient step of every size, and what theory says to first order, arrays (s,)."""

    steps: np.ndarray
    objective: np.ndarray
    objective_first_order: np.ndarray
    differential: np.ndarray
    differential_first_order: np.ndarray
    differential_bound: np.ndarray


def relative_changes(
    h: Model, params: PyTree, target: Float[RealArray, " n"], steps: Float[RealArray, " s"]
) -> RelativeChanges:
    r"""Relative changes of F and Dh after one step $w_1 = w_0 - \eta\nabla F(w_0)$ on the square loss.

    `objective` is $|F(w_1) - F(w_0)| / F(w_0)$, first order $\eta\|\nabla F\|^2 / F$. `differential` is
    $\|Dh(w_1) - Dh(w_0)\| / \|Dh(w_0)\|$, first order $\eta\|D^2h[\nabla F, \cdot]\| / \|Dh\|$, and
    `differential_bound` is $\eta \|\nabla F\| \|D^2h\| / \|Dh\|$. `steps` are eta in units of $1/\|Dh(w_0)\|^2$.
    h must be twice differentiable; F(params) and Dh must not vanish. Source: chizat2019lazy, Section 1.2.
    """
    flat, unravel = ravel_pytree(params)
    # As many copies as steps: both calls then share a compilation.
    start = tensors(h, _stacked(params, np.ones(len(steps))))[0]
    scale, gradient = start.jacobian_norm, start.gradient(target)
    eta = np.asarray(steps) / scale**2
    moved = tensors(h, jax.vmap(unravel)(flat[None] - jnp.multiply.outer(jnp.asarray(eta), gradient)))
    value = 0.5 * start.residual_norm(target) ** 2
    values = np.array([0.5 * point.residual_norm(target) ** 2 for point in moved])
    changes = np.array([np.linalg.norm(point.jacobian - start.jacobian, 2) for point in moved])
    return RelativeChanges(
        steps=eta,
        objective=np.abs(values - value) / value,
        objective_first_order=eta * (gradient @ gradient) / value,
        differential=changes / scale,
        differential_first_order=eta * np.linalg.norm(start.hessian @ gradient, 2) / scale,
        differential_bound=eta * np.linalg.norm(gradient) * start.hessian_norm / scale,
    )


class Criterion(NamedTuple):
    """Both forms of the criterion: `ratio` (to be large) and `kappa` (to be small); kappa * ratio = 2 alignment."""

    kappa: float
    ratio: float
    alignment: float
    least_alignment: float


def criterion(h: Model, params: PyTree, target: Float[RealArray, " n"]) -> Criterion:
    r"""The criterion's ratio $\Gamma$, $\kappa_h(w_0)$ and the alignment $\chi$, each from its definition.

    $\Gamma = (\|\nabla F\| / F) / (\|D^2h\| / \|Dh\|)$ with the square loss; $\chi = \|Dh^\top r\| / (\|Dh\| \|r\|)$
    with $r = h(w_0) - y^\star$; `least_alignment` is $\sigma_{\min}(Dh^\top) / \|Dh\|$, 0 if p < n.
    Raises `ValueError` if the residual is zero. Source: chizat2019lazy, Section 1.2 and equation (1).
    """
    (at,) = tensors(h, jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], params))
    residual = at.residual_norm(target)
    if residual == 0:
        raise ValueError("target: expected another point than h(params), got a zero residual: there is no step to take")
    gradient = float(np.linalg.norm(at.gradient(target)))
    singular = np.linalg.svd(at.jacobian, compute_uv=False)
    wide = at.jacobian.shape[1] >= at.jacobian.shape[0]
    return Criterion(
        kappa=at.kappa(target),
        ratio=gradient / (0.5 * residual**2) * at.jacobian_norm / at.hessian_norm,
        alignment=gradient / (at.jacobian_norm * residual),
        least_alignment=float(singular[-1] / singular[0]) if wide else 0.0,
    )


class Rescaled(models.Function):
    """The model (alpha, w) -> alpha h(w), differentiated in w alone."""

    h: Model

    def __call__(self, pair: tuple[Array, PyTree]) -> Array:
        return jax.lax.stop_gradient(pair[0]) * self.h(pair[1])


def kappas_of_scales(
    h: Model, params: PyTree, target: Float[RealArray, " n"], alphas: Float[RealArray, " s"]
) -> Float[np.ndarray, " s"]:
    """Kappa of alpha h at `params` for every scale alpha, each measured on the rescaled model.

    With target 0 it is the same for all alpha: the limit that kappa has for any target as alpha grows.
    """

    alphas = jnp.asarray(alphas, dtype=float)
    points = (alphas, _stacked(params, jnp.ones_like(alphas)))
    return np.array([point.kappa(target) for point in tensors(Rescaled(h), points)])


def kappas_of_dilations(
    h: Model, params: PyTree, target: Float[RealArray, " n"], dilations: Float[RealArray, " s"]
) -> Float[np.ndarray, " s"]:
    """Kappa of h at lambda w0 for every lambda, each measured at that point."""
    return np.array([point.kappa(target) for point in tensors(h, _stacked(params, dilations))])


def homogeneous_kappas(
    key: AnyKey, degrees: tuple[int, ...], dilations: Float[RealArray, " s"]
) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    """Kappa at lambda w0 of random `norm_power` models by degree: symmetrized, and as drawn; y* = (1, -1, 1/2)."""
    target = jnp.array([1.0, -1.0, 0.5])
    bounded, free = {}, {}
    for q in degrees:
        h, w0 = random_norm_power(key, q)
        bounded[q] = kappas_of_dilations(paired(h), (w0, w0), target, dilations)
        free[q] = kappas_of_dilations(h, w0, target, dilations)
    return bounded, free


def first_order_errors(
    h: Model, params: PyTree, target: Float[RealArray, " n"], steps: Float[RealArray, " s"]
) -> dict[str, np.ndarray]:
    """Relative errors of both first-order formulas for steps given in units of 1 / norm(Dh(w0))^2.

    Keys: "objective", "differential" and "bound" (the first-order bound over the measured change of Dh, minus 1).
    """
    changes = relative_changes(h, params, target, steps)
    return {
        "objective": np.abs(changes.objective / changes.objective_first_order - 1),
        "differential": np.abs(changes.differential / changes.differential_first_order - 1),
        "bound": changes.differential_bound / changes.differential - 1,
    }


def slope(x: Float[RealArray, " s"], y: Float[RealArray, "... s"]) -> Float[Array, "..."]:
    """The least-squares slope of log y against log x, along the last axis."""
    across = jnp.log(jnp.asarray(x))
    across = across - jnp.mean(across)
    return jnp.tensordot(jnp.log(jnp.asarray(y)), across, axes=1) / jnp.sum(across**2)


def half_circle(n: int) -> Float[Array, "n 2"]:
    """n equally spaced points on the upper half of the unit circle: x_j = (cos t_j, sin t_j), t_j = pi j / n."""
    angles = jnp.pi * jnp.arange(n) / n
    return jnp.stack([jnp.cos(angles), jnp.sin(angles)], axis=1)


def random_network(
    key: AnyKey, *, n: int = 8, d: int = 2, m: int = 8, symmetrized: bool = False
) -> tuple[Model, PyTree]:
    """A tanh network at scale 1/sqrt(m) on n points of the half circle (d = 2), with its initial parameters."""
    h = models.as_map(models.two_layer("tanh", scale=m**-0.5), half_circle(n), normalize=True)
    return h, models.init_two_layer(key, d, m, symmetrized=symmetrized)


def random_norm_power(key: AnyKey, q: Scalar, *, n: int = 3, p: int = 4) -> tuple[Model, Float[Array, " p"]]:
    """A `norm_power` model of n outputs on p parameters with normal 2 x p matrices, and a normal w0."""
    of_matrices, of_w = jax.random.split(key)
    h = norm_power(jax.random.normal(of_matrices, (n, 2, p)), q)
    return h, jax.random.normal(of_w, (p,))
