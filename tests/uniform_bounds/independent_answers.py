"""Answers to the uniform-bounds problem set by other means than its solution: solvers, searches, sympy.

Each function is pasted by source into the exercise, where np, quad, solve_ivp and the instruments are at hand. Other
imports stand inside.
"""

import numpy as np
from scipy.integrate import quad


def turning_metric(p, q, omega):
    # Axes that turn at omega / 2 leave a constant matrix; its exponents are those of the metric.
    constant = np.array([[-(p + q), omega / 2], [-omega / 2, -(p - q)]])
    least = np.linalg.eigvalsh(np.diag([p + q, p - q]))[0]
    return np.array([least, -np.linalg.eigvals(constant).real.max()])


def kicked_residual(smooth, convex, angle):
    from scipy.optimize import minimize_scalar

    hessian = np.diag([smooth, convex])

    def growth(beta):
        n = np.array([np.cos(beta), np.sin(beta)])
        return np.linalg.norm(np.eye(2) - np.outer(n, hessian @ n) / (n @ hessian @ n), 2)

    best = minimize_scalar(
        lambda beta: -growth(beta), bounds=(0.0, np.pi / 2), method="bounded", options={"xatol": 1e-9}
    )
    return np.array([growth(angle), -best.fun])


def loss_constants(quadratic, weight, slope, radius):
    import jax
    import jax.numpy as jnp

    def loss(z):
        inside = slope * z
        return jnp.sum(0.5 * quadratic * z**2 + weight * (jnp.logaddexp(inside, -inside) - jnp.log(2.0)))

    def bends(reach):
        points = [jnp.full(quadratic.size, z) for z in (0.0, reach)]  # each entry is monotone in |z|
        return np.concatenate([np.diag(jax.hessian(loss)(point)) for point in points])

    everywhere, inside = bends(200.0), bends(radius)
    return np.array([everywhere.min(), everywhere.max(), inside.max() / inside.min()])


def false_step(s, c, theta):
    rims = [side * theta * abs(s / c) for side in (1, -1)]
    kernels = [(s + c * w) ** 2 for w in rims]
    least = int(np.argmin(kernels))
    return np.array([rims[least], kernels[least], s**2 - (c * rims[least]) ** 2])


def diagonal_certificate(X, plus, minus, target, smooth, convex):
    import jax.numpy as jnp

    from lazy_course import models
    from lazy_course.certificate import certificate
    from lazy_course.losses import square_loss

    class Loss:
        minimizer, smoothness, strong_convexity = target, smooth, convex

        def __call__(self, y):
            return convex * square_loss(target)(y)

    params = {"plus": jnp.asarray(plus), "minus": jnp.asarray(minus)}
    h = models.centred(models.as_map(models.diagonal(), jnp.asarray(X)), params)
    lip = max(np.linalg.norm(2 * X[:, j]) for j in range(X.shape[1]))
    made = certificate(h, params, Loss(), lip_dh=lip)
    return np.array([made.sigma_min, made.jacobian_norm, lip, made.C0, np.linalg.norm(target) / made.C0, made.rate])


def true_threshold(sigma, lip, distance, alpha):
    from scipy.optimize import brentq

    top = sigma / lip
    reached = sigma * top - lip * top**2 / 2
    limit = brentq(lambda w: alpha * (sigma * w - lip * w**2 / 2) - distance, 0.0, top, xtol=1e-15, rtol=1e-14)
    paper = distance * 32 * sigma * lip / sigma**3
    return np.array([distance / reached, paper, limit, (sigma - lip * limit) ** 2])


def no_exit(big, sigma, lip, distance, smooth, convex):
    a = convex * sigma**2 / 4
    far = (sigma - sigma / 2) / lip
    travel = quad(lambda t: 1.5 * big * smooth * (smooth / convex) ** 0.5 * distance * np.exp(-t), 0, np.inf)[0] / a
    return np.array([far, travel, travel / far])


def forcing(big, sigma, lip, distance, smooth, convex, alpha):
    from scipy.optimize import minimize_scalar

    a, kappa = convex * sigma**2 / 4, smooth / convex

    def product(t):
        moved = 6 * kappa**1.5 * big * distance / (sigma**2 * alpha) * -np.expm1(-a * t)
        return (1.5 * big + big) * lip * moved * smooth * kappa**0.5 * distance * np.exp(-a * t)

    k = alpha * product(1 / a) / (np.exp(-1) - np.exp(-2))
    least = minimize_scalar(lambda s: -np.log(product(s / a)), bracket=(0.1, 0.7, 3.0), tol=1e-9)
    return np.array([k, least.x / a, product(least.x / a)])


def output_gap(rate, k, sigma, alpha, t):
    def drive(s):
        return k / (sigma * alpha) * (np.exp(-rate * s) - np.exp(-2 * rate * s))

    def e(end):  # variation of constants
        return quad(lambda s: np.exp(-4 * rate * (end - s)) * drive(s), 0, end, epsabs=0, epsrel=1e-11)[0]

    total = quad(drive, 0, np.inf, epsabs=0, epsrel=1e-11)[0] / (4 * rate)  # integrate the equation itself
    return np.array([e(t), total, e(17 / rate) * np.exp(17)])


def parameter_gap(big, sigma, lip, distance, smooth, convex, alpha):
    from lazy_course.uniform_bounds import derivation as d

    numbers = {d.S: big, d.SIGMA: sigma, d.L: lip, d.D: distance, d.ALPHA: alpha, d.SMOOTH: smooth, d.CONVEX: convex}
    steps = (d.first_integral, d.second_integral, d.parameter_gap)
    return np.array([float(d.spelled(step().equation.rhs).subs(numbers)) for step in steps])


def cost_of_logarithm(level, crude, rate, alpha):
    from scipy.optimize import brentq

    split = brentq(lambda t: level / alpha - crude * np.exp(-rate * t), 0.0, 60 / rate, xtol=1e-13)

    def tail(start):
        return quad(lambda t: crude * np.exp(-rate * (t + start)), 0, 50 / rate)[0]

    paper = np.log(alpha) / rate
    return np.array([level / alpha * paper + tail(paper), split, level / alpha * split + tail(split)])


def crossing_limits(p, q, c, target):
    def gamma(s):
        return np.array([p * (s**2 - 1), q * s * (s**2 - 1)])

    slopes = {s: np.imag(gamma(s + 1e-20j)) / 1e-20 for s in (1, -1)}
    losses = []
    for slope in slopes.values():  # fit the target by the tangent line
        left = target - slope * np.linalg.lstsq(slope[:, None], target, rcond=None)[0]
        losses.append(0.5 * left @ left)
    return np.array([*losses, np.linalg.norm(np.outer(slopes[1], c), 2) ** 2])


def chosen_minimizer(A, B, target, alpha):
    from scipy.optimize import root

    def stationary(x):  # w = B^T x
        z = B @ B.T @ x
        return A.T @ (alpha * A @ (z + z**2 / 2) - target)

    found = root(stationary, np.zeros(B.shape[0]), tol=1e-13)
    return np.append(B.T @ found.x, B.shape[1] - np.linalg.matrix_rank(A @ B))


def singular_limit(target, epsilon, alpha):
    from fractions import Fraction

    one, two, small, scale = (Fraction(float(x)) for x in (*target, epsilon, alpha))
    first = one / scale
    flow, linear = two / scale / (small + first), two / scale / small
    leading = one * abs(two) / small**2
    gap_without = two / scale / first  # epsilon = 0; the linearized weight stays at 0
    return [float(x) for x in (flow, linear, leading, one / small, abs(gap_without))]
