"""The two witnesses meet: coded bounds are the derived ones, and flows stay below them, flat in alpha."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course import expansion
from lazy_course.certificate import certificate
from lazy_course.flows import gradient_flow, norm_over_time
from lazy_course.losses import square_loss
from lazy_course.uniform_bounds import derivation, numerics, path_length
from lazy_course.uniform_bounds.derivation import ALPHA, CONVEX, SIGMA, SMOOTH, TIME, A, D, L, S, spelled
from lazy_course.uniform_bounds.path_length import OMEGA, E
from lazy_course.verification import path_bounds, uniform_bounds

ALPHAS = [30.0, 100.0, 1e3, 1e5]


@functools.cache
def diagonal():
    return numerics.diagonal_problem(jax.random.key(3))


@functools.cache
def sweep():
    return numerics.gap_sweep(diagonal(), ALPHAS)


def test_coded_bounds_are_the_derived_ones():
    """`certificate.uniform_bounds` and `path_bounds` against sympy's expressions, at three times."""
    problem = numerics.with_weight(diagonal(), 3.0)
    c, alpha, distance, energy = numerics.certified(problem), 2e4, 1.2, 1.7
    omega = float(np.sqrt(1 - 2 * c.lip_dh * energy / (alpha * c.sigma_min**2)))
    numbers = {SMOOTH: c.smoothness, CONVEX: c.strong_convexity, SIGMA: c.sigma_min, S: c.jacobian_norm, L: c.lip_dh}
    numbers |= {D: distance, E: energy, OMEGA: omega, ALPHA: alpha}
    bounds, paths = derivation.all_bounds(), path_length.all_path_bounds()
    times = np.array([0.0, 0.1, 2.0])
    coded = uniform_bounds(c, alpha, times, distance=distance, energy=energy)
    coded_path = path_bounds(c, alpha, times, distance=distance, energy=energy)

    def value(derived, t):
        return float(spelled(derived.equation.rhs).subs({**numbers, TIME: t}))

    for j, t in enumerate(times):
        rate = float(spelled(A).subs(numbers))
        residual = bounds["decay_of_the_loss"].equation.rhs.subs(derivation.LAM, SIGMA**2 / 4)
        expected = [
            float(spelled(residual).subs({**numbers, TIME: t})),
            value(bounds["travel"], t),
            min(value(bounds["output_gap"], t), value(bounds["uniform_output_gap"], t)),
            value(bounds["parameter_gap"], t),
        ]
        assert [row[j] for row in coded] == pytest.approx(expected, rel=1e-10, abs=1e-15)
        assert rate == pytest.approx(c.rate)
        names = ("residual", "path_bound", "path_output_gap", "path_parameter_gap")
        assert [row[j] for row in coded_path] == pytest.approx([value(paths[n], t) for n in names], rel=1e-10)


def test_a_logarithm_would_be_seen():
    """alpha^2 sup is within 1 % of its last value from alpha = 100 on; log(alpha) grows by 2.5 from there."""
    scaled = np.asarray(sweep().parameter_gap)
    assert scaled.shape == (2, len(ALPHAS))
    assert np.max(np.abs(scaled[:, 1:] / scaled[:, -1:] - 1)) < 0.01
    with_log = scaled * np.log(ALPHAS)[None]
    assert np.max(np.abs(with_log[:, 1:] / with_log[:, -1:] - 1)) > 0.5, "the same test on a gap with a logarithm fails"
    outputs = np.asarray(sweep().output_gap)
    assert np.max(np.abs(outputs[:, 1:] / outputs[:, -1:] - 1)) < 0.01


def test_the_sweep_is_below_both_bounds():
    for weight, row in zip((0.0, 3.0), np.asarray(sweep().parameter_gap), strict=True):
        c = numerics.certified(numerics.with_weight(diagonal(), weight))
        for alpha, measured in zip(ALPHAS, row, strict=True):
            given = {"distance": c.target_norm, "energy": c.loss_distance}
            assert measured <= alpha**2 * path_bounds(c, alpha, np.zeros(1), **given)[3][0]
            if alpha > 3 / 8 * c.alpha_threshold:
                assert measured <= alpha**2 * uniform_bounds(c, alpha, np.zeros(1), **given)[3][0]


def test_the_limit_is_the_first_correction():
    """alpha^2 sup |w - wbar| at alpha = 1e5 equals sup |v1| up to O(1/alpha)."""
    problem = diagonal()
    times = numerics.long_times(numerics.certified(problem))
    first = expansion.first_correction(problem.h, problem.params0, problem.loss, times=times)
    limit = float(jnp.max(norm_over_time(first.correction)))
    assert float(sweep().parameter_gap[0, -1]) == pytest.approx(limit, rel=1e-4)


def test_every_step_of_both_proofs_holds():
    problem = numerics.with_weight(diagonal(), 3.0)
    alpha = 1.2 * numerics.certified(problem).alpha_threshold
    uniform, path = numerics.uniform_steps(problem, alpha), numerics.path_steps(problem, alpha)
    assert len(uniform) == 7
    assert len(path) == 5
    assert all(step.factor >= 1.0 for step in uniform + path), [s for s in uniform + path if s.factor < 1]
    assert path[0].factor < 3.0, "tight up to a small factor, of which E/D <= sqrt(kappa) = 2 is a part"
    assert path[-1].factor < 1e-3 * uniform[-1].factor


@pytest.mark.parametrize(("share", "fits"), [(0.9, False), (1.1, True)])
def test_the_threshold_is_sharp(share, fits):
    """h = 2w - 3w^2/2, target 1/2, alpha_1 = 3/4: below, the flow stops at the top of h; above, it fits the target."""

    def hill(w):
        return 2 * w - 1.5 * w**2

    loss, start = square_loss([0.5]), jnp.zeros(1)
    alpha = share * certificate(hill, start, loss, lip_dh=3.0).path_threshold
    end = gradient_flow(hill, start, loss, alpha=alpha, times=np.linspace(0.0, 60.0, 100))
    w = float(end.params[-1, 0])
    if fits:
        omega = np.sqrt(1 - 1 / share)
        assert float(end.loss[-1]) < 1e-12
        assert w == pytest.approx(2 / 3 * (1 - omega), rel=1e-6)
    else:
        assert float(end.loss[-1]) == pytest.approx(0.5 * (0.5 - alpha * 2 / 3) ** 2, rel=1e-3)
        assert w == pytest.approx(2 / 3, rel=1e-2)


def test_input_trained_networks_have_the_stated_lipschitz_constant():
    """Random pairs of parameters: the differential never changes faster than the certificate says."""
    problem = numerics.input_problem(jax.random.key(1), m=4)
    inner = problem.h.inner
    bound = inner.f.differential_lipschitz(problem.params0, inner.x, 0.0)
    jacobian = jax.jit(jax.vmap(jax.jacrev(lambda w: problem.h({"input": w.reshape(4, 4)}))))
    away = 0.5 * jax.random.normal(jax.random.key(2), (2, 200, 16))
    ratios = jnp.linalg.norm(jacobian(away[0]) - jacobian(away[1]), 2, axis=(1, 2))
    ratios = ratios / jnp.linalg.norm(away[0] - away[1], axis=1)
    assert 0.05 * bound < float(jnp.max(ratios)) <= bound
