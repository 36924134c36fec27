"""The question that the preliminaries solve in full, with the wrong first attempt that its self-check catches."""

import numpy as np
from jaxtyping import Float

Vector = Float[np.ndarray, " n"]

WEIGHTS = np.array([0.8, -0.5])
INPUTS = np.array([-1.0, 0.5, 2.0])
TARGETS = np.array([1.0, 0.0, -0.5])


def objective(weights: Float[np.ndarray, "2"], inputs: Vector, targets: Vector) -> float:
    """Return F(w) = (1/2n) sum_i (w1 exp(w2 x_i) - y_i)^2, as the question defines it."""
    outputs = weights[0] * np.exp(weights[1] * inputs)
    return float(np.mean((outputs - targets) ** 2) / 2)


def first_attempt(weights: Float[np.ndarray, "2"], inputs: Vector, targets: Vector) -> Float[np.ndarray, "2"]:
    residual = weights[0] * np.exp(weights[1] * inputs) - targets
    jacobian = np.stack([np.exp(weights[1] * inputs), weights[0] * inputs * np.exp(weights[1] * inputs)], axis=1)
    return jacobian.T @ residual


def answer(weights: Float[np.ndarray, "2"], inputs: Vector, targets: Vector) -> Float[np.ndarray, "2"]:
    residual = weights[0] * np.exp(weights[1] * inputs) - targets
    jacobian = np.stack([np.exp(weights[1] * inputs), weights[0] * inputs * np.exp(weights[1] * inputs)], axis=1)
    return jacobian.T @ residual / inputs.size


def central_differences(
    weights: Float[np.ndarray, "2"], inputs: Vector, targets: Vector, *, size: float = 1e-5
) -> Float[np.ndarray, "2"]:
    """Return (F(w + eps e_j) - F(w - eps e_j)) / (2 eps) for j = 1, 2: the gradient up to O(eps^2)."""
    steps = size * np.eye(2)
    return np.array(
        [
            (objective(weights + step, inputs, targets) - objective(weights - step, inputs, targets)) / (2 * size)
            for step in steps
        ]
    )
