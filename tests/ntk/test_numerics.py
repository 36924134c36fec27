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

from lazy_course.ntk import angles, derivation, numerics, recursions
from lazy_course.ntk.numerics import infinite_width_kernels, random_feature_kernels, two_layer_limits

REFERENCE = json.loads((Path(__file__).parent / "infinite_width.json").read_text())
X1, X2 = np.array(REFERENCE["x1"]), np.array(REFERENCE["x2"])
SETTINGS = {"depth": 3, "sigma_w": 1.5, "sigma_b": 0.3}


def test_the_reference_has_all_its_kernels():
    assert len(REFERENCE["kernels"]) == 12


@pytest.mark.parametrize("row", REFERENCE["kernels"], ids=lambda r: f"{r['activation']}-{r['depth']}-{r['sigma_b']}")
def test_kernels_agree_with_the_reference(row):
    options = {name: row[name] for name in ("activation", "depth", "sigma_w", "sigma_b")}
    kernels = infinite_width_kernels(X1, X2, **options)
    np.testing.assert_allclose(kernels.nngp, row["nngp"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(kernels.ntk, row["ntk"], rtol=0, atol=1e-10)


@lru_cache
def forty_digits(activation, depth):
    """The recursion of the derivation as a function of <x, x'>/d, |x|^2/d, |x'|^2/d, sigma_w and sigma_b, by mpmath."""
    inner, square, other = sp.symbols("inner square other")
    pair = derivation.kernels_at_depth(activation, depth, inner, square, other)
    return sp.lambdify([inner, square, other, derivation.SIGMA_W, derivation.SIGMA_B], pair, "mpmath", cse=True)


def exact(activation, x, other, depth, sigma_b):
    with mpmath.workdps(40):
        x, other = ([mpmath.mpf(float(entry)) for entry in row] for row in (x, other))
        moments = [mpmath.fdot(a, b) / len(x) for a, b in ((x, other), (x, x), (other, other))]
        return [
            float(entry) for entry in forty_digits(activation, depth)(*moments, mpmath.mpf(1.5), mpmath.mpf(sigma_b))
        ]


@pytest.mark.parametrize("activation", ["relu", "erf"])
@pytest.mark.parametrize("sigma_b", [0.0, 0.25])
def test_numerics_meet_the_derivation_also_where_inputs_are_parallel(activation, sigma_b):
    """Angles of 0, 1e-9, 1e-7, 1e-5, 1e-3 and pi minus these: an arccosine would be off by up to 1e-8."""
    x = X1[0]
    across = np.linalg.qr(np.stack([x, X1[1]]).T)[0][:, 1] * np.linalg.norm(x)
    tilts = [0.0, 1e-9, 1e-7, 1e-5, 1e-3]
    others = np.stack([2 * (x + t * across) for t in tilts] + [-(x + t * across) for t in tilts] + [X1[2]])
    got = infinite_width_kernels(x[None], others, activation=activation, depth=2, sigma_w=1.5, sigma_b=sigma_b)
    expected = np.array([exact(activation, x, other, 2, sigma_b) for other in others]).T
    np.testing.assert_allclose(got.nngp[0], expected[0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(got.ntk[0], expected[1], rtol=0, atol=3e-14)


def test_one_tile_and_many_and_both_arguments_agree():
    """A size above the tile's, not a multiple of it; `same` inputs given twice; symmetric to the last bit."""
    x = jax.random.normal(jax.random.key(1), (2 * recursions.TILE + 7, 6))
    x = x.at[recursions.TILE + 3].set(-x[2]).at[5].set(0.0).at[-1].set(x[4])
    few = np.array([2, 4, 5, recursions.TILE + 3, 2 * recursions.TILE + 6])
    for activation in ("relu", "erf"):
        half = infinite_width_kernels(x, activation=activation, **SETTINGS)
        full = infinite_width_kernels(x, x, activation=activation, **SETTINGS)
        small = infinite_width_kernels(x[few], activation=activation, **SETTINGS)
        for part in range(2):
            np.testing.assert_array_equal(half[part], half[part].T)
            np.testing.assert_allclose(half[part], full[part], rtol=0, atol=1e-13)
            np.testing.assert_allclose(half[part][np.ix_(few, few)], small[part], rtol=0, atol=1e-13)


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
def test_gradients_against_differences(activation):
    x, other = PARALLEL, jnp.roll(PARALLEL, 2, axis=1) + 0.1
    direction, step = jnp.sin(jnp.arange(55.0)).reshape(11, 5), 1e-5
    slope = jnp.vdot(SLOPES(x, other, 0.3, activation)[0], direction)
    ends = [total(x + sign * step * direction, other, 0.3, activation) for sign in (1, -1)]
    assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(float(slope), rel=1e-7)


def test_the_kink_of_the_relu_has_the_mean_slope():
    """On a circle the tangent kernel falls like |angle| from parallel inputs: slopes +s and -s, and 0 is returned."""

    def at(angle):
        x = jnp.stack([jnp.cos(angle), jnp.sin(angle)])[None]
        return infinite_width_kernels(x, jnp.array([[1.0, 0.0]]), depth=1, sigma_w=1.0, sigma_b=0.0).ntk[0, 0]

    right = (at(1e-6) - at(0.0)) / 1e-6
    left = (at(0.0) - at(-1e-6)) / 1e-6
    assert right == pytest.approx(-1 / (4 * np.pi), rel=1e-5)
    assert left == pytest.approx(1 / (4 * np.pi), rel=1e-5)
    assert jax.grad(at)(0.0) == pytest.approx(0.0, abs=1e-12)


def test_single_precision_stays_single_and_is_accurate():
    """float32 only if all inputs are; then within 2e-6 of the largest entry, parallel inputs included."""
    x = jnp.concatenate([X1, 2 * X1[:2], -X1[:2]])
    for activation in ("relu", "erf"):
        exact_ones = infinite_width_kernels(x, X2, activation=activation, **SETTINGS)
        mixed = infinite_width_kernels(x.astype(jnp.float32), X2, activation=activation, **SETTINGS)
        single = infinite_width_kernels(x.astype(jnp.float32), X2.astype(np.float32), activation=activation, **SETTINGS)
        same = infinite_width_kernels(x.astype(jnp.float32), activation=activation, **SETTINGS)
        double = infinite_width_kernels(x, activation=activation, **SETTINGS)
        for part in range(2):
            assert single[part].dtype == jnp.float32
            assert mixed[part].dtype == exact_ones[part].dtype == jnp.float64
            assert np.max(np.abs(single[part] - exact_ones[part])) < 2e-6 * np.max(np.abs(exact_ones[part]))
            assert np.max(np.abs(same[part] - double[part])) < 2e-6 * np.max(np.abs(double[part]))


@pytest.mark.parametrize(("dtype", "bound"), [(jnp.float32, 4e-7), (jnp.float64, 5e-15)])
def test_the_polynomials_reach_the_rounding(dtype, bound):
    """Angle and integral for 0 < delta <= 1 beside mpmath's, relative to their size."""
    delta = jnp.asarray(np.concatenate([np.linspace(0.01, 1, 200), np.logspace(-12, -2, 50)]), dtype)
    with mpmath.workdps(40):
        phi = [mpmath.acos(1 - mpmath.mpf(float(entry))) for entry in delta]
        integral = [mpmath.sin(entry) - entry * mpmath.cos(entry) for entry in phi]
        expected = [np.array([float(entry) for entry in row]) for row in (phi, integral)]
    assert np.max(np.abs(angles.angle(delta) / expected[0] - 1)) < bound
    assert np.max(np.abs(angles.angle_integral(delta) / expected[1] - 1)) < bound


def test_lower_degrees_would_miss_double_precision():
    """The degree of the float32 polynomial in float64: an error far above 1e-10, so the choice by dtype is needed."""
    delta = jnp.linspace(0.0, 1.0, 2001)
    coarse = angles.safe_sqrt(delta) * np.polyval(angles.angle_coefficients(angles.DEGREES["float32"]), 2 * delta - 1)
    assert 1e-9 < np.max(np.abs(coarse - angles.angle(delta))) < 1e-6


def test_depth_one_is_the_two_layer_limit():
    r"""ntk = sigma_w^2 (K_b + (sigma_w^2/d) K_a), nngp = sigma_w^2 K_b, with E|a|^2/d = sigma_w^2/d, no biases."""
    for activation in ("relu", "erf"):
        square, d = 1.7**2, X1.shape[1]
        k_a, k_b = two_layer_limits(X1, X2, activation=activation, input_variance=square / d)
        nngp, ntk = infinite_width_kernels(X1, X2, activation=activation, depth=1, sigma_w=1.7, sigma_b=0.0)
        np.testing.assert_allclose(nngp, square * k_b, atol=1e-14)
        np.testing.assert_allclose(ntk, square * (k_b + square / d * k_a), atol=1e-13)


def test_two_layer_limits_scale_with_the_variances():
    one, scaled = (two_layer_limits(X1, output_variance=b, input_variance=a) for b, a in ((1.0, 1.0), (3.0, 2.0)))
    np.testing.assert_allclose(scaled.input, 3 * one.input, atol=1e-14)
    np.testing.assert_allclose(scaled.output, 2 * one.output, atol=1e-14)
    np.testing.assert_allclose(jnp.diag(one.output), jnp.sum(X1**2, axis=1) / 2, atol=1e-14)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_random_features_are_unbiased_with_the_rate_of_the_root(activation, key):
    """Mean over draws within five standard errors of the limit, every entry; deviation times sqrt(m) constant in m."""
    limit = two_layer_limits(X1, X2, activation=activation)
    deviations = []
    for width in (16, 256):
        draws = jax.vmap(lambda k, w=width: random_feature_kernels(k, X1, X2, width=w, activation=activation))(
            jax.random.split(key, 2000)
        )
        for part in range(2):
            error = jnp.mean(draws[part], axis=0) - limit[part]
            spread = jnp.std(draws[part], axis=0)
            assert np.all(np.abs(error) < 5 * spread / np.sqrt(2000))
            deviations.append(float(jnp.sqrt(jnp.mean(spread**2)) * np.sqrt(width)))
    assert deviations[0] == pytest.approx(deviations[2], rel=0.1)
    assert deviations[1] == pytest.approx(deviations[3], rel=0.1)


def test_one_draw_is_the_kernel_of_a_two_layer_network(key):
    """K_a + K_b of a draw is J J^T of the network with these weights."""
    from lazy_course.kernels import tangent_kernel
    from lazy_course.models import two_layer

    of_a, of_b = jax.random.split(key)
    params = {"input": jax.random.normal(of_a, (7, 5)), "output": jax.random.normal(of_b, (7, 1)).T}
    full = tangent_kernel(two_layer("erf", scale=7**-0.5), params, jnp.asarray(X1), jnp.asarray(X2))
    draw = random_feature_kernels(key, X1, X2, width=7, activation="erf")
    np.testing.assert_allclose(draw.input + draw.output, full[:, 0, :, 0], atol=1e-12)


def test_angles_close_like_the_square_of_the_depth():
    """delta_l l^2 tends to 9 pi^2 / 2 for sigma_w^2 = 2 without biases; the tangent kernel's diagonal grows by K."""
    x = jnp.array([[1.0, 0.0], [0.0, 1.0]])
    depth = 4000
    nngp, ntk = infinite_width_kernels(x, depth=depth, sigma_w=np.sqrt(2.0), sigma_b=0.0)
    delta = 1 - nngp[0, 1] / nngp[0, 0]
    assert delta * depth**2 == pytest.approx(9 * np.pi**2 / 2, rel=0.02)
    assert nngp[0, 0] == pytest.approx(1.0, rel=1e-10)
    assert ntk[0, 0] == pytest.approx(depth + 1.0, rel=1e-10)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"activation": "tanh"}, "activation: expected one of"),
        ({"depth": 0}, "depth: expected"),
        ({"depth": 1.5}, "depth: expected"),
        ({"depth": True}, "depth: expected"),
        ({"sigma_w": 0.0}, "sigma_w: expected a finite number > 0"),
        ({"sigma_b": -0.1}, "sigma_b: expected a finite number >= 0"),
        ({"sigma_w": float("nan")}, "sigma_w"),
    ],
)
def test_bad_settings_are_refused(change, said):
    with pytest.raises(ValueError, match=said):
        infinite_width_kernels(X1, **({"activation": "relu", **SETTINGS} | change))


def test_bad_shapes_and_names_are_refused(key):
    with pytest.raises(ValueError, match="x2: expected rows of length 5"):
        numerics.require_inputs(X1, X2[:, :3])
    with pytest.raises(ValueError, match="x1: expected shape"):
        numerics.require_inputs(X1[0], None)
    with pytest.raises(ValueError, match="activation: expected one of"):
        two_layer_limits(X1, activation="gelu")
    with pytest.raises(ValueError, match="output_variance"):
        two_layer_limits(X1, output_variance=-1.0)
    with pytest.raises(ValueError, match="activation: expected one of"):
        random_feature_kernels(key, X1, width=3, activation="cube")
    with pytest.raises(ValueError, match="width: expected"):
        random_feature_kernels(key, X1, width=0)
