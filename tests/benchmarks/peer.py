"""The peer's side: neural-tangents 0.6.5 in an environment of its own (see the page on benchmarks)."""

import os
from importlib.metadata import version

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import jax
import jax.numpy as jnp
import neural_tangents as nt
import problems
from neural_tangents import stax
from worker import serve

METHODS = {"jacobian": 1, "products": 2, "structured": 3}


def _empirical(apply, method):
    implementation = nt.NtkImplementation(METHODS[method])
    return jax.jit(nt.empirical_ntk_fn(apply, trace_axes=(), vmap_axes=0, implementation=implementation))


def two_layer(method):
    x, first, second = problems.two_layer(**problems.SETTINGS["two-layer"])
    _, apply, _ = stax.serial(stax.Dense(first.shape[1]), stax.Relu(), stax.Dense(second.shape[1]))
    kernel, params = _empirical(apply, method), [(first, None), (), (second, None)]
    params = jax.tree_util.tree_map(jnp.asarray, params)
    x = jnp.asarray(x)
    return lambda: kernel(x, None, params).block_until_ready(), lambda k: (k[0, 0, 0, 0], k[0, 1, 0, 0], k[7, -1, 0, 0])


def vgg11(method):
    x, filters, last = problems.vgg11(**problems.SETTINGS["vgg11"])
    options = {"W_std": 1.0, "b_std": 1.0, "parameterization": "standard"}
    layers, params = [], []
    for i, weights in enumerate(filters):
        channels = weights.shape[-1]
        layers += [stax.Conv(channels, (3, 3), padding="SAME", **options), stax.Relu()]
        params += [(weights, jnp.zeros((1, 1, 1, channels), jnp.float32)), ()]
        if i in (0, 1, 3, 5, 7):
            layers.append(stax.AvgPool((2, 2), (2, 2)))
            params.append(())
    _, apply, _ = stax.serial(*layers, stax.Flatten(), stax.Dense(last.shape[1], **options))
    params += [(), (last, jnp.zeros((1, last.shape[1]), jnp.float32))]
    kernel, params, x = _empirical(apply, method), jax.tree_util.tree_map(jnp.asarray, params), jnp.asarray(x)
    return lambda: kernel(x, None, params).block_until_ready(), lambda k: (k[0, 0, 0, 0], k[0, 1, 2, 3], k[7, -1, 4, 4])


def _limit(depth, sigma_w, sigma_b):
    layers = [stax.Dense(1, sigma_w, sigma_b), stax.Relu()] * depth
    return stax.serial(*layers, stax.Dense(1, sigma_w, sigma_b))[2]


def closed_forms():
    settings = problems.SETTINGS["closed forms"]
    x = jnp.asarray(problems.closed_forms(**settings))
    limit = _limit(settings["depth"], settings["sigma_w"], settings["sigma_b"])
    kernels = jax.jit(lambda x: limit(x, None, ("nngp", "ntk")))
    return lambda: jax.block_until_ready(kernels(x)), lambda k: (k.nngp[0, 0], k.nngp[0, 1], k.ntk[0, 0], k.ntk[7, -1])


def predictions():
    settings = problems.SETTINGS["predictions"]
    x, y, test, times = map(jnp.asarray, problems.predictions(**settings))
    limit = _limit(settings["depth"], settings["sigma_w"], settings["sigma_b"])
    predict = nt.predict.gradient_descent_mse_ensemble(limit, x, y)

    def work():
        return jax.block_until_ready(predict(t=times, x_test=test, get="ntk", compute_cov=True))

    return work, lambda p: (p.mean[3, 0, 0], p.mean[12, 1, 0], p.covariance[3, 0, 0], p.covariance[12, 0, 1])


if __name__ == "__main__":
    found = {"closed forms": closed_forms, "predictions": predictions}
    for method in METHODS:
        found[f"two-layer, {method}"] = lambda method=method: two_layer(method)
        found[f"vgg11, {method}"] = lambda method=method: vgg11(method)
    serve(found, {name: version(name) for name in ("neural-tangents", "jax", "jaxlib")})
