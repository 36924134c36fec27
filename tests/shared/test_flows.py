"""Flows against closed forms, against an independent integrator, and where cancellation would spoil them."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.integrate import solve_ivp

from lazy_course import progress
from lazy_course.displacement import DisplacedModel, scaled_gradient_change
from lazy_course.flows import (
    FlowError,
    FlowSettings,
    flow_gap,
    gradient_flow,
    linearized_flow,
    linearized_flow_closed_form,
    norm_over_time,
    solve_gradient_flow,
)
from lazy_course.losses import square_loss
from tests.shared.flow_problems import TIMES, data, diagonal_problem, difference, tanh_problem

SHORT = np.array([0.0, 0.5, 2.0])


def identity(params):
    """The model h(w) = w: the flow of the square loss is y* (1 - exp(-t))."""
    return params


def largest(tree):
    return float(jnp.max(norm_over_time(tree)))


class TestLinearizedFlow:
    @pytest.mark.parametrize("rank_deficient", [False, True])
    @pytest.mark.parametrize("centred", [False, True])
    def test_agrees_with_the_closed_form(self, rank_deficient, centred):
        x = data()[0]
        x = x.at[-1].set(x[0]) if rank_deficient else x
        h, params0, loss = tanh_problem(centred=centred, x=x)
        flow = linearized_flow(h, params0, loss, alpha=3.0, times=TIMES)
        exact = linearized_flow_closed_form(h, params0, loss.target, alpha=3.0, times=TIMES)
        # Local tolerance 1e-9; the flow contracts, so the global error stays within a few of those.
        assert jnp.max(jnp.abs(flow.outputs - exact.outputs)) < 1e-8
        assert largest(difference(flow.displacement, exact.displacement)) < 1e-8
        assert jnp.max(jnp.abs(flow.loss - exact.loss)) < 1e-8
        assert exact.loss[-1] < 0.9 * exact.loss[0]

    def test_closed_form_solves_the_equation_and_conserves_the_kernel(self):
        x = data()[0]
        h, params0, loss = tanh_problem(x=x.at[-1].set(x[0]))
        dt = 1e-4
        path = linearized_flow_closed_form(h, params0, loss.target, alpha=1.0, times=[1.0 - dt, 1.0, 1.0 + dt])
        slope = (path.displacement["input"][2] - path.displacement["input"][0]) / (2 * dt)
        residual = path.outputs[1] - loss.target
        pulled = jax.vjp(h, params0)[1](residual)[0]["input"]
        np.testing.assert_allclose(slope, -pulled, atol=1e-7)
        # Two equal inputs cannot be told apart: the difference of their outputs never moves.
        np.testing.assert_allclose(path.outputs[:, -1], path.outputs[:, 0], atol=1e-12)

    def test_does_not_depend_on_alpha_if_h_vanishes_at_w0(self):
        h, params0, loss = tanh_problem()
        small = linearized_flow(h, params0, loss, alpha=1.0, times=TIMES)
        large = linearized_flow(h, params0, loss, alpha=1e6, times=TIMES)
        np.testing.assert_allclose(small.outputs, large.outputs, atol=1e-13)
        np.testing.assert_allclose(large.distance * 1e6, small.distance, rtol=1e-12)


class TestGradientFlow:
    def test_agrees_with_scipy_in_plain_parameters(self):
        alpha = 2.0
        h, params0, loss = tanh_problem(centred=False)
        start, unravel = ravel_pytree(params0)
        slope = jax.jit(jax.grad(lambda w: loss(alpha * h(unravel(w))) / alpha**2))
        plain = solve_ivp(lambda t, w: -slope(w), (0, 10), start, t_eval=TIMES, rtol=1e-10, atol=1e-11, method="DOP853")
        flow = gradient_flow(h, params0, loss, alpha=alpha, times=TIMES)
        got = jax.vmap(lambda tree: ravel_pytree(tree)[0])(flow.params)
        np.testing.assert_allclose(got, plain.y.T, atol=1e-8)
        np.testing.assert_allclose(flow.outputs, alpha * jax.vmap(h)(flow.params), atol=1e-11)
        np.testing.assert_allclose(flow.distance, np.linalg.norm(plain.y.T - np.asarray(start), axis=1), atol=1e-8)

    def test_output_speed_is_right_at_alpha_1e8(self):
        """alpha h(w) from w itself has noise 1e-8 there; the saved outputs obey the first-order expansion to 1e-12."""
        h, params0, loss = tanh_problem()
        flow = gradient_flow(h, params0, loss, alpha=1e8, times=TIMES)
        push = jax.vmap(lambda v: jax.jvp(h, (params0,), (v,))[1])
        bend = jax.vmap(lambda v: jax.jvp(lambda w: jax.jvp(h, (w,), (v,))[1], (params0,), (v,))[1])
        left = (flow.outputs - push(flow.displacement)) * 1e8
        # Outputs of size 1 carry 1e-16, times 1e8: the bend of size 1 can be seen to about 1e-7.
        np.testing.assert_allclose(left, 0.5 * bend(flow.displacement), atol=2e-7)
        assert jnp.max(jnp.abs(left)) > 1e-2

    def test_loss_decreases(self):
        h, params0, loss = tanh_problem()
        flow = gradient_flow(h, params0, loss, alpha=10.0, times=TIMES)
        assert jnp.all(jnp.diff(flow.loss) < 0)

    def test_sweep_over_alpha_compiles_once(self):
        traces = []

        def h(params):
            traces.append(1)
            return jnp.sin(params)

        eager = 1  # each call evaluates h(params0) once outside of the compiled solve
        gradient_flow(h, jnp.ones(2), square_loss(jnp.zeros(2)), alpha=1.0, times=SHORT)
        first = len(traces)
        for alpha, target, end in [(10.0, 0.1, 1.0), (1e7, 0.2, 2.0), (3, 0.3, 0.5)]:
            gradient_flow(h, jnp.ones(2), square_loss(target * jnp.ones(2)), alpha=alpha, times=SHORT * end)
        assert first > eager
        assert len(traces) == first + 3 * eager

    def test_solve_is_vmapped_over_alpha_and_target(self):
        alphas, targets = jnp.array([3.0, 1e5]), jnp.array([[0.1, 0.2], [0.3, 0.5]])

        @jax.vmap
        def solve(alpha, target):
            return solve_gradient_flow(jnp.sin, jnp.zeros(2), square_loss(target), alpha, jnp.asarray(SHORT))

        both, status = eqx.filter_jit(solve)(alphas, targets)
        assert jnp.all(status.success)
        for i in range(2):
            one = gradient_flow(jnp.sin, jnp.zeros(2), square_loss(targets[i]), alpha=alphas[i], times=SHORT)
            np.testing.assert_allclose(both.outputs[i], one.outputs, atol=1e-11)

    def test_kinks_are_noticed_and_the_difference_sees_them(self):
        def h(params):
            # Kinks so near to 0 that a move of size 1/alpha crosses them.
            return params + jax.nn.relu(params - 1e-4)

        problem, choices = (h, jnp.zeros(2), square_loss([1.0, 2.0])), {"alpha": 1e3, "times": SHORT}
        with pytest.raises(FlowError, match='remainder="difference"'):
            gradient_flow(*problem, **choices)
        flow = gradient_flow(*problem, **choices, remainder="difference", rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(flow.outputs, 1e3 * h(flow.params), atol=1e-10)
        # Before the kink v' = y* - v; after it the slope is 2: y' = 4 (y* - y) from y = 1e3 * 1e-4 = 0.1.
        target = jnp.array([1.0, 2.0])
        crossed = -jnp.log(1 - 0.1 / target)
        exact = target - (target - 0.1) * jnp.exp(-4 * (2.0 - crossed))
        np.testing.assert_allclose(flow.outputs[-1], exact, atol=1e-4)

    def test_one_time_and_single_precision_params(self):
        flow = gradient_flow(identity, jnp.zeros(2, jnp.float32), square_loss([1.0, 2.0]), alpha=1.0, times=[0.0])
        assert flow.outputs.dtype == jnp.float64
        np.testing.assert_array_equal(flow.outputs, np.zeros((1, 2)))

    def test_progress_is_printed(self, capsys):
        gradient_flow(identity, jnp.zeros(2), square_loss([1.0, 2.0]), alpha=1.0, times=SHORT, progress=True)
        jax.effects_barrier()
        assert "100.00%" in capsys.readouterr().out

    @pytest.mark.parametrize("patience", [0.0, 1e6])
    def test_a_long_solve_says_how_far_it_is_and_a_short_one_is_silent(self, capsys, monkeypatch, patience):
        monkeypatch.setattr(progress, "PATIENCE", patience)
        gradient_flow(identity, jnp.zeros(2), square_loss([1.0, 2.0]), alpha=1.0, times=SHORT)
        jax.effects_barrier()
        lines = capsys.readouterr().out.splitlines()
        shares = [float(re.search(r"still integrating: ([\d.]+) %", line).group(1)) for line in lines]
        assert len(shares) > 2 if patience == 0 else shares == []
        assert shares == sorted(shares)


class TestGap:
    @pytest.mark.parametrize("centred", [True, False])
    def test_agrees_with_plain_differences_of_two_solves(self, centred):
        h, params0, loss = tanh_problem(centred=centred)
        gap = flow_gap(h, params0, loss, alpha=10.0, times=TIMES)
        flow = gradient_flow(h, params0, loss, alpha=10.0, times=TIMES)
        linear = linearized_flow(h, params0, loss, alpha=10.0, times=TIMES)
        plain = difference(flow.displacement, linear.displacement)
        scale = largest(plain)
        assert scale > 0.01
        # Not centred, |alpha h(w0)| is about 10, and with it the errors of the two solves.
        assert largest(difference(jax.tree.map(lambda e: e / 10, gap.scaled_parameter_gap), plain)) < 1e-6 * scale
        np.testing.assert_allclose(gap.output_gap, flow.outputs - linear.outputs, atol=1e-6 * scale)
        np.testing.assert_allclose(gap.parameter_gap["input"], plain["input"] / 10, atol=1e-7 * scale)
        np.testing.assert_allclose(gap.outputs, flow.outputs, atol=1e-7 * max(1, scale))
        np.testing.assert_allclose(gap.distance, flow.distance, atol=1e-7 * max(1, scale))
        np.testing.assert_allclose(gap.loss, flow.loss, atol=1e-6 * max(1, float(flow.loss[0])))

    def test_rates_hold_to_alpha_1e8(self):
        """Scaled gaps tend to a limit with an O(1/alpha) error: no rounding floor up to 1e8."""
        h, params0, loss = tanh_problem()
        gaps = [flow_gap(h, params0, loss, alpha=10.0**k, times=TIMES) for k in (3, 4, 5, 8)]
        for select in (lambda g: g.scaled_parameter_gap, lambda g: {"y": g.scaled_output_gap}):
            off = [largest(difference(select(g), select(gaps[-1]))) for g in gaps[:-1]]
            np.testing.assert_allclose(np.diff(np.log10(off)), -1.0, atol=0.02)

    def test_equal_weights_of_the_diagonal_model_lose_an_order(self):
        """w+ = w- gives D2h[v0, v0] = 0 and an output gap O(1/alpha^2): alpha (y - ybar) falls like 1/alpha."""
        h, params0, loss = diagonal_problem(generic=False)
        gaps = [flow_gap(h, params0, loss, alpha=alpha, times=TIMES) for alpha in (1e2, 1e4)]
        sizes = [largest({"y": gap.scaled_output_gap}) for gap in gaps]
        # Not farther: at alpha = 1e6 the gap is as small as the solver's tolerance.
        assert np.log10(sizes[0] / sizes[1]) == pytest.approx(2.0, abs=0.01)


class TestDisplacement:
    """The two ways of computing each part meet where both are right."""

    @pytest.fixture
    def parts(self):
        h, params0, _ = tanh_problem()
        v = jax.random.normal(jax.random.key(5), (ravel_pytree(params0)[0].size,))
        return h, params0, v / jnp.linalg.norm(v)

    # Just above and below |v|/alpha = 1e-2, the difference has lost 1e4 of 1e16, the rule nothing.
    @pytest.mark.parametrize("alpha", [100.0 * (1 + 1e-9), 100.0 * (1 - 1e-9)])
    def test_integral_and_difference_agree(self, parts, alpha):
        h, params0, v = parts
        z = jnp.ones(h(params0).size)
        by = {kind: DisplacedModel(h, params0, alpha, remainder=kind) for kind in ("integral", "difference")}
        pairs = [
            [model.scaled_remainder(v) for model in by.values()],
            [model.scaled_pull_change(v, z) for model in by.values()],
            [model.outputs(v) for model in by.values()],
        ]
        for one, other in pairs:
            assert jnp.max(jnp.abs(one)) > 1e-3
            np.testing.assert_allclose(one, other, atol=1e-9)

    def test_gradient_change_is_exact_at_any_size(self):
        loss = tanh_problem("log cosh")[2]
        y, d = data(3)[1], data(4)[1]
        exact = jax.jvp(jax.grad(loss), (y,), (d,))[1]
        np.testing.assert_allclose(scaled_gradient_change(loss, y, d, jnp.asarray(1e9)), exact, rtol=1e-8)
        plain = jax.grad(loss)(y + d) - jax.grad(loss)(y)
        np.testing.assert_allclose(scaled_gradient_change(loss, y, d, jnp.asarray(1.0)), plain, rtol=1e-13)


class TestStiff:
    # Rates 1 and 1e6: an explicit step is at most about 3e-6.
    slopes = jnp.array([1.0, 1e3])

    def h(self, params):
        return self.slopes * params

    def test_explicit_gives_up_with_advice_and_implicit_arrives(self):
        params0, loss = jnp.zeros(2), square_loss([1.0, 1.0])
        with pytest.raises(FlowError, match=r"stiff.*solver=\"implicit\"") as caught:
            linearized_flow(self.h, params0, loss, alpha=1.0, times=SHORT, max_steps=500)
        assert "flow time" in str(caught.value)
        flow = linearized_flow(self.h, params0, loss, alpha=1.0, times=SHORT, solver="implicit")
        exact = linearized_flow_closed_form(self.h, params0, loss.target, alpha=1.0, times=SHORT)
        np.testing.assert_allclose(flow.outputs, exact.outputs, atol=1e-7)


class TestErrors:
    def call(self, h=identity, loss=None, params0=None, alpha=1.0, times=SHORT, **settings):
        params0 = jnp.zeros(2) if params0 is None else params0
        return gradient_flow(h, params0, loss or square_loss([1.0, 2.0]), alpha=alpha, times=times, **settings)

    @pytest.mark.parametrize("alpha", [0.0, -1.0, float("nan"), float("inf")])
    def test_alpha(self, alpha):
        with pytest.raises(ValueError, match="alpha: expected a positive finite number"):
            self.call(alpha=alpha)

    @pytest.mark.parametrize(
        ("times", "says"),
        [
            ([0.0, 2.0, 1.0], "strictly increasing"),
            ([1.0, 1.0], "strictly increasing"),
            ([-1.0, 1.0], ">= 0"),
            ([0.0, float("inf")], "finite"),
            ([], "at least one"),
            (np.ones((2, 2)), "flat"),
        ],
    )
    def test_times(self, times, says):
        with pytest.raises(ValueError, match=f"times: .*{says}"):
            self.call(times=times)

    def test_shapes_and_settings(self):
        with pytest.raises(ValueError, match="h: expected a flat output"):
            self.call(h=lambda w: w[None])
        with pytest.raises(ValueError, match="loss: expected a scalar"):
            self.call(loss=lambda y: y)
        with pytest.raises(ValueError, match="max_steps: expected at least 1"):
            FlowSettings(max_steps=0)
        with pytest.raises(ValueError, match="rtol, atol: expected positive"):
            FlowSettings(rtol=-1.0)
        with pytest.raises(ValueError, match="target: expected the shape"):
            linearized_flow_closed_form(identity, jnp.zeros(2), jnp.zeros(3), alpha=1.0, times=SHORT)

    def test_loss_that_is_not_finite_at_the_start(self):
        with pytest.raises(FlowError, match=r"the loss at time 0 is inf at alpha = 1e\+200"):
            self.call(params0=jnp.ones(2), alpha=1e200)

    def test_divergence_names_time_and_value(self):
        # y' = 4 y^3 from 1 blows up at t = 1/8.
        with pytest.raises(FlowError, match=r"diverged at flow time 0\.125.*loss went from -2 to"):
            self.call(params0=jnp.ones(2), loss=lambda y: -jnp.sum(y**4), max_steps=20_000)
