"""Closed-form kernels: reference values, the derivation, parallel inputs, symmetry, precision, random features."""

import json
from functools import lru_cache
from pathlib import Path

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp
from jaxtyping import config as jaxtyping_config

from lazy_course import models
from lazy_course.ntk import angles, derivation, numerics, recursions
from lazy_course.ntk.numerics import infinite_width_kernels, random_feature_kernels, two_layer_limits

REFERENCE = json.loads((Path(__file__).parent / "infinite_width.json").read_text())
X1, X2 = np.array(REFERENCE["x1"]), np.array(REFERENCE["x2"])
# Compiled once, used by several tests: (6, 5) against (4, 5) inputs with two hidden layers.
SETTINGS = {"depth": 2, "sigma_w": 1.5}
ACROSS = np.linalg.qr(X1[:2].T)[0][:, 1] * np.linalg.norm(X1[0])


def turned(*tilts):
    """X1[0], turned by the given small angles (tangents)."""
    return np.stack([X1[0] + tilt * ACROSS for tilt in tilts])


def test_the_reference_has_all_its_kernels():
    assert len(REFERENCE["kernels"]) == 12


@pytest.mark.parametrize("row", REFERENCE["kernels"], ids=lambda r: f"{r['activation']}-{r['depth']}-{r['sigma_b']}")
def test_kernels_agree_with_the_reference(row):
    options = {name: row[name] for name in ("activation", "depth", "sigma_w", "sigma_b")}
    kernels = infinite_width_kernels(X1, X2, **options)
    np.testing.assert_allclose(kernels.nngp, row["nngp"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(kernels.ntk, row["ntk"], rtol=0, atol=1e-10)


@lru_cache
def forty_digits(activation):
    """The recursion of the derivation as a function of <x, x'>/d, |x|^2/d, |x'|^2/d, sigma_w and sigma_b, by mpmath."""
    moments = sp.symbols("inner square other")
    pair = derivation.kernels_at_depth(activation, SETTINGS["depth"], *moments)
    return sp.lambdify([*moments, derivation.SIGMA_W, derivation.SIGMA_B], pair, "mpmath", cse=True)


def exact(activation, x, other, sigma_b):
    with mpmath.workdps(40):
        x, other = ([mpmath.mpf(float(entry)) for entry in row] for row in (x, other))
        moments = [mpmath.fdot(a, b) / len(x) for a, b in ((x, other), (x, x), (other, other))]
        pair = forty_digits(activation)(*moments, mpmath.mpf(SETTINGS["sigma_w"]), mpmath.mpf(sigma_b))
        return [float(entry) for entry in pair]


@pytest.mark.parametrize("sigma_b", [0.0, 0.25])
@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_numerics_meet_the_derivation_also_where_inputs_are_parallel(activation, sigma_b):
    """Angles of 0, 1e-9, 1e-7, 1e-5, 1e-3 and pi minus these: an arccosine would be off by up to 1e-8."""
    x, others = turned(0.0, 1e-9, 1e-7, 1e-5, 1e-3, 1.0), np.concatenate([2 * X1[:1], -X1[:1], 0.5 * X1[:1], X2[:1]])
    got = infinite_width_kernels(x, others, activation=activation, sigma_b=sigma_b, **SETTINGS)
    expected = np.array([[exact(activation, a, b, sigma_b) for b in others] for a in x])
    np.testing.assert_allclose(got.nngp, expected[..., 0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(got.ntk, expected[..., 1], rtol=0, atol=3e-14)


def test_tiles_halves_and_both_arguments_agree(monkeypatch):
    """Three tiles a side that do not fit exactly, with equal, opposite and zero rows in different ones."""
    monkeypatch.setattr(recursions, "TILE", 8)
    x = jax.random.normal(jax.random.key(1), (23, 6))
    x = x.at[11].set(-x[2]).at[5].set(0.0).at[22].set(x[4])
    half = infinite_width_kernels(x, sigma_b=0.3, **SETTINGS)
    full = infinite_width_kernels(x, x, sigma_b=0.3, **SETTINGS)
    monkeypatch.setattr(recursions, "TILE", 256)
    few = np.array([2, 4, 5, 11, 22])
    one = infinite_width_kernels(x[few], x, sigma_b=0.3, **SETTINGS)
    for part in range(2):
        np.testing.assert_array_equal(half[part], half[part].T)
        np.testing.assert_allclose(half[part], full[part], rtol=0, atol=1e-13)
        np.testing.assert_allclose(full[part][few], one[part], rtol=0, atol=1e-13)


def total(x, other, sigma_b, activation):
    """A scalar of both kernels, to differentiate."""
    kernels = infinite_width_kernels(x, other, activation=activation, depth=3, sigma_w=1.4, sigma_b=sigma_b)
    return jnp.sum(kernels.ntk) + jnp.sum(kernels.nngp)


SLOPES = jax.jit(jax.grad(total, argnums=(0, 1)), static_argnums=3)
TOGETHER = jax.jit(jax.grad(lambda x, sigma_b, activation: total(x, None, sigma_b, activation)), static_argnums=2)
PARALLEL = jnp.concatenate([X1, X1[:1], 3 * X1[:1], -X1[:1], jnp.zeros((1, 5)), X1[:1] + 1e-9])


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_gradients_are_finite_where_the_cosine_is_one(activation):
    """Through the kernel at x1 = x2, at multiples, opposites, zero, almost equal inputs, and with x2 left out."""
    for sigma_b in (0.0, 0.3):
        first, second = SLOPES(PARALLEL, PARALLEL, sigma_b, activation)
        assert np.all(np.isfinite(first))
        np.testing.assert_allclose(first, second, atol=1e-9)
        np.testing.assert_allclose(TOGETHER(PARALLEL, sigma_b, activation), first + second, atol=1e-7)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_batches_are_mapped(activation):
    """Under jax.vmap, over inputs and the size of the biases."""
    options = {"activation": activation, **SETTINGS}
    x, sizes = jnp.stack([X1, X1[::-1] - 0.1]), jnp.array([0.0, 0.25])
    mapped = jax.vmap(lambda points, b: infinite_width_kernels(points, X2, sigma_b=b, **options).ntk)(x, sizes)
    for i in range(2):
        one = infinite_width_kernels(x[i], X2, sigma_b=float(sizes[i]), **options).ntk
        np.testing.assert_allclose(mapped[i], one, rtol=0, atol=1e-13)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_gradients_against_differences(activation):
    """Zero is among the inputs: with a bias the kernels are smooth there."""
    x, other = PARALLEL, jnp.roll(PARALLEL, 2, axis=1) + 0.1
    direction, step = np.sin(np.arange(55.0)).reshape(11, 5), 1e-5
    slope = jnp.vdot(SLOPES(x, other, 0.3, activation)[0], direction)
    ends = [total(x + sign * step * direction, other, 0.3, activation) for sign in (1, -1)]
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(float(slope), rel=1e-7)


def test_the_kink_of_the_relu_has_the_mean_slope():
    """Turned away from a parallel input the tangent kernel falls on both sides; the mean of both slopes is returned."""
    step, turn = 1e-6, np.zeros((11, 5))
    turn[0] = ACROSS
    other = PARALLEL.at[10].set(X2[0])  # not the almost equal one, whose kink lies within the step
    here = total(PARALLEL, other, 0.3, "relu")
    right, left = (sign * (total(PARALLEL + sign * step * turn, other, 0.3, "relu") - here) / step for sign in (1, -1))
    assert right < left - 1
    slope = jnp.vdot(SLOPES(PARALLEL, other, 0.3, "relu")[0], turn)
    assert slope == pytest.approx(float(right + left) / 2, abs=1e-3)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_single_precision_stays_single_and_is_accurate(activation):
    """float32 only if all inputs are; then within 2e-6 of the largest entry, parallel and opposite inputs included."""
    x2 = np.concatenate([2 * X1[:1], -X1[1:2], X2[:2]])
    options = {"activation": activation, "sigma_b": 0.3, **SETTINGS}
    double = infinite_width_kernels(X1, x2, **options)
    mixed = infinite_width_kernels(X1.astype(np.float32), x2, **options)
    single = infinite_width_kernels(X1.astype(np.float32), x2.astype(np.float32), **options)
    for part in range(2):
        assert single[part].dtype == jnp.float32
        assert mixed[part].dtype == double[part].dtype == jnp.float64
        assert np.max(np.abs(single[part] - double[part])) < 2e-6 * np.max(np.abs(double[part]))


@pytest.mark.parametrize(("dtype", "bound"), [(jnp.float32, 4e-7), (jnp.float64, 5e-15)])
def test_the_polynomials_reach_the_rounding(dtype, bound):
    """Angle and integral for 0 < delta <= 1 beside mpmath's, relative to their size."""
    delta = jnp.asarray(np.concatenate([np.linspace(0.01, 1, 200), np.logspace(-12, -2, 50)]), dtype)
    with mpmath.workdps(40):
        phi = [mpmath.acos(1 - mpmath.mpf(float(entry))) for entry in delta.tolist()]
        integral = [mpmath.sin(entry) - entry * mpmath.cos(entry) for entry in phi]
        expected = [np.array([float(entry) for entry in row]) for row in (phi, integral)]
    for function, truth in zip((angles.angle, angles.angle_integral), expected, strict=True):
        assert np.max(np.abs(np.asarray(jax.jit(function)(delta), float) / truth - 1)) < bound


def test_lower_degrees_would_miss_double_precision():
    """The degree of float32 in float64: an error above 1e-10, so the choice by dtype is needed."""
    delta = np.linspace(0.0, 1.0, 2001)
    coarse, fine = (
        np.sqrt(delta) * np.polyval(angles.angle_coefficients(angles.DEGREES[name]), 2 * delta - 1)
        for name in ("float32", "float64")
    )
    assert 1e-9 < np.max(np.abs(coarse - fine)) < 1e-7


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_depth_one_is_the_two_layer_limit(activation):
    r"""ntk = sigma_w^2 (K_b + (sigma_w^2/d) K_a), nngp = sigma_w^2 K_b, with E|a|^2/d = sigma_w^2/d, no biases."""
    square, d = 1.5**2, X1.shape[1]
    k_a, k_b = two_layer_limits(X1, X2, activation=activation, input_variance=square / d)
    nngp, ntk = infinite_width_kernels(X1, X2, activation=activation, depth=1, sigma_w=1.5, sigma_b=0.0)
    np.testing.assert_allclose(nngp, square * k_b, atol=1e-14)
    np.testing.assert_allclose(ntk, square * (k_b + square / d * k_a), atol=1e-13)


def test_two_layer_limits_scale_with_the_variances():
    one, scaled = (two_layer_limits(X1, output_variance=b, input_variance=a) for b, a in ((1.0, 1.0), (3.0, 2.0)))
    np.testing.assert_allclose(scaled.input, 3 * one.input, atol=1e-14)
    np.testing.assert_allclose(scaled.output, 2 * one.output, atol=1e-14)
    np.testing.assert_allclose(jnp.diag(one.output), np.sum(X1**2, axis=1) / 2, atol=1e-14)


def errors_of_draws(key, activation, width, draws=600):
    """Mean error of every entry in standard errors, and the root mean square deviation times sqrt(m), of both parts."""
    limit = two_layer_limits(X1, X2, activation=activation)
    keys = jax.random.split(key, draws)
    drawn = jax.vmap(lambda k: random_feature_kernels(k, X1, X2, width=width, activation=activation))(keys)
    found = []
    for part, truth in zip(drawn, limit, strict=True):
        part = np.asarray(part)
        found.append((part.mean(axis=0) - truth) / (part.std(axis=0) / np.sqrt(draws)))
        found.append(np.sqrt(np.mean(part.var(axis=0)) * width))
    return found


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_random_features_are_unbiased_with_the_rate_of_the_root(activation, key):
    """Means within five standard errors of the closed form, every entry; deviation times sqrt(m) independent of m."""
    narrow, wide = (errors_of_draws(key, activation, width) for width in (16, 256))
    for found in (narrow, wide):
        assert np.max(np.abs(found[0])) < 5
        assert np.max(np.abs(found[2])) < 5
    assert narrow[1] == pytest.approx(wide[1], rel=0.15)
    assert narrow[3] == pytest.approx(wide[3], rel=0.15)


def test_one_draw_is_the_kernel_of_a_two_layer_network(key):
    """K_a + K_b of a draw is J J^T of the network with these weights."""
    of_a, of_b = jax.random.split(key)
    params = {"input": jax.random.normal(of_a, (7, 5)), "output": jax.random.normal(of_b, (7, 1)).T}
    network = models.two_layer("erf", scale=7**-0.5)
    gradients = jax.jit(jax.jacrev(network))(params, np.concatenate([X1, X2]))
    rows = np.concatenate([np.reshape(leaf, (10, -1)) for leaf in jax.tree.leaves(gradients)], axis=1)
    draw = random_feature_kernels(key, X1, X2, width=7, activation="erf")
    np.testing.assert_allclose(draw.input + draw.output, rows[:6] @ rows[6:].T, atol=1e-12)


def test_angles_close_like_the_square_of_the_depth():
    """delta_l l^2 tends to 9 pi^2 / 2 for sigma_w^2 = 2 without biases; the tangent kernel's diagonal grows by K."""
    x = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    depth = 4000
    nngp, ntk = infinite_width_kernels(x, depth=depth, sigma_w=np.sqrt(2.0), sigma_b=0.0)
    delta = 1 - nngp[0, 1] / nngp[0, 0]
    assert delta * depth**2 == pytest.approx(9 * np.pi**2 / 2, rel=0.02)
    assert nngp[0, 0] == pytest.approx(1.0, rel=1e-10)
    assert ntk[0, 0] == pytest.approx(depth + 1.0, rel=1e-10)


@pytest.fixture
def unchecked():
    """Without the run-time types, as a user has it: the package's own checks must speak."""
    jaxtyping_config.update("jaxtyping_disable", True)
    yield
    jaxtyping_config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"activation": "tanh"}, "activation: expected one of"),
        ({"depth": 0}, "depth: expected"),
        ({"depth": 1.5}, "depth: expected"),
        ({"depth": True}, "depth: expected"),
        ({"sigma_w": 0.0}, "sigma_w: expected a finite number > 0"),
        ({"sigma_b": -0.1}, "sigma_b: expected a finite number >= 0"),
        ({"sigma_w": float("nan")}, "sigma_w: expected"),
        ({"x2": X2[:, :3]}, "x2: expected rows of length 5"),
        ({"x2": X2[0]}, "x2: expected shape"),
        ({"x2": X2[:0]}, "x2: expected shape"),
    ],
)
def test_bad_input_of_the_kernels_is_refused(change, said):
    with pytest.raises(ValueError, match=said):
        infinite_width_kernels(X1, **({"sigma_b": 0.0, **SETTINGS} | change))


@pytest.mark.usefixtures("unchecked")
def test_bad_input_of_the_two_layer_kernels_is_refused(key):
    cases = [
        (lambda: two_layer_limits(X1, activation="gelu"), "activation: expected one of"),
        (lambda: two_layer_limits(X1, output_variance=-1.0), "output_variance: expected"),
        (lambda: two_layer_limits(X1, input_variance=0.0), "input_variance: expected"),
        (lambda: random_feature_kernels(key, X1, width=3, activation="cube"), "activation: expected one of"),
        (lambda: random_feature_kernels(key, X1, width=0), "width: expected"),
        (lambda: numerics.require_inputs(X1[0], None), "x1: expected shape"),
    ]
    for call, said in cases:
        with pytest.raises(ValueError, match=said):
            call()
