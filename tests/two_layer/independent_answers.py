"""Answers to the problem set by other means than its solution: one sample, automatic differentiation, kernels, sums
over angles.

Each function is pasted by source into the exercise, where np is imported. Other imports stand inside.
"""

import numpy as np


def other_units(tau, step, loss, s, c):
    from scipy.optimize import brentq

    b, a, x, y = 0.7, 1.1, 0.9, 0.4  # one neuron, one sample
    factor = brentq(lambda f: (f * a) * (f * b) * s * x - c * a * b * x, 1e-3, 1e3)
    old = (a * b * x - y) * b * x
    new = (factor**2 * a * b * s * x - c * y) * factor * b * s * x
    ratio = ((factor**2 * a * b * s * x - c * y) / (a * b * x - y)) ** 2
    return [factor * tau, factor * step * old / new, ratio * loss]


def linearized_losses(inputs, outputs, tau, x, y, x_test, y_test, step, steps):
    import jax
    import jax.numpy as jnp

    def rows(points):
        def f(b, a):
            return jnp.maximum(points @ b.T, 0) @ a

        parts = jax.jacobian(f, argnums=(0, 1))(tau * jnp.asarray(inputs), tau * jnp.asarray(outputs))
        return np.hstack([np.asarray(part).reshape(len(points), -1) for part in parts])

    train, test = rows(x), rows(x_test)
    own, cross = train @ train.T / len(y), test @ train.T / len(y)
    left, seen = -y, np.zeros(len(y_test))
    for _ in range(steps):
        left, seen = left - step * own @ left, seen - step * cross @ left
    values, vectors = np.linalg.eigh(own)
    kept = vectors[:, values > 1e-12 * values[-1]]
    limit = cross @ (kept @ ((kept.T @ y) / values[values > 1e-12 * values[-1]]))
    return [np.mean(left**2) / 2, np.mean((seen - y_test) ** 2) / 2, np.mean((limit - y_test) ** 2) / 2]


def criterion_turns(inputs, outputs, x, y, level):
    from scipy.optimize import brentq

    gates = 1.0 * (x @ inputs.T > 0)

    def first(tau):
        gated, hidden = tau * outputs * gates, tau * gates * (x @ inputs.T)
        return np.sqrt(np.linalg.eigvalsh((x @ x.T) * (gated @ gated.T) + hidden @ hidden.T)[-1])

    second = np.sqrt(max(np.linalg.eigvalsh((x.T * gate) @ x)[-1] for gate in gates.T))
    size = np.sqrt(np.sum(y**2))
    turn = brentq(lambda tau: np.log(size * second / first(tau) ** 2 / level), 1e-6, 1e6, xtol=1e-14, rtol=1e-14)
    return [second, first(1.0), turn]


def loss_turns(inputs, outputs, x, y, x_test, y_test, taus, steps):
    import jax
    import jax.numpy as jnp

    def loss(weights, points, wanted):
        return jnp.mean((jnp.maximum(points @ weights[0].T, 0) @ weights[1] - wanted) ** 2) / 2

    @jax.jit
    def ended(tau):
        step = jnp.minimum(3.0, 0.12 / tau**2)

        def move(i, weights):
            return jax.tree.map(lambda w, g: w - step * g, weights, jax.grad(loss)(weights, x, y))

        start = (tau * jnp.asarray(inputs), tau * jnp.asarray(outputs))
        return loss(jax.lax.fori_loop(0, steps, move, start), x_test, y_test)

    losses = np.array([float(ended(tau)) for tau in taus])
    half, fine = (losses[0] + losses[-1]) / 2, np.linspace(np.log(taus[0]), np.log(taus[-1]), 1_000_001)
    first = fine[np.argmax(np.interp(fine, np.log(taus), losses) > half)]
    return [losses[0], losses[-1], np.exp(first)]


def still_neurons(inputs, teacher_inputs, teacher_outputs):
    nodes, weights = np.polynomial.legendre.leggauss(40)
    m, d = inputs.shape

    def moment(a, b):
        """E x x^T over the two half spaces: a sum over the angles of the sector, and the axes across the plane."""
        basis = np.linalg.qr(np.stack([a, b], axis=1))[0] if abs(a @ b) < 1 - 1e-12 else np.linalg.qr(a[:, None])[0]
        if basis.shape[1] == 1:
            return np.eye(d) / (2 * d)
        one, two = (np.arctan2(*(basis.T @ v)[::-1]) for v in (a, b))
        gap = (two - one + np.pi) % (2 * np.pi) - np.pi
        low, high = max(one, one + gap) - np.pi / 2, min(one, one + gap) + np.pi / 2
        turns = (high + low) / 2 + (high - low) / 2 * nodes
        plane = basis @ np.stack([np.cos(turns), np.sin(turns)])
        inside = 2 / d * (plane * (weights * (high - low) / 2 / (2 * np.pi))) @ plane.T
        return inside + (high - low) / (2 * np.pi * d) * (np.eye(d) - basis @ basis.T)

    among = np.array([[moment(a, b) for b in np.concatenate([inputs, teacher_inputs])] for a in inputs])
    second = [[s @ moment(s, t) @ t for t in teacher_inputs] for s in teacher_inputs]
    whole = teacher_outputs @ np.array(second) @ teacher_outputs
    right = np.einsum("jkab,kb,k->ja", among[:, m:], teacher_inputs, teacher_outputs)
    gram = np.einsum("jkab->jakb", among[:, :m])
    relu = np.einsum("ja,jakb,kb->jk", inputs, gram, inputs)
    small, large = np.einsum("ja,ja->j", inputs, right), right.ravel()
    explained = [small @ np.linalg.solve(relu, small), large @ np.linalg.solve(gram.reshape(m * d, m * d), large)]
    return [(whole - share) / 2 for share in explained]
