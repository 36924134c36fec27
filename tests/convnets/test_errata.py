"""Each erratum of the chapter that can be shown, shown."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course.convnets import activations, experiment, live, models
from lazy_course.convnets.data import CLASSES


@pytest.fixture(scope="module")
def net():
    """A small ReLU net for sequences, with parameters and inputs."""
    f = models.sequence_net(channels=3)
    keys = jax.random.split(jax.random.key(2))
    return f, models.init_sequence_net(keys[0], f), jax.random.normal(keys[1], (6, 40))


def test_C15_the_differential_of_a_relu_network_jumps(net):
    """Move one bias to where a pre-activation of one sample vanishes: on both sides of it Dh differs, however near."""
    f, params, x = net
    seen = []

    def looking(z):
        seen.append(z)
        return jnp.maximum(z, 0)

    activations.with_activation(f, looking)(params, x)
    place = int(jnp.argmax(seen[2][0, :, 0]))
    kink = -float(seen[2][0, place, 0])

    def output(bias):
        parts = [*params["convolutions"][:2], {**params["convolutions"][2]}]
        parts[2]["bias"] = parts[2]["bias"].at[0].set(bias)
        return f({**params, "convolutions": parts}, x[:1])[0]

    slope = jax.jit(jax.jacfwd(output))
    jumps = [
        float(jnp.linalg.norm(slope(kink + step) - slope(kink - step))) / (2 * step) for step in (1e-3, 1e-6, 1e-9)
    ]
    weights = params["output"]["weights"].reshape(-1, 3, CLASSES)[place, 0]
    assert jumps[2] > 900 * jumps[1] > 900 * 900 * jumps[0] > 0
    assert jumps[2] * 2e-9 == pytest.approx(float(jnp.linalg.norm(weights)), rel=1e-6)


def test_C16_neurons_that_keep_all_signs_are_fewer_than_signs_that_are_kept(net):
    f, params, x = net
    keys = iter(jax.random.split(jax.random.key(4), 20))
    moved = jax.tree.map(lambda w: w + 0.02 * jax.random.normal(next(keys), w.shape), params)
    pairs = list(zip(activations.gates(f, params, x), activations.gates(f, moved, x), strict=True))
    signs = float(np.mean([jnp.mean(before == after) for before, after in pairs]))
    neurons = float(np.mean([jnp.mean(jnp.all(before == after, axis=0)) for before, after in pairs]))
    assert float(activations.activation_stability(f, params, moved, x)) == pytest.approx(signs)
    assert signs > 0.95
    assert neurons < signs - 0.05


def test_S21_ten_eigenvalues_are_large_for_every_number_of_images():
    """A narrow VGG-11 on 4 and on 8 images: ten of 40 (25 %), ten of 80 (12.5 %); and ten of 5000 (0.2 %) recorded."""
    settings = dataclasses.replace(live.SMALL, width=1 / 16, n=8, size=8, images=("photographs",))
    found = live.growth(settings, (4, 8))["photographs"]
    assert np.all(found.gaps > 4)
    assert found.least > 0
    ratios = found.values[:29] / found.values[1:30]
    assert np.argmax(ratios) == CLASSES - 1
    assert ratios[CLASSES - 1] == pytest.approx(found.gaps[1])
    for part in experiment.load("fig7b")["spectra"].values():
        values = np.asarray(part["values"])[:30]
        assert np.argmax(values[:-1] / values[1:]) == CLASSES - 1
    with pytest.raises(ValueError, match="sizes: expected numbers of images between 2 and n = 8"):
        live.growth(settings, (9,))


def test_S22_the_tail_is_worse_conditioned_than_the_gap():
    kept = experiment.load("fig7b")["spectra"]
    uniform, crops = (np.asarray(kept[kind]["values"]) for kind in ("uniform", "photographs"))
    assert 1 / uniform[-1] == pytest.approx(94_000, rel=0.01)
    assert uniform[CLASSES] / uniform[-1] == pytest.approx(800, rel=0.01)
    assert uniform[CLASSES] / uniform[-1] > 9 * kept["uniform"]["gap"]
    assert kept["photographs"]["gap"] == pytest.approx(5.6, rel=0.01)
    assert crops[CLASSES] > 1e5 * abs(crops[-1])
    rates = experiment.load("fig3a-exact")["rates"]
    assert rates[CLASSES - 1] / rates[CLASSES] < 1.2
    assert experiment.load("fig3a-exact")["train_accuracy"][-2] < 0.7
