"""Each statement of the preliminaries measured: true on models that are not the example, and tight where it can be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course import linearization, models
from lazy_course.losses import square_loss
from lazy_course.preliminaries import numerics

SAMPLES, INPUTS, WIDTH = 3, 2, 4


class Bent(models.Function):
    """h(w) = (w1, w2 + bend w1^2 / 2): the running example at bend = 1, a parabola at 0, compiled once for both."""

    bend: jax.Array

    def __call__(self, w):
        return jnp.stack([w[0], w[1] + self.bend * w[0] ** 2 / 2])


VALLEY, PARABOLA = Bent(jnp.asarray(1.0)), Bent(jnp.asarray(0.0))


def tanh_map(key, *, normalize=False):
    """A tanh network on three samples as a map of one flat parameter vector, with its parameters and a target."""
    keys = jax.random.split(key, 3)
    params = models.init_two_layer(keys[0], INPUTS, WIDTH)
    flat, unravel = jax.flatten_util.ravel_pytree(params)
    network = models.as_map(
        models.two_layer("tanh"), jax.random.normal(keys[1], (SAMPLES, INPUTS)), normalize=normalize
    )

    def h(w):
        return network(unravel(w))

    return h, flat, jax.random.normal(keys[2], (SAMPLES,))


@pytest.fixture(scope="module")
def tanh():
    return tanh_map(jax.random.key(5))


@pytest.fixture(scope="module")
def tanh_flow(tanh):
    """(times, path, energies, norms of the gradient) of one gradient flow of the tanh network."""
    h, w0, target = tanh
    times, loss = jnp.linspace(0.0, 1.0, 321), square_loss(target)
    path = numerics.flow_path(h, w0, loss, times=times)
    return times, path, numerics.energies(h, path, loss), numerics.gradient_norms(h, path, loss)


UNIT = jnp.array([1.0, 0.0])


def test_frechet_quotient_falls_with_slope_one(tanh):
    h, w0, _ = tanh
    sizes = jnp.array([1e-2, 1e-3, 1e-4])
    quotients = numerics.frechet_quotients(h, w0, jnp.ones_like(w0) / 4, sizes)
    slopes = jnp.diff(jnp.log10(quotients)) / jnp.diff(jnp.log10(sizes))
    # The next Taylor term changes the quotient by a factor 1 + O(1e-2).
    np.testing.assert_allclose(slopes, 1.0, atol=2e-2)


def test_chain_rule_against_differences(tanh):
    h, w0, target = tanh
    residual, adjoint = jax.vjp(h, w0)[0] - target, jax.vjp(h, w0)[1]
    loss, size = square_loss(target), 1e-5
    steps = size * jnp.eye(w0.size)
    differences = jnp.stack([(loss(h(w0 + s)) - loss(h(w0 - s))) / (2 * size) for s in steps])
    # Central differences: truncation 1e-10, rounding 1e-16 / 1e-5.
    np.testing.assert_allclose(adjoint(residual)[0], differences, atol=1e-8)


def test_empirical_norm_divides_the_gradient_once(tanh):
    h, w0, target = tanh
    normalized, _, _ = tanh_map(jax.random.key(5), normalize=True)
    plain = jax.grad(numerics.Objective(h, square_loss(target)))(w0)
    empirical = jax.grad(numerics.Objective(normalized, square_loss(target / jnp.sqrt(SAMPLES))))(w0)
    np.testing.assert_allclose(empirical, plain / SAMPLES, rtol=1e-12)


def test_singular_values_are_the_extreme_stretches(key):
    matrix = jax.random.normal(key, (2, 3))
    left, values, _ = jnp.linalg.svd(matrix)
    found = numerics.operator_norm_by_search(matrix, key=key)
    assert 0.995 * values[0] <= found <= values[0] * (1 + 1e-12)
    residuals = jax.random.normal(key, (200, 2))
    stretches = jnp.linalg.norm(residuals @ matrix, axis=1) / jnp.linalg.norm(residuals, axis=1)
    assert values[1] * (1 - 1e-12) <= jnp.min(stretches)
    np.testing.assert_allclose(jnp.linalg.norm(left.T @ matrix, axis=1), values, rtol=1e-12)


def test_more_outputs_than_parameters_leave_a_residual_unmoved(key):
    matrix = jax.random.normal(key, (4, 2))
    assert jnp.linalg.eigvalsh(matrix @ matrix.T)[0] == pytest.approx(0.0, abs=1e-12)
    assert numerics.polyak_lojasiewicz_rate(lambda w: matrix @ w, jnp.zeros((1, 2))) == 0


def test_diagonal_is_enough_for_a_symmetric_map(key):
    form = jax.random.normal(key, (3, 2, 2))
    symmetric = form + jnp.swapaxes(form, 1, 2)
    # On the circle the diagonal can be searched to 1e-7, so it stands for its supremum.
    angle = jnp.linspace(0, jnp.pi, 20_001)
    unit = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)
    diagonal = jnp.max(jnp.linalg.norm(jnp.einsum("nij,di,dj->dn", symmetric, unit, unit), axis=1))
    pairs, squares = numerics.bilinear_norm_by_search(symmetric, key=key)
    assert pairs <= diagonal * (1 + 1e-6)
    assert pairs >= 0.99 * diagonal
    assert 0.999 * diagonal <= squares <= diagonal * (1 + 1e-6)


def test_diagonal_is_not_enough_without_symmetry(key):
    pairs, squares = numerics.bilinear_norm_by_search(jnp.array([[[0.0, 1.0], [-1.0, 0.0]]]), key=key)
    assert squares == pytest.approx(0.0, abs=1e-12)
    assert pairs == pytest.approx(1.0, abs=1e-3)


def test_taylor_remainder_is_the_integral_and_obeys_its_bound(tanh):
    h, w0, _ = tanh
    direction = 0.2 * jnp.ones_like(w0)
    value, change = jax.jvp(h, (w0,), (direction,))
    remainder = h(w0 + direction) - value - change
    np.testing.assert_allclose(remainder, linearization.taylor_remainder(h, w0, direction, 1.0), atol=1e-11)
    along = w0[None, :] + jnp.linspace(0.0, 1.0, 11)[:, None] * direction[None, :]
    second = jax.jit(jax.vmap(jax.hessian(h)))(along)
    # The norm of the unfolded second derivative is an upper bound on norm(D2h).
    bound = np.max(np.linalg.norm(np.asarray(second).reshape(11, -1, w0.size), ord=2, axis=(1, 2)))
    assert jnp.linalg.norm(remainder) <= bound * jnp.sum(direction**2) / 2


def test_taylor_bound_is_attained_by_the_valley():
    w0, along = numerics.valley_start(), jnp.array([0.3, 0.0])
    remainder = numerics.valley(w0 + along) - numerics.valley(w0) - jax.jvp(numerics.valley, (w0,), (along,))[1]
    # norm(D2h) = 1, so the bound is 0.3^2 / 2.
    assert jnp.linalg.norm(remainder) == pytest.approx(0.045, rel=1e-12)


@pytest.mark.parametrize("alpha", [1.0, 10.0])
def test_curvature_is_below_its_bound(tanh, alpha):
    h, w0, target = tanh
    first = jnp.linalg.norm(jax.jacobian(h)(w0), ord=2)
    # The norm of the unfolded second derivative is an upper bound on norm(D2h).
    second = np.linalg.norm(np.asarray(jax.jit(jax.hessian(h))(w0)).reshape(-1, w0.size), ord=2)
    bound = first**2 + second * jnp.linalg.norm(alpha * h(w0) - target) / alpha
    assert numerics.curvature(h, w0, target, alpha=alpha) <= bound


def test_curvature_bound_is_attained(key):
    # At w = (0, 2): Dh = Id, the residual is (0, 2) and D2h[u, u] = (0, u1^2): both terms meet in the direction e1.
    w, target = jnp.array([0.0, 2.0]), jnp.zeros(2)
    assert numerics.curvature(VALLEY, w, target) == pytest.approx(3.0, rel=1e-12)
    assert numerics.curvature_bound(VALLEY, w, target, key=key) == pytest.approx(3.0, rel=1e-8)
    # Elsewhere the bound is larger: 6.5 against 5.73 at the start of the example.
    start = numerics.valley_start()
    assert numerics.curvature(VALLEY, start, target) == pytest.approx(25 / 8 + np.sqrt(433) / 8, rel=1e-12)
    assert numerics.curvature_bound(VALLEY, start, target, key=key) == pytest.approx(6.5, rel=1e-8)


def test_energy_identity_along_a_flow(tanh_flow):
    times, _, energy, slope = tanh_flow
    # Simpson on a grid of 1/320 leaves about 1e-8 here.
    np.testing.assert_allclose(energy[0] - energy, numerics.running_integral(slope**2, times), atol=1e-6)
    assert energy[0] - energy[-1] > 0.1


def test_displacement_is_below_its_bound_and_attains_it_at_first(tanh_flow):
    times, path, energy, _ = tanh_flow
    moved = jnp.linalg.norm(path - path[:1], axis=1)
    bound = numerics.displacement_bound(energy, times)
    assert jnp.all(moved <= bound * (1 + 1e-9) + 1e-12)
    # Over a short time the speed is constant, and Cauchy-Schwarz is an equality.
    assert moved[1] >= 0.999 * bound[1]


def test_one_step_of_descent_lowers_the_objective_as_promised():
    w0, loss = numerics.valley_start(), numerics.valley_loss()
    gradient = jax.grad(numerics.Objective(numerics.valley, loss))(w0)
    for step in (0.05, 0.175, 0.3):
        along = w0[None, :] - jnp.linspace(0.0, step, 201)[:, None] * gradient[None, :]
        hessians = numerics.mean_hessians(VALLEY, along, along, loss)
        lipschitz = jnp.max(jnp.abs(jnp.linalg.eigvalsh(hessians)))
        before, after = numerics.energies(VALLEY, jnp.stack([w0, w0 - step * gradient]), loss)
        assert after <= before - step * (1 - lipschitz * step / 2) * jnp.sum(gradient**2) + 1e-12


def test_one_step_of_descent_is_tight_on_a_parabola():
    path = numerics.descent_path(PARABOLA, UNIT, numerics.valley_loss(), step=0.5, steps=1)
    energy = numerics.energies(PARABOLA, path, numerics.valley_loss())
    assert energy[1] == pytest.approx(0.5 - 0.5 * (1 - 0.25), rel=1e-12)


def test_descent_follows_the_flow_with_slope_one():
    counts = (40, 80, 160, 320)
    measured, bound = numerics.descent_gaps(
        VALLEY, numerics.valley_start(), numerics.valley_loss(), horizon=2.0, counts=counts
    )
    assert jnp.all(measured <= bound)
    slopes = -jnp.diff(jnp.log2(measured))
    # The next term of the error is a factor 1 + O(eta L): 0.15 at the last pair.
    assert slopes[-1] == pytest.approx(1.0, abs=0.06)
    assert jnp.all(jnp.diff(jnp.abs(slopes - 1)) < 0)


def test_descent_error_of_a_parabola_has_its_limit():
    # The limit is approached with a relative error of order eta = 0.006.
    measured, bound = numerics.descent_gaps(PARABOLA, UNIT, numerics.valley_loss(), horizon=2.0, counts=(320,))
    eta = 2.0 / 320
    assert float(measured[0]) / eta == pytest.approx(1 / (2 * np.e), rel=1e-2)
    assert float(bound[0]) / eta == pytest.approx((np.e**2 - 1) / 2, rel=1e-6)


def test_descent_gaps_ask_for_divisors():
    with pytest.raises(ValueError, match="counts: expected divisors"):
        numerics.descent_gaps(PARABOLA, UNIT, numerics.valley_loss(), horizon=2.0, counts=(3, 10))


def test_gronwall_envelope_is_attained_with_equality():
    # u = exp(sin t) (1 + t) solves u' = cos(t) u + exp(sin t).
    times = jnp.linspace(0.0, 6.0, 2001)
    envelope = numerics.gronwall_envelope(1.0, jnp.cos(times), jnp.exp(jnp.sin(times)), times)
    np.testing.assert_allclose(envelope, jnp.exp(jnp.sin(times)) * (1 + times), rtol=1e-9)


def test_gronwall_bounds_the_distance_of_two_flows():
    times, start = jnp.linspace(0.0, 4.0, 321), numerics.valley_start()
    distance, rate, lipschitz = numerics.flow_separation(
        VALLEY, start, start + jnp.array([0.0, -0.5]), numerics.valley_loss(), times=times
    )
    sharp = numerics.gronwall_envelope(distance[0], rate, jnp.zeros_like(times), times)
    crude = distance[0] * jnp.exp(lipschitz * times)
    # Simpson's rule and the flow's tolerance leave 1e-6.
    assert jnp.all(distance <= sharp * (1 + 1e-6))
    assert jnp.all(sharp <= crude * (1 + 1e-6))
    assert jnp.all(sharp <= 1.25 * distance)
    assert crude[-1] > 1e6 * distance[-1]


def test_gronwall_refuses_bad_times():
    flat = jnp.zeros(3)
    for times in (jnp.array([0.5, 1.0, 2.0]), jnp.array([0.0, 1.0, 1.0])):
        with pytest.raises(ValueError, match="times must begin at 0"):
            numerics.gronwall_envelope(1.0, flat, flat, times)


def test_gronwall_integral_form_agrees_with_the_differential_one():
    # Equality u = b + int a u has the derivative u' = a u + b', u(0) = b(0): two routes to one function.
    times = jnp.linspace(0.0, 3.0, 2001)
    rate, bound = 0.3 + jnp.sin(times) ** 2, 1.0 + times**2
    exponent = numerics.running_integral(rate, times)
    inner = numerics.running_integral(rate * bound * jnp.exp(-exponent), times)
    integral_form = bound + jnp.exp(exponent) * inner
    np.testing.assert_allclose(numerics.gronwall_envelope(1.0, rate, 2 * times, times), integral_form, rtol=1e-9)
    assert jnp.all(integral_form <= bound * jnp.exp(exponent) * (1 + 1e-12))
    constant = 1.0 + jnp.exp(exponent) * numerics.running_integral(rate * jnp.exp(-exponent), times)
    np.testing.assert_allclose(constant, jnp.exp(exponent), rtol=1e-9)


def test_gronwall_integral_form_needs_a_rate_of_one_sign():
    times = jnp.linspace(0.0, 1.1, 2201)
    u = jnp.maximum(0.0, 5.0 * (times - 1.0))
    assert jnp.all(u <= 1.0 - numerics.running_integral(u, times))
    assert u[-1] > jnp.exp(-times[-1])


def test_strong_convexity_gives_the_constant_and_no_more(key):
    curvatures = jnp.array([0.5, 3.0])
    points = jax.random.normal(key, (500, 2)) * jnp.array([[3.0, 0.3]])
    points = jnp.concatenate([points, jnp.array([[1.0, 0.0]])])
    ratios = numerics.polyak_lojasiewicz_ratio(lambda w: jnp.sqrt(curvatures) * w, points, square_loss(jnp.zeros(2)))
    assert jnp.min(ratios) >= 0.5 * (1 - 1e-12)
    assert ratios[-1] == pytest.approx(0.5, rel=1e-12)


def test_decay_and_length_under_the_inequality():
    times, loss = jnp.linspace(0.0, 4.0, 321), numerics.valley_loss()
    path = numerics.flow_path(VALLEY, numerics.valley_start(), loss, times=times)
    energy = numerics.energies(VALLEY, path, loss)
    rate = numerics.polyak_lojasiewicz_rate(VALLEY, numerics.valley_level(2.5))
    assert jnp.all(energy <= energy[0] * jnp.exp(-2 * rate * times) * (1 + 1e-12))
    length = numerics.running_integral(numerics.gradient_norms(VALLEY, path, loss), times)
    assert jnp.all(length[-1] - length <= jnp.sqrt(2 * energy / rate))


def test_decay_and_length_are_tight_on_a_parabola():
    times = jnp.linspace(0.0, 4.0, 321)
    path = numerics.flow_path(PARABOLA, UNIT, numerics.valley_loss(), times=times)
    energy = numerics.energies(PARABOLA, path, numerics.valley_loss())
    np.testing.assert_allclose(energy, 0.5 * jnp.exp(-2 * times), rtol=1e-6)
    np.testing.assert_allclose(jnp.abs(path[:, 0]), jnp.sqrt(2 * energy), rtol=1e-12)


def test_kernel_rate_holds_on_the_sublevel_set(key):
    points = numerics.valley_sublevel(2.5, count=20_000, key=key)
    ratios = numerics.polyak_lojasiewicz_ratio(VALLEY, points, numerics.valley_loss())
    rate = numerics.polyak_lojasiewicz_rate(VALLEY, numerics.valley_level(2.5))
    assert rate <= numerics.polyak_lojasiewicz_rate(VALLEY, points)
    # The worst residual never meets the worst Jacobian: the constant is loose, by less than a fifth.
    assert rate <= jnp.min(ratios) <= 1.2 * rate
    # And the set is not convex: the Hessian has a negative eigenvalue in it.
    hessians = numerics.mean_hessians(VALLEY, points[:500], points[:500], numerics.valley_loss())
    assert jnp.min(jnp.linalg.eigvalsh(hessians)) < -0.5
