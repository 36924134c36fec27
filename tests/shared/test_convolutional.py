"""VGG-11 and its parts: shapes, the paper's number of parameters, initialization, and convolutions by patches."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lazy_course import convolutional, models


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def test_vgg11_has_the_published_size(key):
    """Eight convolutions with biases and one linear layer of 512 features: 9.2 million parameters."""
    f = convolutional.vgg11()
    params = jax.eval_shape(lambda k: convolutional.init_convolutional(k, f), key)
    channels = [3, 64, 128, 256, 256, 512, 512, 512, 512]
    expected = sum(9 * c * m + m for c, m in itertools.pairwise(channels)) + 512 * 10 + 10
    assert count(params) == expected == 9_225_610
    assert jax.eval_shape(f, params, jnp.zeros((2, 32, 32, 3))).shape == (2, 10)


@pytest.mark.parametrize(("width", "first"), [(8, 512), (0.25, 16), (0.001, 1)])
def test_width_multiplies_channels(width, first):
    assert convolutional.vgg11(width=width).layers[0] == first


@pytest.mark.parametrize("pooling", ["max", "average"])
@pytest.mark.parametrize("shape", [(5, 7, 2), (1, 3, 1)])
def test_small_and_odd_images(key, shape, pooling):
    """Each row is one sample's output, whatever the others are."""
    f = convolutional.vgg11(width=1 / 32, pooling=pooling)
    params = convolutional.init_convolutional(key, f, shape, 3, gain=2.0)
    x = jax.random.normal(key, (3, *shape))
    y = jax.jit(f)(params, x)
    assert y.shape == (3, 3)
    np.testing.assert_allclose(y[1:2], jax.jit(f)(params, x[1:2]), rtol=1e-10, atol=1e-12)


def test_a_convolution_by_hand():
    """One 3 x 3 filter on a 2 x 2 image: each output sums the filter's entries that meet the image."""
    x = jnp.asarray([[1.0, 2.0], [3.0, 4.0]])[None, :, :, None]
    filters = jnp.arange(9.0).reshape(3, 3, 1, 1)
    by_hand = [[4 + 2 * 5 + 3 * 7 + 4 * 8, 3 + 2 * 4 + 3 * 6 + 4 * 7], [1 + 2 * 2 + 3 * 4 + 4 * 5, 2 + 3 * 3 + 4 * 4]]
    np.testing.assert_allclose(convolutional.convolve(x, filters)[0, 0, :, 0], by_hand[0])
    np.testing.assert_allclose(convolutional.convolve(x, filters)[0, 1, 0, 0], by_hand[1][0])
    assert x.shape[1] * x.shape[2] <= convolutional.FEW_PIXELS


@pytest.mark.parametrize(
    ("window", "strides", "padding", "dilation"),
    [
        ((3, 3), (1, 1), [(1, 1), (1, 1)], (1, 1)),
        ((2, 3), (2, 1), [(0, 1), (2, 0)], (1, 2)),
        ((1, 1), (1, 3), None, None),
    ],
)
def test_patches_times_filters_are_a_convolution(key, window, strides, padding, dilation):
    x, filters = jax.random.normal(key, (2, 6, 7, 3)), jax.random.normal(key, (*window, 3, 4))
    patches = convolutional.extract_patches(x, window, strides=strides, padding=padding, dilation=dilation)
    expected = jax.lax.conv_general_dilated(
        x,
        filters,
        strides,
        padding or [(0, 0), (0, 0)],
        rhs_dilation=dilation,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    np.testing.assert_allclose(patches @ filters.reshape(-1, 4), expected, rtol=1e-10, atol=1e-12)


def test_pooling_by_hand():
    x = jnp.asarray([[1.0, 5.0, 9.0], [3.0, -1.0, 9.0]])[None, :, :, None]
    assert convolutional.pool(x, "max").tolist() == [[[[5.0]]]]
    assert convolutional.pool(x, "average").tolist() == [[[[2.0]]]]
    assert convolutional.pool(x[:, :1], "max").shape == (1, 1, 3, 1)


def test_weights_are_xavier_normal_and_biases_zero(key):
    """The variance is 2 / (fans) to five standard errors, sqrt(2 / number) of it."""
    f = convolutional.convolutional((32, 32))
    params = convolutional.init_convolutional(key, f, (8, 8, 4), 10, gain=1.5)
    second, last = params["convolutions"][1]["filters"], params["output"]["weights"]
    for weights, fans in ((second, 9 * 32 + 9 * 32), (last, 8 * 8 * 32 + 10)):
        expected = 1.5**2 * 2 / fans
        assert abs(float(jnp.mean(weights**2)) / expected - 1) < 5 * (2 / weights.size) ** 0.5
    biases = [part["bias"] for part in params["convolutions"]] + [params["output"]["bias"]]
    assert all(float(jnp.max(jnp.abs(b))) == 0 for b in biases)


def test_it_is_homogeneous_in_its_weights(key):
    """With ReLU and zero biases, 9 layers scaled by s scale the output by s^9."""
    f = convolutional.vgg11(width=1 / 32)
    params = convolutional.init_convolutional(key, f, (8, 8, 3), 2)
    x = jax.random.normal(key, (2, 8, 8, 3))
    doubled = jax.tree.map(lambda w: 2.0 * w, params)
    np.testing.assert_allclose(jax.jit(f)(doubled, x), 2.0**9 * jax.jit(f)(params, x), rtol=1e-10)
    h = models.centred(models.as_map(f, x), params)
    np.testing.assert_array_equal(h(params), np.zeros(4))


def test_bad_networks_are_refused(key):
    with pytest.raises(ValueError, match="layers: expected positive numbers"):
        convolutional.convolutional((3, "stride"))
    with pytest.raises(ValueError, match="pooling: expected one of"):
        convolutional.vgg11(pooling="sum")
    with pytest.raises(ValueError, match="width: expected a positive"):
        convolutional.vgg11(width=0.0)
    with pytest.raises(ValueError, match="shape: expected one image"):
        convolutional.init_convolutional(key, convolutional.vgg11(), (32, 32))
    with pytest.raises(ValueError, match="k: expected a positive"):
        convolutional.init_convolutional(key, convolutional.vgg11(), k=0)
