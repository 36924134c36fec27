"""Gradient descent against a plain loop and against the flow, and the dictionary between steps and flow time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course import descent, progress
from lazy_course.descent import gradient_descent, stable_step_size
from lazy_course.flows import FlowError, gradient_flow
from lazy_course.linearization import linearize
from lazy_course.losses import square_loss
from tests.shared.flow_problems import TIMES, tanh_problem


def plain_descent(h, params0, loss, alpha, step_size, steps):
    slope = jax.jit(jax.grad(lambda w: loss(alpha * h(w)) / alpha**2))
    for _ in range(steps):
        params0 = jax.tree.map(lambda w, g: w - step_size * g, params0, slope(params0))
    return params0


def test_agrees_with_a_plain_loop():
    h, params0, loss = tanh_problem(centred=False)
    path = gradient_descent(h, params0, loss, alpha=3.0, step_size=0.05, steps=40, save_at=[0, 1, 40])
    for index, steps in enumerate([0, 1, 40]):
        wanted = plain_descent(h, params0, loss, 3.0, 0.05, steps)
        got = jax.tree.map(lambda leaf, i=index: leaf[i], path.params)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-13), got, wanted)
        np.testing.assert_allclose(path.outputs[index], 3.0 * h(wanted), atol=1e-11)
    np.testing.assert_array_equal(path.steps, [0, 1, 40])
    np.testing.assert_allclose(path.times, [0.0, 0.05, 2.0])


def test_tends_to_the_flow_with_order_one_at_equal_flow_time():
    h, params0, loss = tanh_problem()
    flow = gradient_flow(h, params0, loss, alpha=1e7, times=TIMES)
    end = float(TIMES[-1])
    off = []
    for step_size in (0.02, 0.01):
        steps = int(descent.steps(end, step_size))
        path = gradient_descent(h, params0, loss, alpha=1e7, step_size=step_size, steps=steps, save_at=[steps])
        assert path.times[-1] == pytest.approx(end)
        off.append(float(jnp.linalg.norm(path.outputs[-1] - flow.outputs[-1])))
    assert off[0] / off[1] == pytest.approx(2.0, abs=0.1)
    assert off[0] > 1e-5


def test_stable_step_is_at_the_edge_for_the_linearized_model():
    """Descent on the linearized model contracts for steps below 2/S^2 and not above: the default is half of that."""
    h, params0, loss = tanh_problem()
    linear, stable = linearize(h, params0), float(stable_step_size(h, params0))
    below = gradient_descent(linear, params0, loss, alpha=1.0, step_size=1.99 * stable, steps=2000)
    assert below.loss[-1] < below.loss[0]
    with pytest.raises(FlowError, match=r"the loss rose.*flow time.*stable_step_size"):
        gradient_descent(linear, params0, loss, alpha=1.0, step_size=2.01 * stable, steps=2000)
    assert stable_step_size(h, params0, smoothness=4.0) == pytest.approx(stable / 4)
    assert stable_step_size(h, params0, lipschitz=2.0) == pytest.approx(0.25)


def test_default_step_uses_the_smoothness_of_the_loss():
    h, params0, loss = tanh_problem("log cosh")
    path = gradient_descent(h, params0, loss, alpha=100.0, steps=300)
    assert path.step_size == pytest.approx(float(stable_step_size(h, params0)) / 2.0)
    assert jnp.all(jnp.diff(path.loss) < 0)
    assert path.loss.shape == (101,)


@pytest.mark.parametrize("patience", [0.0, 1e6])
def test_a_long_descent_says_how_far_it_is_and_a_short_one_is_silent(capsys, monkeypatch, patience):
    h, params0, loss = tanh_problem()
    monkeypatch.setattr(progress, "PATIENCE", patience)
    gradient_descent(h, params0, loss, alpha=3.0, step_size=0.05, steps=40, save_at=[0, 20, 40])
    jax.effects_barrier()
    said = capsys.readouterr().out
    assert "still descending: step 20 of 40, loss" in said if patience == 0 else said == ""


def test_divergence_names_the_step():
    def h(params):
        return params + params**3

    with pytest.raises(FlowError, match=r"not finite at step \d+ \(flow time .*step_size 10.*last finite value"):
        gradient_descent(h, jnp.ones(2), square_loss([2.0, 3.0]), alpha=1.0, step_size=10.0, steps=50)


class TestDictionary:
    def test_is_inverse(self):
        counts = np.array([0, 1, 7, 100_000])
        for factor in (1.0, 0.02, 1e6):
            times = descent.flow_time(counts, 3e-3, loss_factor=factor)
            np.testing.assert_array_equal(descent.steps(times, 3e-3, loss_factor=factor), counts)
        assert descent.flow_time(100, 0.1) == pytest.approx(10.0)
        assert descent.steps(10.0, 0.1) == 100

    def test_factor_of_an_undivided_mean_loss(self):
        """Descent on mean((alpha h - y*)^2)/2, as most code writes it, is descent on (alpha^2/n) F_alpha."""
        h, params0, loss = tanh_problem(centred=False)
        alpha, n, rate, count = 2.0, loss.target.size, 0.01, 20

        def mean_loss(params):
            return 0.5 * jnp.mean((alpha * h(params) - loss.target) ** 2)

        params = params0
        slope = jax.jit(jax.grad(mean_loss))
        for _ in range(count):
            params = jax.tree.map(lambda w, g: w - rate * g, params, slope(params))
        time = float(descent.flow_time(count, rate, loss_factor=alpha**2 / n))
        path = gradient_descent(h, params0, loss, alpha=alpha, step_size=time / count, steps=count, save_at=[count])
        np.testing.assert_allclose(path.times, [time])
        np.testing.assert_allclose(path.outputs[0], alpha * h(params), atol=1e-12)

    @pytest.mark.parametrize(
        ("call", "says"),
        [
            (lambda: descent.flow_time(3, 0.0), "step_size: expected a positive"),
            (lambda: descent.flow_time(-3, 1.0), "steps: expected numbers >= 0"),
            (lambda: descent.flow_time(3, 1.0, loss_factor=-1.0), "loss_factor: expected a positive"),
            (lambda: descent.steps(-1.0, 1.0), "flow_time: expected finite times >= 0"),
            (lambda: stable_step_size(lambda w: 0.0 * w, jnp.ones(2)), "lipschitz: expected a positive"),
        ],
    )
    def test_bad_values(self, call, says):
        with pytest.raises(ValueError, match=says):
            call()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"steps": 0}, "steps: expected at least 1"),
        ({"steps": 3, "save_at": [0, 4]}, "save_at: expected increasing step numbers between 0 and 3"),
        ({"steps": 3, "save_at": [2, 1]}, "save_at: expected increasing"),
        ({"steps": 3, "step_size": -1.0}, "step_size: expected a positive"),
        ({"steps": 3, "alpha": -1.0}, "alpha: expected a positive"),
    ],
)
def test_bad_arguments(arguments, says):
    h, params0, loss = tanh_problem()
    with pytest.raises(ValueError, match=says):
        gradient_descent(h, params0, loss, **{"alpha": 1.0, "step_size": 0.1, **arguments})
