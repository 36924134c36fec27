"""Operator norms against closed forms and brute force; the upper end is above the truth, always."""

import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course import models, norms
from lazy_course.lanczos import lanczos, probable_upper


def dense_jacobian(h, params):
    parts = jax.tree.leaves(jax.jacobian(h)(params))
    return np.concatenate([np.asarray(part).reshape(part.shape[0], -1) for part in parts], axis=1)


@pytest.fixture
def two_layer(key):
    params = models.init_two_layer(key, 3, 6)
    return models.as_map(models.two_layer("tanh", scale=0.4), jax.random.normal(key, (5, 3))), params


class TestLanczos:
    @pytest.mark.parametrize("steps", [2, 5, 10, 20, 40])
    def test_ends_bracket_the_largest_eigenvalue(self, steps):
        """200 draws, delta = 0.01: fewer than 10 misses (the mean is at most 2, so 10 has odds below 1e-4)."""
        values = np.linspace(0.0, 1.0, 40) ** 0.5

        @jax.vmap
        def bracket(key):
            found = lanczos(lambda v: values * v, jax.random.normal(key, (40,)), steps)
            return found.largest, probable_upper(found, 0.01)

        lower, upper = bracket(jax.random.split(jax.random.key(1), 200))
        assert np.all(lower <= 1.0 + 1e-13)
        assert np.sum(upper < 1.0) < 10
        assert np.max(upper) < {2: 200.0, 5: 8.0, 10: 2.0, 20: 1.2, 40: 1 + 1e-6}[steps]

    def test_breakdown_is_exact(self):
        """Starting in an invariant line, or with the zero operator, nothing turns into nan."""
        start = jnp.array([1.0, 0.0, 0.0])
        found = lanczos(lambda v: jnp.array([2.0, 5.0, 7.0]) * v, start, 3)
        assert int(found.alive.sum()) == 1
        assert float(found.largest) == 2.0
        zero = lanczos(jnp.zeros_like, start, 3)
        assert float(zero.largest) == float(probable_upper(zero, 1e-6)) == 0.0


class TestJacobian:
    def test_against_the_dense_singular_values(self, key, two_layer):
        h, params = two_layer
        values = np.linalg.svd(dense_jacobian(h, params), compute_uv=False)
        lower, upper = norms.jacobian_norm_bounds(h, params, key=key)
        assert float(norms.jacobian_operator_norm(h, params, key=key)) == pytest.approx(values[0], rel=1e-12)
        assert values[0] * (1 - 1e-13) <= upper <= values[0] * (1 + 1e-10)
        assert lower <= upper
        assert float(norms.smallest_singular_value(h, params)) == pytest.approx(values[-1], rel=1e-11)
        scaled = models.scaled(models.centred(h, params), 1e7)
        assert float(norms.smallest_singular_value(scaled, params)) == pytest.approx(1e7 * values[-1], rel=1e-11)

    def test_gram_path_of_the_smallest_singular_value(self, monkeypatch, two_layer):
        h, params = two_layer
        exact = np.linalg.svd(dense_jacobian(h, params), compute_uv=False)[-1]
        monkeypatch.setattr(norms, "DENSE_ENTRIES", 0)
        # A new map, so that the compiled dense path is not taken again.
        assert float(norms.smallest_singular_value(lambda w: h(w), params)) == pytest.approx(exact, rel=1e-8)

    def test_more_outputs_than_parameters(self, key):
        h = models.as_map(models.two_layer(), jax.random.normal(key, (9, 1)))
        params = models.init_two_layer(key, 1, 2)
        values = np.linalg.svd(dense_jacobian(h, params), compute_uv=False)
        assert float(norms.jacobian_operator_norm(h, params, key=key)) == pytest.approx(values[0], rel=1e-12)
        assert float(norms.smallest_singular_value(h, params)) == 0.0

    def test_relu_change_sees_the_kinks_that_the_hessian_does_not(self, key):
        """Input weights alone: D2h = 0 almost everywhere, but a step across a kink changes Dh."""
        x = np.array([[1.0, 0.5], [-0.3, 1.0], [0.7, -1.0]])
        h = models.as_map(lambda w, x: jax.nn.relu(x @ w["a"])[:, None], x)
        params, step = {"a": jnp.array([0.2, 0.1])}, {"a": jnp.array([-1.0, 0.3])}
        moved = jax.tree.map(jnp.add, params, step)
        exact = np.linalg.norm(dense_jacobian(h, moved) - dense_jacobian(h, params), ord=2)
        assert exact > 0.5
        assert float(norms.jacobian_change(h, params, step, key=key)) == pytest.approx(exact, rel=1e-12)
        lower, upper = norms.hessian_operator_norm(h, params, key=key)
        assert float(lower) == float(upper) == 0.0


class TestHessian:
    @pytest.mark.parametrize("seed", range(5))
    def test_diagonal_model_is_exact(self, seed):
        """||D2h|| = 2 max_j ||X_j||, and here the unfolding has the same norm."""
        key = jax.random.key(seed)
        x = jax.random.normal(key, (7, 10))
        exact = 2 * float(jnp.max(jnp.linalg.norm(x, axis=0)))
        lower, upper = norms.hessian_operator_norm(
            models.as_map(models.diagonal(), x), models.init_diagonal(10, 0.3), key=key
        )
        assert float(lower) == pytest.approx(exact, rel=1e-8)
        assert exact * (1 - 1e-13) <= upper <= exact * (1 + 1e-8)

    def test_two_layer_sum_through_its_blocks(self, key, two_layer):
        """D2h is block diagonal, one block a neuron: the norm is the largest block's."""
        h, params = two_layer
        one = jax.vmap(
            lambda a, b: norms.hessian_operator_norm(h, {"input": a[None], "output": b[:, None]}, key=key)[0]
        )
        blocks = one(params["input"], params["output"].T)
        lower, upper = norms.hessian_operator_norm(h, params, key=key)
        assert float(lower) == pytest.approx(float(jnp.max(blocks)), rel=1e-6)
        assert lower <= upper <= 2 * lower

    def test_witnesses_reach_the_lower_end(self, key, two_layer):
        h, params = two_layer
        h = models.scaled(h, 7.0)
        found = norms.hessian_maximizer(h, params, key=key)
        u, g = found.parameter_direction, found.output_direction
        inner = jax.jacobian(lambda w: jax.jvp(h, (w,), (u,))[1])
        reached = sum(
            jnp.tensordot(part, v, axes=v.ndim)
            for part, v in zip(jax.tree.leaves(inner(params)), jax.tree.leaves(u), strict=True)
        )
        assert float(jnp.vdot(g, reached)) == pytest.approx(float(found.lower), rel=1e-12)
        assert float(jnp.linalg.norm(g)) == pytest.approx(1.0, rel=1e-12)
        assert sum(float(jnp.sum(v**2)) for v in jax.tree.leaves(u)) == pytest.approx(1.0, rel=1e-12)

    def test_against_brute_force_over_unit_vectors(self):
        """Random D2h on R^3 with values in R^4; a grid of 2 10^5 unit u has spacing about 0.008."""
        rng = np.random.default_rng(4)
        directions = rng.normal(size=(200_000, 3))
        directions /= np.linalg.norm(directions, axis=1)[:, None]

        for seed in range(5):
            a = rng.normal(size=(4, 3, 3))
            a = a + a.transpose(0, 2, 1)
            brute = np.max(np.linalg.norm(np.einsum("ijk,sj,sk->si", a, directions, directions), axis=1))
            lower, upper = norms.hessian_operator_norm(
                models.as_map(Quadratic(jnp.asarray(a)), np.arange(4.0)[:, None]), jnp.ones(3), key=jax.random.key(seed)
            )
            unfolded = np.linalg.svd(a.reshape(12, 3), compute_uv=False)[0]
            # The best grid point is within a relative (0.03)^2 of the maximum, which is quadratic there.
            assert brute * (1 - 1e-12) <= lower <= brute * (1 + 1e-3)
            assert lower <= upper
            assert unfolded * (1 - 1e-12) <= upper <= unfolded * (1 + 1e-6)

    def test_any_map_gives_what_a_map_of_samples_gives(self, key, two_layer):
        h, params = two_layer
        with_samples = norms.hessian_operator_norm(h, params, key=key, memory=1)
        without = norms.hessian_operator_norm(lambda w: h(w), params, key=key)
        np.testing.assert_allclose(with_samples, without, rtol=1e-9)

    def test_zero_second_differential(self, key):
        lower, upper = norms.hessian_operator_norm(lambda w: jnp.array([[1.0, 2.0]]) @ w, jnp.ones(2), key=key)
        assert float(lower) == float(upper) == 0.0


class Quadratic(models.Function):
    """Samples i = 0, 1, ... of the map w -> <w, A_i w> / 2."""

    a: jax.Array

    def __call__(self, params, x):
        chosen = self.a[x[:, 0].astype(int)]
        return 0.5 * jnp.einsum("ijk,j,k->i", chosen, params, params)[:, None]


class TestInverseRelativeScale:
    def test_diagonal_model_in_closed_form_and_under_scaling(self, key):
        """kappa = 2 ||y*|| max ||X_j|| / (8 s^2 ||X||^2) at w+ = w- = s, and 1/alpha of it for alpha h."""
        x = jax.random.normal(key, (7, 10))
        target = jax.random.normal(jax.random.split(key)[0], (7,))
        h, params = models.as_map(models.diagonal(), x), models.init_diagonal(10, 0.3)
        exact = jnp.linalg.norm(target) * 2 * jnp.max(jnp.linalg.norm(x, axis=0))
        exact = exact / (8 * 0.09 * np.linalg.norm(x, ord=2) ** 2)
        for alpha in (1.0, 100.0):
            lower, upper = norms.inverse_relative_scale(models.scaled(h, alpha), params, target, key=key)
            assert float(lower) == pytest.approx(float(exact) / alpha, rel=1e-8)
            assert float(upper) == pytest.approx(float(exact) / alpha, rel=1e-8)
            assert lower.shape == upper.shape == ()

    @pytest.mark.parametrize(
        ("h", "target", "says"),
        [
            (lambda w: w**2, np.ones(3), "target: expected the shape of h"),
            (lambda w: w**2, np.array([1.0, np.nan]), "target: expected finite"),
            (lambda w: jnp.log(w - 2.0), np.ones(2), r"h\(params\): expected finite"),
            (lambda w: (w - 1.0) ** 2, np.ones(2), "expected Dh.params. != 0"),
            (lambda w: w[:, None], np.ones(2), r"h: expected h\(params\) of shape"),
        ],
    )
    def test_bad_input_is_named(self, key, h, target, says):
        with pytest.raises(ValueError, match=says):
            norms.inverse_relative_scale(h, jnp.ones(2), target, key=key)


LARGE = """
import pathlib, time, jax
from lazy_course import models, norms
key = jax.random.key(0)
params = models.init_two_layer(key, 999, 1000)
x = jax.random.normal(key, (200, 999)) / 999**0.5
h = models.as_map(models.two_layer("tanh", scale=1000**-0.5), x)
begin = time.process_time(), time.perf_counter()
lower, upper = norms.hessian_operator_norm(h, params, key=key)
assert 0.0 < lower <= upper
seconds = min(time.process_time() - begin[0], time.perf_counter() - begin[1])
status = dict(line.split(":", 1) for line in pathlib.Path("/proc/self/status").read_text().splitlines())
print(seconds, int(status["VmHWM"].split()[0]) / 2**20)
"""


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path("/proc/self/status").exists(), reason="the peak is read from Linux's /proc")
def test_a_million_parameters_within_a_minute_and_four_gibibytes():
    """In a process of its own, for its own peak memory: VmHWM, as getrusage's ru_maxrss keeps the peak of the process
    that started this one. Compilation counted. The smaller of clock and processor time over all cores: alone on a
    machine, the clock shows no more than the latter; other work must not count."""
    usual = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}  # as a user runs it
    done = subprocess.run([sys.executable, "-c", LARGE], check=True, capture_output=True, text=True, env=usual)
    seconds, gibibytes = (float(word) for word in done.stdout.split())
    print(f"{seconds:.1f} s, {gibibytes:.2f} GiB")
    assert gibibytes < 4.0
    assert seconds < 60.0
