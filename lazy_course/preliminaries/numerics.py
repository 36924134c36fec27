"""The measurements of the preliminaries: searches over unit vectors, flows, descent and the three inequalities.

Shapes: p parameters, n outputs, T times. Times are flow times unless a name says `step` or `steps`.
"""

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy.integrate import cumulative_simpson

from lazy_course import descent, flows, norms
from lazy_course.losses import square_loss
from lazy_course.models import AnyKey, Function

Model = Callable[[Float[Array, " p"]], Float[Array, " n"]]
Loss = Callable[[Float[Array, " n"]], Float[Array, ""]]
Scalar = Float[Array, ""]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(6)
_NODES, _WEIGHTS = (_NODES + 1) / 2, _WEIGHTS / 2  # on [0, 1]


def valley(params: Float[Array, "2"]) -> Float[Array, "2"]:
    """Return the running example h(w) = (w1, w2 + w1^2 / 2); with the target 0 its objective is a bent valley."""
    return jnp.stack([params[0], params[1] + params[0] ** 2 / 2])


def valley_start() -> Float[Array, "2"]:
    """Return the start of the running example, w0 = (3/2, 7/8): there h = (3/2, 2)."""
    return jnp.array([1.5, 0.875])


def valley_loss() -> Loss:
    """Return the loss of the running example, R(y) = norm(y)^2 / 2."""
    return square_loss(jnp.zeros(2))


def valley_sublevel(radius: float, *, count: int, key: AnyKey) -> Float[Array, "count 2"]:
    """Draw points of the set {norm(h(w)) <= radius} of the running example.

    h is one to one with inverse y -> (y1, y2 - y1^2 / 2), so the points are images of a disc's.
    """
    keys = jax.random.split(key)
    angle = jax.random.uniform(keys[0], (count,), maxval=2 * jnp.pi)
    length = radius * jnp.sqrt(jax.random.uniform(keys[1], (count,)))
    first, second = length * jnp.cos(angle), length * jnp.sin(angle)
    return jnp.stack([first, second - first**2 / 2], axis=1)


def valley_level(radius: float, *, count: int = 361) -> Float[Array, "count 2"]:
    """Return points of the level {norm(h(w)) = radius} of the running example; w1 is extreme at two of them."""
    angle = jnp.linspace(0.0, 2 * jnp.pi, count)
    first, second = radius * jnp.cos(angle), radius * jnp.sin(angle)
    return jnp.stack([first, second - first**2 / 2], axis=1)


class Objective(Function):
    """The function F(w) = R(h(w)) of the parameters."""

    h: Model
    loss: Loss

    def __call__(self, params: Float[Array, " p"]) -> Scalar:
        return self.loss(self.h(params))


def frechet_quotients(
    h: Model, params: Float[Array, " p"], direction: Float[Array, " p"], sizes: Float[Array, " s"]
) -> Float[Array, " s"]:
    """Return norm(h(w + eps u) - h(w) - eps Dh(w) u) / eps for each eps in `sizes`: it tends to 0 with eps.

    The difference is taken as it stands, so eps below 1e-6 shows rounding (see `linearization.taylor_remainder`).
    """
    here, change = jax.jvp(h, (params,), (direction,))

    def quotient(size: Float[Array, ""]) -> Scalar:
        return jnp.linalg.norm(h(params + size * direction) - here - size * change) / size

    return jax.vmap(quotient)(sizes)


def operator_norm_by_search(matrix: Float[Array, "n p"], *, directions: int = 20_000, key: AnyKey) -> Scalar:
    """Return max norm(A u) over random unit vectors u: a lower bound on the operator norm, dimensionless.

    It is meant for small p; for real work see `norms.jacobian_operator_norm`.
    """
    unit = _unit_vectors(key, directions, matrix.shape[1])
    return jnp.max(jnp.linalg.norm(unit @ matrix.T, axis=1))


def bilinear_norm_by_search(
    form: Float[Array, "n p p"], *, directions: int = 20_000, key: AnyKey
) -> tuple[Scalar, Scalar]:
    """Return the largest norm(B[u, v]) over random unit pairs, and over random pairs with u = v.

    Both are lower bounds on norm(B). For a symmetric B the two suprema are equal (the diagonal lemma).
    """
    keys = jax.random.split(key)
    left = _unit_vectors(keys[0], directions, form.shape[1])
    right = _unit_vectors(keys[1], directions, form.shape[2])
    pairs = jnp.linalg.norm(jnp.einsum("nij,di,dj->dn", form, left, right), axis=1)
    squares = jnp.linalg.norm(jnp.einsum("nij,di,dj->dn", form, left, left), axis=1)
    return jnp.max(pairs), jnp.max(squares)


def curvature(h: Model, params: Float[Array, " p"], target: Float[Array, " n"], *, alpha: float = 1.0) -> Scalar:
    """Return the operator norm of the Hessian of F_alpha(w) = norm(alpha h(w) - y*)^2 / (2 alpha^2) at w."""
    return _curvature(h, params, target, jnp.asarray(alpha, dtype=float))


@eqx.filter_jit
def _curvature(h: Model, params: Float[Array, " p"], target: Float[Array, " n"], alpha: Scalar) -> Scalar:
    def objective(w: Float[Array, " p"]) -> Scalar:
        return square_loss(target)(alpha * h(w)) / alpha**2

    return jnp.linalg.norm(jax.hessian(objective)(params), ord=2)


def curvature_bound(
    h: Model, params: Float[Array, " p"], target: Float[Array, " n"], *, alpha: float = 1.0, key: AnyKey
) -> Scalar:
    """Return norm(Dh)^2 + norm(D2h) norm(alpha h - y*) / alpha, which is at least `curvature`."""
    keys = jax.random.split(key)
    first = norms.jacobian_operator_norm(h, params, key=keys[0])
    _, second = norms.hessian_operator_norm(h, params, key=keys[1])
    return first**2 + second * jnp.linalg.norm(alpha * h(params) - target) / alpha


def flow_path(h: Model, params0: Float[Array, " p"], loss: Loss, *, times: Float[Array, " T"]) -> Float[Array, "T p"]:
    """Return w(t) of the gradient flow w' = -grad (loss o h)(w), w(0) = params0, at the given flow times."""
    return params0[None, :] + flows.gradient_flow(h, params0, loss, alpha=1.0, times=times).displacement


@eqx.filter_jit
def energies(h: Model, path: Float[Array, "T p"], loss: Loss) -> Float[Array, " T"]:
    """Return F = loss(h(w)) at each point of a path."""
    return jax.vmap(Objective(h, loss))(path)


@eqx.filter_jit
def gradient_norms(h: Model, path: Float[Array, "T p"], loss: Loss) -> Float[Array, " T"]:
    """Return norm(grad F) at each point of a path, for F = loss o h."""
    return jnp.linalg.norm(jax.vmap(jax.grad(Objective(h, loss)))(path), axis=1)


def running_integral(values: Float[Array, " T"], times: Float[Array, " T"]) -> Float[Array, " T"]:
    """Return int_0^t of sampled values, by Simpson's rule: error of order dt^3 on a grid of spacing dt."""
    return jnp.asarray(cumulative_simpson(np.asarray(values), x=np.asarray(times), initial=0))


def displacement_bound(energy: Float[Array, " T"], times: Float[Array, " T"]) -> Float[Array, " T"]:
    """Return sqrt(t (F(w(0)) - F(w(t)))), which is at least norm(w(t) - w(0)) along a gradient flow."""
    # A flow at rest loses nothing: rounding must not put a negative number under the root.
    return jnp.sqrt(times * jnp.maximum(energy[0] - energy, 0.0))


def descent_path(h: Model, params0: Float[Array, " p"], loss: Loss, *, step: float, steps: int) -> Float[Array, "k p"]:
    """Return the iterates w_0, ..., w_steps of w <- w - step * grad F(w), F = loss o h; shape (steps + 1, p).

    Raises what `descent.gradient_descent` raises: ValueError for bad input, FlowError when the loss rises.
    """
    every = jnp.arange(steps + 1)
    run = descent.gradient_descent(h, params0, loss, alpha=1.0, step_size=step, steps=steps, save_at=every)
    return params0[None, :] + run.displacement


def descent_gaps(
    h: Model, params0: Float[Array, " p"], loss: Loss, *, horizon: float, counts: Sequence[int]
) -> tuple[Float[Array, " c"], Float[Array, " c"]]:
    """Return (measured, bound) of max_k norm(w_k - w(k eta)), k eta <= horizon, for eta = horizon / count.

    The bound is eta M (exp(L T) - 1) / (2 L) with M = max norm(w'') along the flow and L the largest norm of the
    Hessian of F averaged over a segment from w_k to w(k eta): what the proof uses.

    Raises:
        ValueError: when a count does not divide the largest one (the flow is solved once, on the finest grid).
    """
    finest = max(counts)
    if any(count < 1 or finest % count for count in counts):
        raise ValueError(f"counts: expected divisors of the largest, got {tuple(counts)}; take 10, 20, 40, ...")
    flow = flow_path(h, params0, loss, times=jnp.linspace(0.0, horizon, finest + 1))
    pairs = [_descent_gap(h, flow, loss, jnp.asarray(horizon), jnp.asarray(count)) for count in counts]
    measured, bound = zip(*pairs, strict=True)
    return jnp.stack(measured), jnp.stack(bound)


@eqx.filter_jit
def _descent_gap(
    h: Model, flow: Float[Array, "T p"], loss: Loss, horizon: Scalar, count: Int[Array, ""]
) -> tuple[Scalar, Scalar]:
    """Compare one descent with the flow. All counts share one shape: iterates past the horizon are masked."""
    objective, finest, step = Objective(h, loss), flow.shape[0] - 1, horizon / count
    numbers = jnp.arange(finest + 1)
    run, _, _ = descent.solve_gradient_descent(h, flow[0], loss, 1.0, step, numbers)
    iterates = flow[0][None, :] + run.displacement
    inside = numbers <= count
    matched = flow[jnp.minimum(numbers * (finest // count), finest)]
    velocity_change = jax.vmap(lambda w: jax.hessian(objective)(w) @ jax.grad(objective)(w))(flow)
    acceleration = jnp.max(jnp.linalg.norm(velocity_change, axis=1))
    # Past the horizon a descent may run away: put the start there, so that nothing overflows.
    iterates = jnp.where(inside[:, None], iterates, flow[0][None, :])
    matched = jnp.where(inside[:, None], matched, flow[0][None, :])
    spectra = jnp.abs(jnp.linalg.eigvalsh(mean_hessians(h, iterates, matched, loss)))
    lipschitz = jnp.max(jnp.where(inside[:, None], spectra, 0.0))
    bound = step * acceleration * jnp.expm1(lipschitz * horizon) / (2 * lipschitz)
    return jnp.max(jnp.linalg.norm(iterates - matched, axis=1)), bound


def gronwall_envelope(
    start: Float[Array, ""] | float,
    rate: Float[Array, " T"],
    forcing: Float[Array, " T"],
    times: Float[Array, " T"],
) -> Float[Array, " T"]:
    """Return e^{A(t)} u0 + int_0^t e^{A(t) - A(s)} b(s) ds, A = int_0^t a: it bounds every u with u' <= a u + b.

    Args:
        start: u(0).
        rate, forcing: a and b sampled at `times`, which begin at 0 (Simpson's rule, error of order dt^3).

    Raises:
        ValueError: when the times do not begin at 0 and increase.
    """
    if times[0] != 0 or bool(jnp.any(jnp.diff(times) <= 0)):
        raise ValueError(f"times must begin at 0 and increase, got {times}: give a grid such as linspace(0, T)")
    exponent = running_integral(rate, times)
    return jnp.exp(exponent) * (start + running_integral(jnp.exp(-exponent) * forcing, times))


def flow_separation(
    h: Model,
    params0: Float[Array, " p"],
    other0: Float[Array, " p"],
    loss: Loss,
    *,
    times: Float[Array, " T"],
) -> tuple[Float[Array, " T"], Float[Array, " T"], Float[Array, ""]]:
    """Return the distance of two gradient flows, its rate a(t), and the constant L that forgets the sign.

    With delta the difference, delta' = -H delta, where H is the Hessian averaged over the segment. So
    norm(delta)' <= a norm(delta) with a = -(smallest eigenvalue of H), and a <= L = max norm(H).
    """
    first, second = flow_path(h, params0, loss, times=times), flow_path(h, other0, loss, times=times)
    averaged = mean_hessians(h, first, second, loss)
    eigenvalues = jnp.linalg.eigvalsh(averaged)
    return jnp.linalg.norm(first - second, axis=1), -eigenvalues[:, 0], jnp.max(jnp.abs(eigenvalues))


def polyak_lojasiewicz_ratio(
    h: Model, points: Float[Array, "c p"], loss: Loss, *, minimum: float = 0.0
) -> Float[Array, " c"]:
    """Return norm(grad F)^2 / (2 (F - minimum)) at each point: the inequality holds there with mu iff it is >= mu."""
    return gradient_norms(h, points, loss) ** 2 / (2 * (energies(h, points, loss) - minimum))


def polyak_lojasiewicz_rate(h: Model, points: Float[Array, "c p"]) -> Scalar:
    """Return the least sigma_min(Dh(w)^T)^2 over the points: there F = norm(h - y*)^2 / 2 has this rate mu.

    F then falls at least like exp(-2 mu t) along a flow that stays where the points were drawn.
    sigma_min is that of Dh^T, a map from the n outputs to the p parameters: it is 0 when n > p.
    """
    values = _singular_values(h, points)
    outputs = jax.eval_shape(h, points[0]).size
    return jnp.min(values) ** 2 if outputs <= points.shape[1] else jnp.zeros(())


@eqx.filter_jit
def _singular_values(h: Model, points: Float[Array, "c p"]) -> Float[Array, "c r"]:
    return jnp.linalg.svd(jax.vmap(jax.jacobian(h))(points), compute_uv=False)


def _unit_vectors(key: AnyKey, count: int, size: int) -> Float[Array, "count size"]:
    draws = jax.random.normal(key, (count, size))
    return draws / jnp.linalg.norm(draws, axis=1, keepdims=True)


@eqx.filter_jit
def mean_hessians(
    h: Model, first: Float[Array, "T p"], second: Float[Array, "T p"], loss: Loss
) -> Float[Array, "T p p"]:
    """Return int_0^1 Hess F(a + s (b - a)) ds for each pair of rows a, b, with F = loss o h.

    Six Gauss nodes: exact if the Hessian is a polynomial of degree 11 or less along the segment.
    """
    objective = Objective(h, loss)

    def average(a: Float[Array, " p"], b: Float[Array, " p"]) -> Float[Array, "p p"]:
        points = a[None, :] + jnp.asarray(_NODES)[:, None] * (b - a)[None, :]
        return jnp.einsum("s,sij->ij", jnp.asarray(_WEIGHTS), jax.vmap(jax.hessian(objective))(points))

    return jax.vmap(average)(first, second)
