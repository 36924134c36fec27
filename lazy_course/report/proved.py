"""What the theorems of the course prove about a model, for a report."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from lazy_course import lipschitz, models
from lazy_course.report.record import Certified

ENTRIES = 2**24  # of the Jacobian, which the certificate forms in double precision


def certify(h: models.BatchMap, params: PyTree, loss: Any, alpha: float, lip_dh: Any) -> tuple[Certified | None, str]:
    r"""The certificate of Theorem 2.4 and of the path-length theorem at alpha, or None and why there is none.

    With $E = \sqrt{2(R(\alpha h(w_0)) - R(y^\star))/m}$, $\alpha_1 = 2LE/\sigma^2$ and
    $\omega = \sqrt{1 - \alpha_1/\alpha}$, the path-length theorem bounds, for all times,
    $\|w - w_0\| \le \frac{2}{1+\omega}\frac{E}{\sigma\alpha}$,
    $\|y - \bar y\| \le \frac{2}{\omega(1+\omega)}\frac{\chi LE^2}{\sigma^2\alpha}$ and
    $\|w - \bar w\| \le \frac{2(1+2\omega)}{\omega(1+\omega)^2}\frac{LE^2}{\sigma^3\alpha^2}$, if $\alpha > \alpha_1$.
    """
    if not all(hasattr(loss, name) for name in ("smoothness", "strong_convexity", "minimizer")):
        return None, "the loss does not give its constants (smoothness, strong_convexity, minimizer)"
    plain = models.as_map(getattr(h.f, "f", h.f), h.x)
    if lip_dh is None:
        try:
            lip_dh = lipschitz.lipschitz_of_differential(plain, params)
        except ValueError:
            return None, "no Lipschitz constant of Dh is known for this model; if you can prove one, give it as lip_dh"
    size = sum(leaf.size for leaf in jax.tree.leaves(params))
    n = jax.eval_shape(plain, params).size
    if n * size > ENTRIES:
        return None, f"the certificate forms the Jacobian, and {n} x {size} numbers are more than {ENTRIES}"
    from lazy_course.certificate import certificate  # its root finder is slow to import

    found = certificate(plain, params, loss, lip_dh=lip_dh)
    start = alpha * plain(params)
    excess = float(loss(start) - loss(jnp.asarray(loss.minimizer)))
    energy = float(np.sqrt(2 * max(excess, 0.0) / found.strong_convexity))
    displacement, outputs, parameters = _bounds(found, alpha, energy)
    distance = float(jnp.linalg.norm(start - loss.minimizer))
    threshold = 2 * found.lip_dh * energy / found.sigma_min**2 if found.sigma_min > 0 else np.inf
    applies = alpha > threshold
    reason = found.reason
    if found.sigma_min > 0:
        reason = f"the path-length theorem needs alpha > {threshold:.3g} for this start"
        if not np.isfinite(found.path_threshold):
            reason += ", and that grows with alpha, since h(w0) is not 0: subtract it, or double the neurons"
    return Certified(
        lip_dh=found.lip_dh,
        threshold_24=found.alpha_threshold,
        threshold_path=found.path_threshold,
        applies_24=bool(found.applies and alpha > found.alpha_threshold),
        applies_path=bool(applies),
        displacement=displacement,
        output_gap=None if outputs is None else outputs / distance if distance > 0 else 0.0,
        parameter_gap=parameters,
        reason=reason,
    ), ""


def _bounds(found: Any, alpha: float, energy: float) -> tuple[float | None, float | None, float | None]:
    sigma, lip = found.sigma_min, found.lip_dh
    if sigma == 0 or alpha * sigma**2 <= 2 * lip * energy:
        return None, None, None
    w = float(np.sqrt(1 - 2 * lip * energy / (sigma**2 * alpha)))
    chi = found.jacobian_norm / sigma
    return (
        2 / (1 + w) * energy / (sigma * alpha),
        2 / (w * (1 + w)) * chi * lip * energy**2 / (sigma**2 * alpha),
        2 * (1 + 2 * w) / (w * (1 + w) ** 2) * lip * energy**2 / (sigma**3 * alpha**2),
    )
