"""The measurements of the chapter: formulas met by JAX, bounds true and tight."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

from lazy_course import models, norms
from lazy_course.criterion import derivation, experiment, numerics


@pytest.fixture(scope="module")
def network():
    h, params = numerics.random_network(jax.random.key(3), m=4)
    return h, params, experiment.target(8)


def test_relative_changes_have_second_order_remainders(network):
    """Delta(F) and Delta(Dh) meet their first-order formulas with a relative error of slope 1 in eta."""
    h, params, target = network
    steps = np.logspace(-4, -2, 5)
    errors = numerics.first_order_errors(h, params, target, steps)
    # The next order adds a relative error of size eta <= 0.01 to the slope.
    for name in ("objective", "differential"):
        assert numerics.slope(steps, errors[name]) == pytest.approx(1.0, abs=0.05), name
        assert errors[name][0] < 1e-3
    assert np.all(errors["bound"] > 0), "the product of norms bounds the first-order change"


def test_relative_changes_of_the_example_meet_sympy():
    """On the example, Delta(F) along one step equals sympy's exact polynomial at random numbers."""
    case, names = derivation.example(), derivation.example_symbols()
    numbers = (1.7, 0.6, 2.3)
    goal = (0.4, -1.1)
    changes = numerics.relative_changes(
        numerics.smallest_example(*numbers), jnp.zeros(2), jnp.array(goal), np.array([0.1, 0.01])
    )
    values = dict(zip(names, numbers, strict=True)) | dict(zip(case.target, goal, strict=True))
    objective = case.objective.subs(values)
    gradient = [sp.diff(objective, v).subs(dict.fromkeys(case.w, 0)) for v in case.w]
    start = objective.subs(dict.fromkeys(case.w, 0))
    for eta, measured in zip(changes.steps, changes.objective, strict=True):
        moved = {v: -eta * g for v, g in zip(case.w, gradient, strict=True)}
        assert measured == pytest.approx(float(abs(objective.subs(moved) - start) / start), rel=1e-10)
    # D2h[g, .] = (0, c g2 .): the change of Dh is exactly of first order here.
    assert changes.differential == pytest.approx(changes.differential_first_order, rel=1e-10)


def test_bound_on_the_change_of_dh_is_attained():
    """With the gradient along w2 the product ||D2h|| ||grad F|| is no larger than the true change."""
    changes = numerics.relative_changes(
        numerics.smallest_example(1.0, 0.5, 3.0), jnp.zeros(2), jnp.array([0.0, 1.0]), np.array([1e-3])
    )
    assert changes.differential == pytest.approx(changes.differential_bound, rel=1e-9)


def test_dense_norms_meet_the_matrix_free_norms(network):
    """The chapter's dense norms lie in the brackets of lazy_course.norms."""
    h, params, target = network
    key = jax.random.key(0)
    (at,) = numerics.tensors(h, jax.tree.map(lambda leaf: leaf[None], params))
    lower, upper = norms.inverse_relative_scale(h, params, target, key=key)
    # The bracket's lower end carries Lanczos' margin on ||Dh||^2, so it may be below by that much.
    assert float(lower) * (1 - 1e-9) <= at.kappa(target) <= float(upper) * (1 + 1e-9)
    assert at.kappa(target) == pytest.approx(float(lower), rel=1e-2)


@pytest.mark.parametrize("seed", range(3))
def test_kappa_times_ratio_is_twice_the_alignment(seed):
    h, params = numerics.random_network(jax.random.key(seed), m=4)
    found = numerics.criterion(h, params, jax.random.normal(jax.random.key(seed + 100), (8,)))
    assert found.kappa * found.ratio == pytest.approx(2 * found.alignment, rel=1e-12)
    assert found.least_alignment <= found.alignment <= 1


def test_alignment_reaches_both_ends():
    """chi = 1 for a residual along the largest singular direction, sigma_min / ||Dh|| for the smallest."""
    h = numerics.smallest_example(3.0, 0.2, 1.0)
    assert numerics.criterion(h, jnp.zeros(2), jnp.array([1.0, 0.0])).alignment == pytest.approx(1.0)
    worst = numerics.criterion(h, jnp.zeros(2), jnp.array([0.0, 1.0]))
    assert worst.alignment == pytest.approx(worst.least_alignment) == pytest.approx(0.2 / 3)


def test_zero_residual_is_refused():
    with pytest.raises(ValueError, match="target: expected another point"):
        numerics.criterion(numerics.smallest_example(1, 1, 1), jnp.zeros(2), jnp.zeros(2))


def test_example_kappa_meets_sympy():
    case, names = derivation.example(), derivation.example_symbols()
    values, goal = (2.1, 1.3, 0.7), (0.3, -0.8)
    numbers = dict(zip(names, values, strict=True)) | dict(zip(case.target, goal, strict=True))
    found = numerics.criterion(numerics.smallest_example(*values), jnp.zeros(2), jnp.array(goal))
    assert found.kappa == pytest.approx(float(case.kappa.subs(numbers)), rel=1e-12)
    assert found.ratio == pytest.approx(float(case.ratio.subs(numbers)), rel=1e-12)


def test_rescaled_kappa_meets_the_formula(network):
    """Kappa measured on alpha h equals (1/alpha) ||alpha h - y*|| ||D2h|| / ||Dh||^2 with the norms of h."""
    h, params, target = network
    alphas = np.array([0.03, 1.0, 40.0, 1e5])
    (at,) = numerics.tensors(h, jax.tree.map(lambda leaf: leaf[None], params))
    formula = derivation.rescaled_kappa().equation.rhs
    residual = next(s for s in formula.free_symbols if r"\alpha" in s.name and "lVert" in s.name)
    for alpha, measured in zip(alphas, numerics.kappas_of_scales(h, params, target, alphas), strict=True):
        numbers = {
            derivation.ALPHA: alpha,
            derivation.HESSIAN_NORM: at.hessian_norm,
            derivation.JACOBIAN_NORM: at.jacobian_norm,
            residual: float(np.linalg.norm(alpha * at.output - np.asarray(target))),
        }
        assert measured == pytest.approx(float(formula.subs(numbers)), rel=1e-9)
    limits = numerics.kappas_of_scales(h, params, 0 * target, alphas)
    assert limits == pytest.approx(np.full(4, measured), rel=1e-3)


def test_symmetrized_kappa_falls_like_one_over_alpha():
    h, params = numerics.random_network(jax.random.key(5), m=4, symmetrized=True)
    alphas = np.logspace(-2, 4, 4)
    kappas = numerics.kappas_of_scales(h, params, experiment.target(8), alphas)
    assert numerics.slope(alphas, kappas) == pytest.approx(-1.0, abs=1e-9)


@pytest.mark.parametrize("q", [1, 2, 3, 4])
def test_homogeneous_kappa_meets_the_formula(q):
    """Symmetrized: slope -q exactly. As drawn: lambda^-q ||lambda^q h - y*|| ||D2h|| / ||Dh||^2."""
    h, w0 = numerics.random_norm_power(jax.random.key(q), q)
    target, dilations = jnp.array([1.0, -1.0, 0.5]), np.array([0.5, 1.0, 3.0])
    symmetrized = numerics.kappas_of_dilations(numerics.paired(h), (w0, w0), target, dilations)
    # D2h comes from an alternation of 30 sweeps: converged to 1e-6 or better on these cases.
    assert numerics.slope(dilations, symmetrized) == pytest.approx(-q, abs=1e-5)
    (at,) = numerics.tensors(h, w0[None])
    for dilation, measured in zip(dilations, numerics.kappas_of_dilations(h, w0, target, dilations), strict=True):
        residual = np.linalg.norm(dilation**q * at.output - np.asarray(target))
        wanted = dilation**-q * residual * at.hessian_norm / at.jacobian_norm**2
        assert measured == pytest.approx(wanted, rel=1e-5)


def test_relu_network_is_homogeneous_too():
    """Three ReLU layers: Dh has degree 2 and D2h degree 1 wherever they exist."""
    f = models.homogeneous(3)
    h = models.as_map(f, numerics.half_circle(3))
    params = models.init_homogeneous(jax.random.key(2), (2, 3, 3, 1))
    pair = jax.tree.map(lambda leaf: jnp.stack([leaf, 2.5 * leaf]), params)
    small, large = numerics.tensors(h, pair)
    assert large.jacobian == pytest.approx(2.5**2 * small.jacobian, rel=1e-10, abs=1e-12)
    assert large.hessian == pytest.approx(2.5 * small.hessian, rel=1e-10, abs=1e-12)
