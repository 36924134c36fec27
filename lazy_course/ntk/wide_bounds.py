r"""The constants of the theorems on wide networks, evaluated: on quadratic models, and on networks of a given width."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course import models
from lazy_course.lipschitz import lipschitz_of_differential
from lazy_course.models import AnyKey, RealArray
from lazy_course.ntk import wide
from lazy_course.ntk.numerics import two_layer_limits


class Bounds(NamedTuple):
    """What the theorems promise for all steps: the radius, the drift of the kernel, the gap on the training
    points, the gap at a test point."""

    radius: Array | float
    drift: Array | float
    gap: Array | float
    test_gap: Array | float


Number = Array | float


def step_bounds(*, bound: Number, lipschitz: Number, residual: Number, rho: Number, step_size: Number) -> Bounds:
    r"""The bounds for descent: $r = 3\eta_0BR_0/\rho$, $\varepsilon = 2BLr$, $\frac32\eta_0\varepsilon R_0/\rho$.

    B = `bound`, L = `lipschitz`, R_0 = `residual`. They hold if $18\eta_0^2B^2LR_0 \le \rho^2$, with B and L constants
    of the Jacobian on the ball of radius r. With `step_size` = 1 and rho the smallest eigenvalue they are those of
    the flow (its gap is half of `gap`).
    """
    radius = 3 * step_size * bound * residual / rho
    drift = 2 * bound * lipschitz * radius
    unit = step_size * drift * residual / rho
    return Bounds(radius, drift, 1.5 * unit, 3 * unit * (1 + 1.5 * step_size * bound**2 / rho))


class Ratios(NamedTuple):
    """Measured over bound, the largest over all steps, one number a case."""

    residual: Array
    path: Array
    drift: Array
    gap: Array


class Quadratic(NamedTuple):
    r"""A drawn model $J_0w + \frac12D[w, w]$ with its target, step size, contraction rho and bounds."""

    j0: Array
    bend: Array
    target: Array
    step: Array
    rho: Array
    bounds: Bounds


def _drawn_quadratic(key: AnyKey, share: float) -> Quadratic:
    """A draw that meets the condition with equality; see `quadratic_ratios`."""
    of_j, of_d, of_y = jax.random.split(key, 3)
    j0, bend = jax.random.normal(of_j, (2, 4)), jax.random.normal(of_d, (2, 4, 4))
    bend = bend + jnp.swapaxes(bend, 1, 2)
    values = jnp.linalg.svd(j0, compute_uv=False) ** 2
    best, limit = 2 / (values[0] + values[-1]), 2 / values[0]
    step = min(share, 1.0) * best + max(share - 1.0, 0.0) * (limit - best)
    rho = jnp.minimum(step * values[-1], 2 - step * values[0])
    lip, norm = jnp.linalg.norm(jnp.reshape(bend, (8, 4)), 2), jnp.sqrt(values[0])
    bound = (norm + jnp.sqrt(norm**2 + 2 * rho / (3 * step))) / 2  # B = ||J_0|| + L r and L r = rho / (6 step B)
    r0 = rho**2 / (18 * step**2 * bound**2 * lip)
    y = jax.random.normal(of_y, (2,))
    bounds = step_bounds(bound=bound, lipschitz=lip, residual=r0, rho=rho, step_size=step)
    return Quadratic(j0, bend, r0 * y / jnp.linalg.norm(y), step, rho, bounds)


def quadratic_ratios(key: AnyKey, *, cases: int, steps: int = 120, share: float = 0.9) -> Ratios:
    r"""Drawn models $f = J_0w + \frac12D[w, w]$ (2 outputs, 4 parameters) that just meet $18\eta_0^2B^2LR_0 = \rho^2$.

    L is the largest singular value of D unfolded, B = ||J_0|| + L r, and R_0 is chosen to meet the condition. The
    target lies in a drawn direction. The step size is `share` times the rate-optimal 2/(lam_min + lam_max) for
    share <= 1, and goes on from there to the stability limit 2/lam_max at share = 2.
    """

    def one(key: AnyKey) -> Ratios:
        q = _drawn_quadratic(key, share)
        r0 = jnp.linalg.norm(q.target)

        def descend(state: tuple[Array, Array, Array], count: Array) -> tuple[tuple[Array, Array, Array], Ratios]:
            w, linear, length = state
            j = q.j0 + q.bend @ w
            g = q.j0 @ w + jnp.einsum("iab,a,b->i", q.bend, w, w) / 2 - q.target
            move, decay = -q.step * (j.T @ g), (1 - q.rho / 3) ** count
            seen = Ratios(
                # At the start both are equal; at the end only rounding is left.
                jnp.where((count > 0) & (decay > 1e-12), jnp.linalg.norm(g) / (decay * r0), 0.0),
                length / q.bounds.radius,
                jnp.linalg.norm(j @ j.T - q.j0 @ q.j0.T, 2) / q.bounds.drift,
                jnp.linalg.norm(linear - g) / q.bounds.gap,
            )
            return (w + move, linear - q.step * (q.j0 @ (q.j0.T @ linear)), length + jnp.linalg.norm(move)), seen

        seen = jax.lax.scan(descend, (jnp.zeros(4), -q.target, jnp.zeros(())), jnp.arange(steps))[1]
        return Ratios(*(jnp.max(values) for values in seen))

    return jax.jit(jax.vmap(one))(jax.random.split(key, cases))


class Guarantee(NamedTuple):
    r"""What is certain for a network of this `width`: `notes` is $18B^2LR_0/\lambda^2$ (at most 1: the flow version of
    Theorem G.1 applies), `path` is $2LR_0/\sigma^2$ (below 1: the path-length theorem applies), `deviation` is
    $3\|\hat\Theta_0 - \Theta\|/\lambda$ (at most 1 is needed by the former); B, L and lam, the smallest eigenvalue."""

    width: int
    notes: float
    path: float
    deviation: float
    bound: float
    lipschitz: float
    lam: float


def guarantee(key: AnyKey, x: Float[RealArray, "n d"], target: Float[RealArray, " n"], *, width: int) -> Guarantee:
    r"""The conditions of both theorems for one draw of $m^{-1/2}\sum_jb_j\,\mathrm{erf}(\langle a_j, x\rangle)$.

    $b_j = \pm1$, symmetrized: $f(w_0) = 0$ and R_0 = ||y||. L is proved (`lipschitz.lipschitz_of_differential`), on
    the ball that each theorem asks for; B = ||J_0|| + L r on the ball of radius r = 3 B R_0/lam, or infinite.
    """
    params = models.init_two_layer(key, x.shape[1], width, symmetrized=True)
    params = {**params, "output": jnp.sign(params["output"])}
    h = models.as_map(models.two_layer("erf", scale=width**-0.5), x)
    lipschitz = lipschitz_of_differential(h, params)
    z = jnp.asarray(x) @ params["input"].T
    gates = 2 / np.sqrt(np.pi) * jnp.exp(-(z**2)) * params["output"]
    features = jax.scipy.special.erf(z)
    gram = jnp.asarray(x) @ jnp.asarray(x).T
    kernel = (gram * (gates @ gates.T) + features @ features.T) / width
    limit = sum(two_layer_limits(x, activation="erf"))
    lam, start = float(jnp.linalg.eigvalsh(limit)[0]), jnp.linalg.eigvalsh(kernel)
    norm, sigma_squared = float(jnp.sqrt(start[-1])), float(start[0])
    residual = float(jnp.linalg.norm(jnp.asarray(target)))
    bound = norm
    for _ in range(100):
        radius = 3 * bound * residual / lam
        bound = norm + lipschitz(radius) * radius
        if bound > 1e3 * norm:
            bound = np.inf
            break
    constant = lipschitz(3 * bound * residual / lam) if np.isfinite(bound) else np.inf
    return Guarantee(
        width=width,
        notes=18 * bound**2 * constant * residual / lam**2,
        path=2 * lipschitz(2 * residual / sigma_squared**0.5) * residual / sigma_squared,
        deviation=3 * float(jnp.linalg.norm(kernel - limit, 2)) / lam,
        bound=bound,
        lipschitz=constant,
        lam=lam,
    )


def largest_neuron(network: wide.FullyConnected, params: wide.Params, x: Float[RealArray, " d"]) -> Array:
    r"""A lower bound of $\sqrt m\,\mathrm{Lip}(J)$ near the parameters, from one neuron of the last hidden layer.

    Move the input weights of neuron j along its input $x^{L-1}$: its block of the gradient changes at the rate
    $c_{L+1}|w_j||\sigma''(h_j)|(c_L\|x^{L-1}\|)^2$. The largest over j, times sqrt(m). For "ntk" networks, one sample.
    """
    point = jnp.asarray(x)[None]
    seen = wide.passes(network, params, point)
    weights, bias = network.factors(params)
    before, c = seen.inputs[-2][0], weights[-2]
    h = c * (params[-2]["weight"] @ before) + bias * params[-2]["bias"]
    bend = jax.vmap(jax.grad(jax.grad(network.activation)))(h)
    last = params[-1]["weight"][0]
    return last.size**0.5 * weights[-1] * jnp.max(jnp.abs(last * bend)) * c**2 * jnp.sum(before**2)


@eqx.filter_jit
def first_order_drift(
    network: wide.FullyConnected, params: wide.Params, x: Float[RealArray, "n d"], residual: Float[RealArray, " n"]
) -> Float[Array, "n n"]:
    r"""$D\hat\Theta_0[\omega_\infty]$: the change of the kernel to first order, at the end of linearized training.

    $\omega_\infty = -J_0^\top\hat\Theta_0^{-1}g_0$ with $g_0$ = `residual`, $f(X) - y$ at the start.
    """
    x = jnp.asarray(x)

    def kernel(at: wide.Params) -> Array:
        return jnp.sum(wide.layer_kernels(network, at, x), axis=(0, 1))

    weights = jnp.linalg.solve(kernel(params), jnp.asarray(residual))
    pulled = jax.vjp(lambda at: network(at, x)[:, 0], params)[1](-weights)[0]
    return jax.jvp(kernel, (params,), (pulled,))[1]
