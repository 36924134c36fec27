"""Answers to the ntk problem set by other means than its solution: conditional expectations and quadrature, automatic
differentiation, exponentials of matrices, searches.

Each function is pasted by source into the exercise, where np and erf are imported. Other imports stand inside.
"""

import numpy as np
from scipy.special import erf


def gaussian_integrals(slope, a, b, c):
    from scipy.integrate import quad

    # v given u is normal with mean u c / a: both integrals become one-dimensional, with a kink at 0
    left_over = b - c**2 / a
    if left_over < 1e-12 * b:
        # v is a multiple of u. Alike in sign: both above 0 or both below. Opposite: always one of the two below.
        return np.array([np.sign(c) * np.sqrt(a * b), 1.0]) * ((1 + slope**2) / 2 if c > 0 else slope)
    sigma = np.sqrt(left_over)

    def above(mean):  # the probability that v > 0
        return (1 + erf(mean / sigma / np.sqrt(2))) / 2

    def value(u):
        mean = u * c / a
        bump = sigma * np.exp(-((mean / sigma) ** 2) / 2) / np.sqrt(2 * np.pi)
        return (u if u > 0 else slope * u) * (mean * (above(mean) + slope * above(-mean)) + (1 - slope) * bump)

    def sloped(u):
        mean = u * c / a
        return (1.0 if u > 0 else slope) * (above(mean) + slope * above(-mean))

    def expected(g):
        def weighted(z):
            return g(np.sqrt(a) * z) * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

        return sum(quad(weighted, low, high, epsabs=1e-12)[0] for low, high in ((-12, 0), (0, 12)))

    return [expected(value), expected(sloped)]


def one_layer_more(nngp, ntk, sigma_w, sigma_b):
    def mean_of_erf(a, b, c):
        return 2 / np.pi * np.arcsin(2 * c / np.sqrt((1 + 2 * a) * (1 + 2 * b)))

    n = len(nngp)
    result = np.zeros((2, n, n))
    for i in range(n):
        for j in range(n):
            stepped = mean_of_erf(nngp[i, i], nngp[j, j], nngp[i, j] + 1e-20j)
            result[0, i, j] = sigma_b**2 + sigma_w**2 * stepped.real
            result[1, i, j] = result[0, i, j] + sigma_w**2 * stepped.imag / 1e-20 * ntk[i, j]
    return result


def kernel_by_hand(x1, x2, frequency, input_variance, output_variance):
    # E cos and E sin of sums and differences, from the characteristic function of a Gaussian
    def mean_cos(vector):
        return np.exp(-(frequency**2) * input_variance * (vector @ vector) / 2)

    inner, outer = np.zeros((len(x1), len(x2))), np.zeros((len(x1), len(x2)))
    for i, x in enumerate(x1):
        for j, other in enumerate(x2):
            sines = (mean_cos(x - other) - mean_cos(x + other)) / 2
            cosines = (mean_cos(x - other) + mean_cos(x + other)) / 2
            outer[i, j] = sines + cosines
            inner[i, j] = output_variance * (x @ other) * frequency**2 * (cosines + sines)
    return np.array([inner, outer])


def finite_kernel(x1, x2, a, e, b):
    import jax
    import jax.numpy as jnp

    def network(weights, x):
        a, e, b, g = weights
        return jnp.tanh(x @ a.T + e[None, :]) @ b / jnp.sqrt(b.size) + g

    weights = (jnp.asarray(a), jnp.asarray(e), jnp.asarray(b), jnp.zeros(()))
    rows = []
    for x in (x1, x2):
        blocks = jax.jacobian(network)(weights, jnp.asarray(x))
        rows.append(np.hstack([np.asarray(block).reshape(len(x), -1) for block in blocks]))
    return rows[0] @ rows[1].T


def how_wide(x, other, width, share):
    # the kernel of one neuron is a polynomial in two normal numbers: Gauss-Hermite sums are exact
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    weights = weights / weights.sum()
    c = x @ other
    u = np.linalg.norm(x) * nodes[:, None]
    v = c / np.linalg.norm(x) * nodes[:, None] + np.sqrt(max(other @ other - c**2 / (x @ x), 0)) * nodes[None, :]
    kernel = (u * v) ** 2 + (2 * u) * (2 * v) * c
    mean = weights @ kernel @ weights
    variance = weights @ (kernel - mean) ** 2 @ weights
    return np.array([mean, (variance / width) ** 0.5, variance / mean**2 / share**2])


def weights_in_time(jacobian, f0, y, loss_factor, time):
    from scipy.linalg import expm

    p = jacobian.shape[1]
    system = np.zeros((p + 1, p + 1))  # (omega, 1)
    system[:p, :p] = -loss_factor * jacobian.T @ jacobian
    system[:p, p] = -loss_factor * jacobian.T @ (f0 - y)
    return [expm(system * time)[:p, p], np.linalg.lstsq(jacobian, y - f0, rcond=1e-6)[0]]


def what_the_start_leaves(jacobian, jacobian_test, f0, f0_test, y):
    def trained(first, first_test):
        omega = np.linalg.lstsq(jacobian, y - first, rcond=None)[0]
        return first_test + jacobian_test @ omega

    return [trained(f0, f0_test), trained(0 * f0, 0 * f0_test)]


def two_step_limits(kernel, loss_factor, step_size):
    from scipy.optimize import brentq, minimize_scalar

    def norm(step):
        return np.linalg.norm(np.eye(len(kernel)) - step * loss_factor * kernel, 2)

    far = 3 / (loss_factor * np.trace(kernel) / len(kernel))
    best = minimize_scalar(norm, bounds=(0, far), method="bounded", options={"xatol": 1e-11})
    limit = brentq(lambda step: norm(step) - 1, best.x, 10 * far, xtol=1e-13)
    return np.array([limit, best.x, best.fun, norm(step_size)])


def ensemble(ntk, nngp, ntk_test, nngp_test, nngp_twice, y, loss_factor, time):
    from scipy.linalg import expm

    n, q = len(y), len(ntk_test)
    system = np.zeros((n + q, n + q))
    system[:, :n] = -loss_factor * np.vstack([ntk, ntk_test])
    flow = expm(system * time)  # of f - y and f_star
    joint = np.block([[nngp, nngp_test.T], [nngp_test, nngp_twice]])
    mean = flow @ np.concatenate([-y, np.zeros(q)])
    return np.column_stack([mean[n:], (flow @ joint @ flow.T)[n:, n:]])


def read_out(nngp, nngp_test, nngp_twice, loss_factor, time):
    from scipy.linalg import expm

    half, whole = expm(-loss_factor * nngp * time), expm(-2 * loss_factor * nngp * time)
    solved = np.linalg.inv(nngp) @ nngp_test
    return [nngp_twice - nngp_test @ solved + solved @ whole @ nngp_test, solved @ (half - whole) @ nngp_test]


def moving_kernel(least, drift, first):
    from scipy.optimize import minimize_scalar

    def largest(curve):
        found = minimize_scalar(
            lambda t: -curve(t), bounds=(0, 5 / (least - drift)), method="bounded", options={"xatol": 1e-13}
        )
        return -found.fun, found.x

    quick, _ = largest(lambda t: drift * first * t * np.exp(drift * t) * np.exp(-least * t))
    # the 1 x 1 example: a kernel that is least - drift from the first moment on
    slow, when = largest(lambda t: first * np.exp(-(least - drift) * t) - first * np.exp(-least * t))
    return np.array([quick, slow, when])
