"""The tangent kernel against plain Jacobians: every form and method, whole and in blocks, in both precisions."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from lazy_course import convolutional, kernel_blocks, kernel_layers, kernel_plan, models
from lazy_course.kernels import tangent_kernel

TOLERANCES = {"float64": 1e-10, "float32": 1e-4}


def plain(f, params, x1, x2=None):
    """K_ia,jb = sum_w d_w f_a(x_i) d_w f_b(x_j), from whole Jacobians."""

    @jax.jit
    def kernel(params, x1, x2):
        w, unravel = ravel_pytree(params)
        rows = [jax.jacobian(lambda v, x=x: f(unravel(v), x))(w) for x in (x1, x2)]
        return jnp.einsum("iap,jbp->iajb", *rows)

    return kernel(params, x1, x1 if x2 is None else x2)


FORMS = {
    "full": lambda kernel: kernel,
    "trace": lambda kernel: jnp.einsum("iaja->ij", kernel),
    "outputs": lambda kernel: jnp.einsum("iaja->ija", kernel),
    "diagonal": lambda kernel: jnp.einsum("iaia->ia", kernel),
}


def agree(got, expected, tolerance=1e-10):
    assert got.shape == expected.shape
    assert float(jnp.max(jnp.abs(got - expected))) <= tolerance * float(jnp.max(jnp.abs(expected)))


def in_precision(tree, dtype):
    return jax.tree.map(lambda a: a.astype(dtype) if hasattr(a, "astype") else a, tree)


def standard_and_scaled(params, x):
    """Leaves that are transposed, reshaped and scaled; a bias; a leaf that is used twice; one that is not used."""
    hidden = jnp.tanh(x @ (params["first"].T * 0.5) + params["bias"][None])
    hidden = jnp.sin(hidden @ params["shared"]) @ params["shared"]
    return (hidden @ params["last"].reshape(5, 2) / jnp.sqrt(3.0)) * params["gain"]


def strided(params, x):
    """Convolutions with strides, a dilated window, odd sizes and channels first, and one with two feature groups."""
    y = jax.lax.conv_general_dilated(x, params["one"], (2, 1), [(1, 1), (0, 2)], rhs_dilation=(1, 2))
    y = jax.lax.conv_general_dilated(jnp.tanh(y), params["two"], (1, 1), "SAME", feature_group_count=2)
    return jax.vmap(lambda image: jnp.tensordot(params["three"], jnp.sin(image), axes=((1, 2, 3), (0, 1, 2))))(y)


def cases(key):
    keys = jax.random.split(key, 12)
    net = convolutional.convolutional((3, "pool", 4, 2), activation="tanh")
    sizes = {"first": (5, 3), "bias": (5,), "shared": (5, 5), "last": (10,), "gain": (1, 2), "unused": (4,)}
    general = {name: jax.random.normal(k, size) for k, (name, size) in zip(keys, sizes.items(), strict=False)}
    filters = {"one": (4, 2, 3, 2), "two": (6, 2, 3, 3), "three": (3, 6, 3, 3)}
    other = {name: jax.random.normal(k, size) for k, (name, size) in zip(keys, filters.items(), strict=False)}
    return {
        "two-layer": (models.two_layer("tanh", scale=0.5), models.init_two_layer(key, 3, 6, 3), (3,), (2, 0)),
        "homogeneous": (models.homogeneous(3), models.init_homogeneous(key, (3, 6, 5, 2)), (3,), (3, 0)),
        "convolutional": (net, convolutional.init_convolutional(key, net, (7, 5, 2), 3), (7, 5, 2), (4, 4)),
        "general": (standard_and_scaled, general, (3,), (2, 4)),
        "strided": (strided, other, (2, 5, 3), (2, 1)),
    }


NAMES = ["two-layer", "homogeneous", "convolutional", "general", "strided"]


@pytest.mark.parametrize("name", NAMES)
def test_every_form_equals_the_plain_jacobian(key, name):
    f, params, shape, parts = cases(key)[name]
    x1, x2 = jax.random.normal(key, (7, *shape)), jax.random.normal(key, (4, *shape)) + 0.3
    program = kernel_blocks.read(f, params, x1)
    assert (len(program.layers), len(program.others())) == parts
    alone, crossed = plain(f, params, x1), plain(f, params, x1, x2)
    for form, taken in FORMS.items():
        agree(tangent_kernel(f, params, x1, form=form), taken(alone))
    agree(tangent_kernel(f, params, x1, x2), crossed)


def test_layers_of_a_network_that_was_not_written_for_this(key):
    """equinox's perceptron: three matrices are layers, three biases are not."""
    mlp = eqx.nn.MLP(3, 2, 8, 2, activation=jax.nn.gelu, key=key)
    params, rest = eqx.partition(mlp, eqx.is_inexact_array)
    x = jax.random.normal(key, (5, 3))

    def f(params, x):
        return jax.vmap(eqx.combine(params, rest))(x)

    program = kernel_blocks.read(f, params, x)
    assert (len(program.layers), len(program.others())) == (3, 3)
    agree(tangent_kernel(f, params, x), plain(f, params, x))


@pytest.mark.parametrize("form", ["trace", "outputs"])
def test_forms_of_two_sets_of_samples(key, form):
    f, params, shape, _ = cases(key)["general"]
    x1, x2 = jax.random.normal(key, (7, *shape)), jax.random.normal(key, (4, *shape)) + 0.3
    agree(tangent_kernel(f, params, x1, x2, form=form), FORMS[form](plain(f, params, x1, x2)))


@pytest.mark.parametrize("method", ["jacobian", "products"])
def test_methods_without_layers(key, method):
    f, params, shape, _ = cases(key)["general"]
    x1, x2 = jax.random.normal(key, (3, *shape)), jax.random.normal(key, (2, *shape)) + 0.3
    agree(tangent_kernel(f, params, x1, x2, method=method), plain(f, params, x1, x2))
    agree(tangent_kernel(f, params, x1, method=method, form="trace"), FORMS["trace"](plain(f, params, x1)))


def test_products_where_a_jacobian_does_not_fit(key):
    """One leaf of 3000 numbers in no layer, 4 outputs: two samples' Jacobians are 24 000 numbers, too many for 25 000
    beside their pass."""

    def f(w, x):
        return jnp.sum(jnp.sin(x @ jnp.sin(w).reshape(3, 1000)).reshape(-1, 4, 250), axis=2)

    w, x, memory = jax.random.normal(key, (3000,)), jax.random.normal(key, (3, 3)), 8 * 25_000
    agree(tangent_kernel(f, w, x, memory=memory), plain(f, w, x))
    with pytest.raises(ValueError, match="memory: the full kernel"):
        tangent_kernel(f, w, x, memory=memory, method="layers")


@pytest.mark.parametrize("form", [*FORMS])
def test_blocks_equal_the_whole(key, form):
    """In the least memory in which it fits, and in four times as much; blocks that do not divide 13, and x2."""
    f, params, shape, _ = cases(key)["convolutional" if form == "full" else "homogeneous"]
    x1, x2 = jax.random.normal(key, (13, *shape)), jax.random.normal(key, (6, *shape)) + 0.3
    least = least_memory(f, params, x1, form)
    for memory in (least, 4 * least):
        agree(tangent_kernel(f, params, x1, form=form, memory=memory), FORMS[form](plain(f, params, x1)))
    if form != "diagonal":
        crossed = FORMS[form](plain(f, params, x1, x2))
        agree(tangent_kernel(f, params, x1, x2, form=form, memory=2 * least), crossed)


def least_memory(f, params, x, form):
    """What the refusal asks for."""
    with pytest.raises(ValueError, match="memory: the") as refused:
        tangent_kernel(f, params, x, form=form, memory=500, method="layers")
    return int(str(refused.value).split("give memory=")[1].split()[0])


def test_blocks_are_counted_and_symmetric_halves_left_out(key):
    f, params, shape, _ = cases(key)["convolutional"]
    x = jax.random.normal(key, (12, *shape))
    for x2, blocks in ((None, 10), (x, 16)):
        plan = kernel_plan.Plan(3, (), 0.0, 0)
        assert kernel_blocks.Blocks(f, params, x, x2, "full", plan, True).count == blocks


@pytest.mark.parametrize("way", ["gram", "pairs", "jacobian"])
def test_each_way_in_tiles(key, way):
    """All ways give the same part of a convolution, also in tiles that do not divide n = 5 or c = 4."""
    f, params, shape, _ = cases(key)["convolutional"]
    x = jax.random.normal(key, (5, *shape))
    program = kernel_blocks.read(f, params, x)
    features = jax.jit(lambda params, x: kernel_blocks.features(program, params, x))(params, x)
    which = [layer.leaf for layer in program.layers].index(3)
    feature, shape = features[which], kernel_blocks.geometries(program)[which]
    jacobian = jnp.einsum("ikpc,ipq->ikqc", feature.gradients, kernel_layers.patches_of(feature.inputs, shape))
    expected = jnp.einsum("iaqc,jbqc->iajb", jacobian, jacobian)
    tiles = kernel_layers.Tiles(way, 1 if way == "pairs" else 2, 2, 3)
    starts = kernel_layers.tile_starts((5, 5), tiles, True)
    assert len(starts) == kernel_layers.tile_count((5, 5), tiles, True) < kernel_layers.tile_count((5, 5), tiles, False)
    agree(kernel_layers.contract(feature, feature, shape, tiles, symmetric=False), expected)
    agree(kernel_layers.contract(feature, feature, shape, tiles, symmetric=True), expected)


@pytest.mark.parametrize("name", ["two-layer", "convolutional"])
def test_single_precision(key, name):
    f, params, shape, _ = in_precision(cases(key)[name], jnp.float32)
    x = jax.random.normal(key, (6, *shape), dtype=jnp.float32)
    exact = plain(*in_precision((f, params, x), jnp.float64))
    for memory in (2**30, least_memory(f, params, x, "full")):
        got = tangent_kernel(f, params, x, memory=memory)
        assert got.dtype == jnp.float32
        agree(got, exact, 1e-4)


def test_a_symmetric_kernel_is_symmetric_to_the_last_bit(key):
    f, params, shape, _ = cases(key)["convolutional"]
    x = jax.random.normal(key, (7, *shape))
    kernel = np.asarray(tangent_kernel(f, params, x)).reshape(21, 21)
    np.testing.assert_array_equal(kernel, kernel.T)
    net, weights = models.two_layer("tanh"), models.init_two_layer(key, 3, 6, 2)
    many = np.asarray(tangent_kernel(net, weights, jax.random.normal(key, (300, 3)))).reshape(600, 600)
    np.testing.assert_array_equal(many, many.T)


def test_two_layer_kernel_matches_its_closed_form(key):
    """(X X'^T) o (D D'^T) + S S'^T, with S the activations and D the gates times output weights."""
    params = models.init_two_layer(key, 3, 7)
    x1, x2 = jax.random.normal(key, (5, 3)), jax.random.normal(jax.random.split(key)[0], (4, 3))
    kernel = tangent_kernel(models.two_layer("tanh", scale=0.5), params, x1, x2)
    pre1, pre2 = x1 @ params["input"].T, x2 @ params["input"].T
    gates1, gates2 = ((1 - jnp.tanh(pre) ** 2) * params["output"] for pre in (pre1, pre2))
    closed = (x1 @ x2.T) * (gates1 @ gates2.T) + jnp.tanh(pre1) @ jnp.tanh(pre2).T
    assert kernel.shape == (5, 1, 4, 1)
    np.testing.assert_allclose(kernel[:, 0, :, 0], 0.25 * closed, rtol=1e-12)


def test_under_jit_and_vmap(key):
    f = models.two_layer("tanh")
    many = jax.vmap(lambda k: models.init_two_layer(k, 3, 6, 2))(jax.random.split(key, 3))
    x = jax.random.normal(key, (5, 3))
    mapped = jax.jit(jax.vmap(lambda params: tangent_kernel(f, params, x, memory=2**20)))(many)
    each = [tangent_kernel(f, jax.tree.map(lambda a, i=i: a[i], many), x) for i in range(3)]
    agree(mapped, jnp.stack(each), 1e-14)


def test_memory_that_is_held_stays_within_the_plan(key):
    """What XLA allocates for a block, results included, against the numbers that the plan counts."""
    net = convolutional.vgg11(width=1 / 16, pooling="average")
    params = convolutional.init_convolutional(key, net, (16, 16, 3), 5)
    x = jax.random.normal(key, (6, 16, 16, 3))
    sizes, item = kernel_blocks.measure(net, params, x)
    plan = kernel_plan.plan(sizes, kernel_plan.Request(6, 6, 5, 1, 1, True), 2**27)
    assert plan.block == 6
    found = jax.jit(lambda p, x: tangent_kernel(net, p, x)).lower(params, x).compile().memory_analysis()
    assert found.temp_size_in_bytes + found.output_size_in_bytes <= plan.held * item


def test_progress_is_shown(key, capsys):
    f, params, shape, _ = cases(key)["two-layer"]
    tangent_kernel(f, params, jax.random.normal(key, (3, *shape)), progress=True)
    assert "tangent kernel" in capsys.readouterr().out


def test_bad_requests_are_refused(key):
    f, params, x = models.two_layer(), models.init_two_layer(key, 3, 4), np.ones((2, 3))
    with pytest.raises(ValueError, match="x2: expected rows of shape"):
        tangent_kernel(f, params, x, np.ones((2, 4)))
    with pytest.raises(ValueError, match="form: expected one of"):
        tangent_kernel(f, params, x, form="half")
    with pytest.raises(ValueError, match="method: expected one of"):
        tangent_kernel(f, params, x, method="guess")
    with pytest.raises(ValueError, match="x2: the diagonal"):
        tangent_kernel(f, params, x, x, form="diagonal")
    with pytest.raises(ValueError, match="without rows"):
        tangent_kernel(f, params, np.ones((0, 3)))
    with pytest.raises(ValueError, match="memory: the full kernel"):
        tangent_kernel(f, params, x, memory=100)
