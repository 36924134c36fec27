"""Truth and tightness of the square-loss bounds on drawn problems."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from lazy_course.finite_horizon import bounds, cases
from lazy_course.finite_horizon.bounds import Constants
from lazy_course.finite_horizon.cases import Problem
from lazy_course.finite_horizon.numerics import Measured, measure
from lazy_course.models import AnyKey, RealArray


class Draws(eqx.Module):
    """Drawn problems, measured, and the bounds at the same times; every ratio should be at most 1."""

    iterations: Float[RealArray, " N"]
    measured: Measured
    bounds: Mapping[str, Float[RealArray, "N T"]]

    def ratios(self) -> dict[str, Float[RealArray, "N T"]]:
        """Measured over bound at every time but 0, for each bound by name."""
        values = {"travel": self.measured.travel, "output": self.measured.output_gap}
        values["parameter"] = self.measured.parameter_gap
        return {name: values[name.split()[-1]][:, 1:] / bound[:, 1:] for name, bound in self.bounds.items()}


@eqx.filter_jit
def _draw(make: Callable[..., Problem], lipschitz: Callable[..., Array], keys: Array) -> Any:
    def one(key: Array) -> Any:
        key_problem, key_rest = jax.random.split(key)
        problem = make(key_problem)
        for_k, for_radius, for_alpha = jax.random.uniform(key_rest, (3,))
        k, radius = 10.0 ** (3 * for_k - 2), 10.0 ** (2 * for_radius - 2)
        c = cases.constants(problem, lipschitz(problem, radius), radius)
        # From the least alpha that Theorem 2.3 allows (its condition an equality) to 100 times that.
        slack = 10.0 ** jnp.maximum(0.0, 2.5 * for_alpha - 0.5)
        return problem, c, k, slack * bounds.required_alpha(c, k / c.lipschitz**2)

    return eqx.filter_vmap(one)(keys)


def drawn(key: AnyKey, make: Callable[..., Problem], lipschitz: Callable[..., Array], *, count: int = 208) -> Draws:
    r"""Draw `count` problems with data, K in [0.01, 10], radius and alpha, for the square loss; measure and bound them.

    `make(key)` draws a `Problem`, `lipschitz(problem, radius)` certifies Lip(Dh) on the ball. alpha is at least
    $K D/(r \ell)$, the condition of Theorem 2.3, and equal to it in a fifth of the cases.
    """
    problems, c, k, alphas = _draw(make, lipschitz, jax.random.split(key, count))
    run = measure(problems, np.asarray(alphas), np.asarray(k / c.lipschitz**2))
    column = Constants(*(np.asarray(entry)[:, None] for entry in c))
    promised = {
        "travel": bounds.square_travel_bound,
        "energy travel": bounds.travel_bound,
        "output": bounds.square_output_bound,
        "sharper output": bounds.sharper_output_bound,
        "convex output": bounds.convex_output_bound,
        "parameter": bounds.square_parameter_bound,
        "contraction parameter": bounds.contraction_parameter_bound,
        "sharper parameter": bounds.sharper_parameter_bound,
    }
    with np.errstate(divide="ignore"):
        values = {name: np.asarray(bound(column, run.times)) for name, bound in promised.items()}
    return Draws(iterations=np.asarray(k), measured=run, bounds=values)
