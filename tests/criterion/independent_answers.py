"""Answers to the criterion problem set by other means than its solution: automatic differentiation, searches, roots.

Each function is pasted by source into the exercise, where jax, jnp and np are imported. Other imports stand inside.
"""

import jax
import jax.numpy as jnp
import numpy as np


def relative_change_objective(A, C, target, w, eta):
    def objective(v):
        return 0.5 * jnp.sum((A @ v + 0.5 * C @ v**2 - target) ** 2)

    gradient = jax.grad(objective)(jnp.asarray(w))
    slope = jax.grad(lambda step: objective(w - step * gradient))(0.0)
    return abs(float(slope)) * eta / float(objective(w))


def relative_change_differential(A, C, target, w, eta):
    def outputs(v):
        return A @ v + 0.5 * C @ v**2

    def objective(v):
        return 0.5 * jnp.sum((outputs(v) - target) ** 2)

    gradient = jax.grad(objective)(jnp.asarray(w))
    before, change = jax.jvp(jax.jacobian(outputs), (jnp.asarray(w),), (gradient,))
    second = np.asarray(jax.hessian(outputs)(jnp.asarray(w)))
    rng, curvature = np.random.default_rng(5), 0.0
    for _ in range(30):
        u = rng.normal(size=w.size)
        for _ in range(30):
            g = np.einsum("kij,i,j->k", second, u, u)
            values, vectors = np.linalg.eigh(np.einsum("k,kij->ij", g / np.linalg.norm(g), second))
            u = vectors[:, np.abs(values).argmax()]
        curvature = max(curvature, np.linalg.norm(np.einsum("kij,i,j->k", second, u, u)))
    scale = eta / np.linalg.norm(before, 2)
    return [float(scale * np.linalg.norm(change, 2)), float(scale * np.linalg.norm(gradient) * curvature)]


def lazy_budget(A, C, target, w, decrease):
    def outputs(v):
        return A @ v + 0.5 * C @ v**2

    def objective(v):
        return jnp.sum(jnp.log(jnp.cosh(outputs(v) - target)))

    value, gradient = jax.value_and_grad(objective)(jnp.asarray(w))
    eta = decrease * value / jnp.vdot(gradient, gradient)
    before, change = jax.jvp(jax.jacobian(outputs), (jnp.asarray(w),), (-eta * gradient,))
    second = jax.hessian(outputs)(jnp.asarray(w))
    corners = [float(jnp.linalg.norm(second[:, i, i])) for i in range(w.size)]
    norm = np.linalg.norm(before, 2)
    bound = eta * np.linalg.norm(gradient) * max(corners) / norm
    return np.array([float(eta), np.linalg.norm(change, 2) / norm, float(bound)])


def misled_model(a, rho, kappa, ratio):
    from scipy.optimize import fsolve

    def off(logs):
        b, c = np.exp(logs)
        left = b * rho / (0.5 * rho**2)
        right = c / max(a, b)
        return np.log([rho * c / max(a, b) ** 2 / kappa, right / left / ratio])

    return np.exp(fsolve(off, [np.log(a * kappa / ratio), 0.0], xtol=1e-10))


def lazy_with_large_kappa(a, b, rho, kappa):
    def objective(x, c):  # beside the start, at w = (0, x): a polynomial of degree four in x
        return 0.5 * ((0.5 * c * x**2 - rho) ** 2 + (b * x) ** 2)

    def second_derivative(c, step=0.05):  # the five-point formula is exact for degree four
        values = [objective(k * step, c) for k in (-2, -1, 0, 1, 2)]
        return float(np.dot([-1, 16, -30, 16, -1], values) / (12 * step**2))

    size = kappa * max(a, b) ** 2 / rho
    return np.array(next((c, second_derivative(c)) for c in (size, -size) if second_derivative(c) > 0))


def scaled_kappa(alpha, output, target, differential_norm, curvature_norm):
    residual = [alpha * one - other for one, other in zip(output, target, strict=True)]
    first, second = alpha * differential_norm, alpha * curvature_norm
    return sum(r**2 for r in residual) ** 0.5 * second / first**2


def nonzero_output(output, target, differential_norm, curvature_norm):
    from scipy.optimize import brentq

    def squared(log_alpha):  # of kappa of alpha h
        alpha = jnp.exp(log_alpha)
        return jnp.sum((alpha * output - target) ** 2) * (curvature_norm / (alpha * differential_norm**2)) ** 2

    def excess(log_alpha):  # over the centred model
        alpha = jnp.exp(log_alpha)
        return jnp.log(jnp.sum((alpha * output - target) ** 2) / jnp.sum(target**2))

    best = brentq(jax.grad(lambda x: jnp.log(squared(x))), -12.0, 12.0, xtol=1e-12)
    lowest = np.log(np.dot(output, target) / np.dot(output, output))  # the residual is smallest here
    crossing = brentq(excess, lowest, 20.0, xtol=1e-12)
    limit = np.linalg.norm(output) * curvature_norm / differential_norm**2
    return np.array([limit, np.exp(best), np.exp(crossing)])


def rescaled_layers(output, factors, s):
    signal = factors[0]  # a network with one neuron a layer and weights 1 has output 1
    for factor in factors[1:]:
        signal = factor * signal**s
    return signal * output


def homogeneous_kappa(lam, q, output, target, differential_norm, curvature_norm):
    def monomial(x):
        return x**q

    growth = jax.grad(monomial)(lam) / jax.grad(monomial)(1.0)
    bend = jax.grad(jax.grad(monomial))(lam) / jax.grad(jax.grad(monomial))(1.0)
    first, second = float(growth) * differential_norm, float(bend) * curvature_norm
    return [first, second, float(np.linalg.norm(monomial(lam) * output - target)) * second / first**2]


def network_kappa(input_weights, output_weights, inputs, target, alpha):
    m, d = input_weights.shape
    value, jacobian, curvature = np.zeros(2), np.zeros((2, m, d + 1)), 0.0
    angles = np.linspace(0, np.pi, 500)
    for j in range(m):  # neurons do not interact in D2h: one block each
        hessians = np.zeros((2, d + 1, d + 1))
        for i, x in enumerate(inputs):
            t, b = np.tanh(input_weights[j] @ x), output_weights[j]
            value[i] += alpha * b * t
            jacobian[i, j] = alpha * np.append(b * (1 - t**2) * x, t)
            hessians[i, :d, :d] = -2 * b * t * (1 - t**2) * np.outer(x, x)
            hessians[i, :d, d] = hessians[i, d, :d] = (1 - t**2) * x
        for angle in angles:
            mixed = np.cos(angle) * hessians[0] + np.sin(angle) * hessians[1]
            curvature = max(curvature, alpha * np.abs(np.linalg.eigvalsh(mixed)).max())
    return np.linalg.norm(value - target) * curvature / np.linalg.norm(jacobian.reshape(2, -1), 2) ** 2


def width_exponents(a):
    output = -a + 0.5  # the central limit theorem
    squared_differential = -2 * a + 1  # the law of large numbers
    curvature = -a  # a maximum of bounded blocks
    residual = output if output > 0 else 0.0
    return [
        output,
        squared_differential / 2,
        curvature,
        residual + curvature - squared_differential,
        curvature - squared_differential,
    ]


def coin_network(m, alpha, target, level):
    from scipy.stats import binom

    exceeding = 0.0
    for ones in range(m + 1):
        output = alpha * (ones * 0.5 - (m - ones) * 0.5)
        squared_differential = ones * (2 * alpha) ** 2
        if abs(output - target) * 2 * alpha > level * squared_differential:
            exceeding += binom.pmf(ones, m, 0.5)
    return np.array([binom.pmf(0, m, 0.5), exceeding])
