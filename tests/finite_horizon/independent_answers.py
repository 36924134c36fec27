"""Answers to the finite-horizon problem set by other means than its solution: quadrature, exponentials of matrices,
integrated flows, automatic differentiation, searches.

Each function is pasted by source into the exercise, where np and quad are imported. Other imports stand inside.
"""

import numpy as np
from scipy.integrate import quad


def path_length(slope, target, alpha, horizon):
    def speed(t):
        residual = -target * np.exp(-np.dot(slope, slope) * t)
        return np.linalg.norm(np.asarray(slope) * residual / alpha)

    travelled = quad(speed, 0, horizon, epsabs=1e-13)[0]
    return np.array([travelled, np.sqrt(horizon * quad(lambda t: speed(t) ** 2, 0, horizon, epsabs=1e-13)[0])])


def energy_displacement(A, C, target, offset, alpha, w, horizon):
    import jax
    import jax.numpy as jnp

    def loss(y):
        return offset + jnp.sum(jnp.log(jnp.cosh(y - target)))

    def objective(v):
        return loss(alpha * (A @ v + 0.5 * C @ v**2)) / alpha**2

    speed = -jax.grad(objective)(jnp.asarray(w))
    rate = jax.jvp(objective, (jnp.asarray(w),), (speed,))[1]
    c = jnp.sqrt(horizon * (loss(jnp.zeros(len(target))) - loss(jnp.asarray(target))))
    return [float(rate), float(c) / alpha]


def two_balls(slope, bend, target, radius, alpha):
    # h = (|w + a/c|^2 - |a/c|^2) c / 2 depends on the distance to its centre -a/c, which runs over an interval
    from math import hypot

    centre = hypot(*slope) / bend

    def supremum(rho):
        distances = [max(centre - rho, 0.0), centre + rho]
        return max(abs(alpha * bend * (d**2 - centre**2) / 2 - target) for d in distances)

    lipschitz = bend * (centre + radius)
    return np.array([supremum(radius), supremum(radius / alpha), abs(0.0 - target) + lipschitz * radius])


def gronwall_constants(A, C, target, weight, radius, horizon):
    from scipy.optimize import minimize_scalar

    best = 0.0
    for u in np.eye(A.shape[1]):  # the maximum of a convex function over the l1 ball of u * u is at a corner
        best = max(best, np.sqrt(np.sum((C @ (u * u)) ** 2)))
    squared_norm = np.linalg.eigvalsh(A @ A.T).max()

    def hessian(z):
        return 1 + weight / np.cosh(z) ** 2

    smoothness = -minimize_scalar(lambda z: -hessian(z), bounds=(-1, 1), method="bounded", options={"xatol": 1e-9}).fun
    energy = sum(quad(lambda z: z + weight * np.tanh(z), 0, abs(one))[0] for one in target)
    lipschitz = squared_norm**0.5 + best * radius
    kernel_change = 2 * lipschitz * best * np.sqrt(horizon * energy)
    return np.array([best, lipschitz, kernel_change * np.sqrt(2 * smoothness * energy), smoothness * squared_norm])


def envelope(forcing, rate, alpha, horizon):
    # s = x^2 takes the root out of the integrand
    frozen = quad(lambda s: np.exp(rate * (horizon - s)) * np.sqrt(horizon), 0, horizon)[0]
    growing = quad(lambda x: np.exp(rate * (horizon - x**2)) * 2 * x**2, 0, np.sqrt(horizon))[0]
    return [forcing / alpha * frozen, forcing / alpha * growing]


def square_loss_bounds(lip_h, lip_dh, distance, radius, alpha, iterations):
    # all three inequalities as one linear system x' = N x, x = (1, displacement, output gap, parameter gap)
    from scipy.linalg import expm

    system = np.zeros((4, 4))
    system[1, 0] = lip_h * distance / alpha
    system[2, 1] = 2 * lip_h * lip_dh * distance
    system[3, 1], system[3, 2] = lip_dh * distance / alpha, lip_h / alpha
    reached = expm(system * iterations / lip_h**2)[:, 0]
    return np.array([reached[1] * alpha / radius, *reached[1:]])


def steps_and_time(lip_h, smoothness, alpha, horizon, samples, step_size, count):
    from lazy_course.descent import flow_time

    one_step = flow_time(1, 1 / (smoothness * lip_h**2))
    shrunk = float(one_step / flow_time(1, 1.0, loss_factor=alpha**2))
    mean_of_squares = 2 / samples * alpha**2
    return [
        float(horizon / one_step),
        shrunk,
        float(flow_time(count, step_size, loss_factor=mean_of_squares)),
    ]


def change_of_time(alpha, degree, time):
    # powers alone: u = beta w, and the speed of u is (beta^(m-1) / divisor) against (1 / alpha) for w
    beta = np.exp(np.log(alpha) / degree)
    speed_of_u = beta ** (degree - 1)
    clock = beta * (1 / alpha) / speed_of_u * time
    return np.array([beta, clock * alpha**2, clock])


def first_correction(a, b, c, target, time):
    from scipy.integrate import solve_ivp

    def right(t, v):
        v0 = np.array([target / a * (1 - np.exp(-(a**2) * t)), 0.0])
        second = np.array([[b, c], [c, 0.0]])  # of the one output
        jacobian, slope = np.array([a, 0.0]), a * v0[0] - target
        return -jacobian * (jacobian @ v + v0 @ second @ v0 / 2) - second @ v0 * slope

    v = solve_ivp(right, (0, time), np.zeros(2), rtol=1e-10, atol=1e-12, method="DOP853").y[:, -1]
    v01 = target / a * (1 - np.exp(-(a**2) * time))
    return np.array([*v, a * v[0] + b * v01**2 / 2])


def two_limits(a, b, target, horizon):
    from scipy.optimize import brentq

    # alpha = 1: the second weight of the point of rest does not depend on alpha
    first = brentq(lambda w: a * w - target[0], 0.0, 50.0, xtol=1e-14)
    second = brentq(lambda w: b * first * w - target[1], -50.0, 50.0, xtol=1e-14)
    pushed = quad(lambda t: b * target[0] / a * (1 - np.exp(-(a**2) * t)) * target[1], 0, horizon)[0]
    return [abs(second), abs(pushed)]


def small_first_output(beta):
    # powers of alpha of the first residual, divided by alpha; then the quadratic remainder
    residual = max(1 - beta, 0.0)
    displacement = residual - 1
    return [displacement, 2 * displacement, 1 + 2 * displacement]
