r"""Proved upper bounds of Lip(Dh), the Lipschitz constant of the differential, on balls around w0.

Dh is L-Lipschitz on a ball iff $\|D^2h\| \le L$ there (h twice differentiable). For a sum over neurons, $D^2h$ is
block-diagonal, so $\|D^2h\|$ is at most the largest bound of a block.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from lazy_course.models import ACTIVATIONS, AffineMap, BatchMap, Diagonal, TwoLayer

# sup |sigma'| and sup |sigma''| over the line: elementary calculus, and checked on a grid by a test.
SLOPES: dict[str, tuple[float, float]] = {
    "tanh": (1.0, 4 / (3 * 3**0.5)),
    "erf": (2 / np.pi**0.5, 2 * (2 / np.pi) ** 0.5 * np.exp(-0.5)),
    "sigmoid": (0.25, 1 / (6 * 3**0.5)),
    "softplus": (1.0, 0.25),
    "linear": (1.0, 0.0),
}


def lipschitz_of_differential(h: Callable[[PyTree], Array], params0: PyTree) -> Callable[[float], float]:
    r"""The function $r \mapsto L(r)$ with Dh L(r)-Lipschitz on the ball of radius r around $w_0$; it does not decrease.

    Proved for maps made by `as_map` (also under `centred` and `scaled`) from

    * `diagonal()`: $2 \max_j \|X_j\|$ over the columns of the data, exact, for every r;
    * `two_layer(activation, scale=c)` with n points in the rows of X:
      $\frac12 (\beta + \sqrt{\beta^2 + 4\gamma^2})$, $\gamma = c \sup|\sigma'| \|X\|$,
      $\beta = c \sup|\sigma''|\, \|X\| \max_i \|x_i\|\, (\max_j \|b_j\| + r)$, for an activation in `SLOPES`;
    * any network with a method `differential_lipschitz(params0, x, radius)`.

    Raises `ValueError` for any other model: give a constant that you have proved yourself. Source: this course.
    """
    if isinstance(h, AffineMap):
        inside = lipschitz_of_differential(h.inner, params0)
        return lambda radius: abs(float(h.factor)) * inside(radius)
    if isinstance(h, BatchMap):
        network = _of_network(h.f, params0, np.asarray(h.x))
        return lambda radius: abs(float(h.weight)) * network(radius)
    raise ValueError(f"h: no bound of Lip(Dh) is known for {type(h).__name__}; make h with as_map, or give lip_dh")


def _of_network(f: Callable[..., Array], params0: PyTree, x: np.ndarray) -> Callable[[float], float]:
    if isinstance(f, Diagonal):
        columns = 2 * float(np.max(np.linalg.norm(x, axis=0)))
        return lambda radius: columns
    if isinstance(f, TwoLayer):
        return _two_layer(f, params0, x)
    method = getattr(f, "differential_lipschitz", None)
    if method is not None:
        return lambda radius: float(method(params0, x, radius))
    raise ValueError(
        f"h: no bound of Lip(Dh) is known for {type(f).__name__}; give it a method "
        "differential_lipschitz(params0, x, radius), or pass a number as lip_dh"
    )


def _two_layer(f: TwoLayer, params0: PyTree, x: np.ndarray) -> Callable[[float], float]:
    r"""Per neuron, $\|D^2h[u, u]\| \le \beta \|a\|^2 + 2 \gamma \|a\| \|b\|$ for u = (a, b)."""
    slopes = next((SLOPES[name] for name in SLOPES if ACTIVATIONS[name] is f.activation), None)
    if slopes is None:
        raise ValueError(f"h: expected an activation in {sorted(SLOPES)} (twice differentiable), got another one")
    spread, longest = np.linalg.norm(x, 2), np.max(np.linalg.norm(x, axis=1))
    largest = float(jnp.max(jnp.linalg.norm(params0["output"], axis=0)))
    scale = abs(float(f.scale))

    def bound(radius: float) -> float:
        beta = scale * slopes[1] * spread * longest * (largest + radius)
        gamma = scale * slopes[0] * spread
        return float(0.5 * (beta + np.sqrt(beta**2 + 4 * gamma**2)))

    return bound
