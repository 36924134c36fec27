"""Every refusal names the argument, what came, and what to do."""

import jax
import jax.numpy as jnp
import pytest

from lazy_course.report import LazinessMonitor, apply_network, equinox_network, laziness_report, linen_network, spread

X, Y, W = jnp.ones((4, 2)), jnp.ones((4, 1)), {"w": jnp.ones((2, 1))}


def f(params, x):
    return jnp.tanh(x @ params["w"])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"params": {"w": jnp.ones((2, 1), dtype=int)}}, r"params\['w'\].*floating array, got int"),
        ({"params": {"w": jnp.full((2, 1), jnp.nan)}}, r"params\['w'\].*finite"),
        ({"params": {"w": "text"}}, r"params\['w'\].*got str"),
        ({"params": {}}, "params.*without leaves"),
        ({"x": jnp.ones((4, 2), dtype=int)}, r"x: expected floating inputs, got int.*astype"),
        ({"x": jnp.full((4, 2), jnp.inf)}, "x: expected finite"),
        ({"x": jnp.ones(())}, "x: expected one row per sample"),
        ({"x": jnp.ones((4, 3))}, r"f: f\(params, x\) fails for x of shape \(4, 3\)"),
        ({"y": jnp.ones((4, 2))}, r"y: expected the shape \(4, 1\).*got \(4, 2\)"),
        ({"y": jnp.ones(4, dtype=int)}, "y: expected floating targets, got int"),
        ({"y": jnp.full(4, jnp.nan)}, "y: expected finite"),
        ({"y": None}, "y: expected targets.*or a loss"),
        ({"f": lambda w, x: (x @ w["w"], 1)}, "f: expected one array"),
        ({"f": lambda w, x: (x @ w["w"])[:, :, None]}, r"f: expected outputs of shape.*got \(4, 1, 1\)"),
        ({"f": lambda w, x: jnp.sum(x @ w["w"])}, r"f: expected outputs of shape.*got \(\)"),
        ({"f": lambda w, x: jnp.argmax(x @ w["w"], axis=1)}, "f: expected floating outputs.*label.*logits"),
        ({"f": lambda w, x: jnp.sign(x @ w["w"])}, "f: .*zero Jacobian.*sign"),
        ({"f": lambda w, x: jnp.log(x @ w["w"] - 2)}, "f: expected finite outputs"),
        ({"f": lambda w, x: jnp.sqrt(x @ w["w"] - 2)}, "f: expected finite derivatives"),
        ({"trained_params": {"v": jnp.ones((2, 1))}}, "trained_params: expected the structure of params"),
        ({"trained_params": {"w": jnp.ones((3, 1))}}, r"trained_params\['w'\].*shape \(2, 1\), got \(3, 1\)"),
        ({"trained_params": W, "budget": 3}, "budget: .*got both"),
        ({"budget": 0}, "budget: expected at least one step"),
        ({"f": lambda w, x: (x @ w["w"]) ** 3, "budget": 9, "step_size": 1e9}, "step_size: .*smaller"),
        ({"alpha": -1.0}, "alpha: expected a positive"),
        ({"fit": 1.0}, "fit: expected a share"),
        ({"effort": "some"}, "effort: expected 'full' or 'quick'"),
        ({"largest_kernel": 0}, "largest_kernel: expected at least the 1 outputs"),
        ({"memory": 1}, "memory: expected bytes"),
        ({"devices": 3}, "devices: expected between 1 and"),
        ({"loss": 3}, "loss: expected a function"),
        ({"loss": lambda z: z}, "loss: expected a finite scalar"),
        ({"loss": lambda z: jnp.sum(z @ jnp.ones(7))}, "loss: fails on flat outputs"),
        ({"loss": lambda z: jnp.sum(z**2), "largest_kernel": 2}, "largest_kernel: 4 samples.*cannot be cut"),
    ],
)
def test_a_bad_argument_is_refused(changed, said):
    arguments = {"f": f, "params": W, "x": X, "y": Y, "effort": "quick", **changed}
    with pytest.raises(ValueError, match=f"(?s){said}"):
        laziness_report(**arguments)


@pytest.mark.parametrize(
    ("options", "said"), [({"samples": 0}, "samples"), ({"every": 0}, "every"), ({"share": 0.0}, "share")]
)
def test_a_bad_option_of_the_monitor_is_refused(options, said):
    with pytest.raises(ValueError, match=f"{said}: expected"):
        LazinessMonitor(f, W, X, **options)


def test_an_adapter_refuses_what_it_cannot_take():
    with pytest.raises(ValueError, match="without any"):
        equinox_network(jnp.tanh)
    with pytest.raises(ValueError, match="expected a collection 'params'"):
        linen_network(None, {"batch_stats": {}})


def test_spread_needs_devices_that_divide():
    assert spread(X) is X
    with pytest.raises(ValueError, match="divide the 4 samples"):
        spread(X, jax.device_count() + 1)


def test_a_state_is_held_fixed():
    g = apply_network(lambda params, state, rng, x: (x @ params + state, state), state=jnp.ones(()))
    assert jnp.all(g(W["w"], X) == 3)
