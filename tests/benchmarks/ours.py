"""Our side: the public functions of this package, with single precision asked for by the inputs."""

from importlib.metadata import version

import jax
import jax.numpy as jnp
import problems
from worker import serve

from lazy_course import convolutional
from lazy_course.kernels import tangent_kernel
from lazy_course.ntk.numerics import infinite_width_kernels
from lazy_course.ntk.prediction import kernel_blocks, predict


def two_layer():
    x, first, second = map(jnp.asarray, problems.two_layer(**problems.SETTINGS["two-layer"]))
    d, width = first.shape

    def f(params, x):
        return jax.nn.relu(x @ params["first"] / d**0.5) @ params["second"] / width**0.5

    params = {"first": first, "second": second}
    return lambda: tangent_kernel(f, params, x).block_until_ready(), lambda k: (
        k[0, 0, 0, 0],
        k[0, 0, 1, 0],
        k[7, 0, -1, 0],
    )


def vgg11():
    settings = problems.SETTINGS["vgg11"]
    x, filters, last = problems.vgg11(**settings)
    f = convolutional.vgg11(width=settings["width"], pooling=settings["pooling"])
    parts = [{"filters": jnp.asarray(w), "bias": jnp.zeros(w.shape[-1], jnp.float32)} for w in filters]
    output = {"weights": jnp.asarray(last), "bias": jnp.zeros(last.shape[1], jnp.float32)}
    params, x = {"convolutions": parts, "output": output}, jnp.asarray(x)
    return lambda: tangent_kernel(f, params, x).block_until_ready(), lambda k: (
        k[0, 0, 0, 0],
        k[0, 2, 1, 3],
        k[7, 4, -1, 4],
    )


def closed_forms():
    settings = problems.SETTINGS["closed forms"]
    x = jnp.asarray(problems.closed_forms(**settings))
    options = {name: settings[name] for name in ("depth", "sigma_w", "sigma_b")}
    return (
        lambda: jax.block_until_ready(infinite_width_kernels(x, **options)),
        lambda k: (k.nngp[0, 0], k.nngp[0, 1], k.ntk[0, 0], k.ntk[7, -1]),
    )


def predictions():
    settings = problems.SETTINGS["predictions"]
    x, y, test, times = map(jnp.asarray, problems.predictions(**settings))
    options = {name: settings[name] for name in ("depth", "sigma_w", "sigma_b")}

    def work():
        blocks = kernel_blocks(x, test, **options)
        return jax.block_until_ready(predict(blocks, y[:, 0], times, loss_factor=1 / x.shape[0]))

    return work, lambda p: (p.mean[3, 0], p.mean[12, 1], p.covariance[3, 0, 0], p.covariance[12, 0, 1])


TASKS = {"two-layer": two_layer, "vgg11": vgg11, "closed forms": closed_forms, "predictions": predictions}

if __name__ == "__main__":
    serve(TASKS, {name: version(name) for name in ("jax", "jaxlib", "equinox")})
