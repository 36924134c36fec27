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

        parts = jax.jit(jax.jacobian(f, argnums=(0, 1)))(tau * jnp.asarray(inputs), tau * jnp.asarray(outputs))
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
    # r is the sine of the angle between x and the complement of the plane, and that angle s has a density.
    s = np.pi / 4 * (nodes + 1)
    length = 1.0 if d == 2 else (d - 2) * np.pi / 4 * np.sum(weights * np.sin(s) ** 2 * np.cos(s) ** (d - 3))

    def sector(a, b):
        """Where both are positive on the circle of their plane: its axes, unit vectors there, weights that add to 1."""
        basis = np.linalg.qr(np.stack([a, b], axis=1))[0]
        one, two = (np.arctan2(*(basis.T @ v)[::-1]) for v in (a, b))
        gap = (two - one + np.pi) % (2 * np.pi) - np.pi
        low, high = max(one, one + gap) - np.pi / 2, min(one, one + gap) + np.pi / 2
        turns = (high + low) / 2 + (high - low) / 2 * nodes
        return basis, basis @ np.stack([np.cos(turns), np.sin(turns)]), weights * (high - low) / (4 * np.pi)

    def moment(a, b):
        """E x x^T over the two half spaces: a sum over the angles of the sector, and the axes across the plane."""
        if abs(a @ b) > 1 - 1e-12:
            return np.eye(d) / (2 * d)
        basis, plane, share = sector(a, b)
        return 2 / d * (plane * share) @ plane.T + np.sum(share) / d * (np.eye(d) - basis @ basis.T)

    def gates(a, b):
        return 0.5 if abs(a @ b) > 1 - 1e-12 else np.sum(sector(a, b)[2])

    def side(a, b):
        """E max(<b, x>, 0) over the half space of a."""
        _, plane, share = sector(a, b)
        return length * b @ plane @ share

    among = np.array([[moment(a, b) for b in np.concatenate([inputs, teacher_inputs])] for a in inputs])
    second = [[s @ moment(s, t) @ t for t in teacher_inputs] for s in teacher_inputs]
    whole = teacher_outputs @ np.array(second) @ teacher_outputs
    sides = np.array([[gates(a, b) for b in inputs] for a in inputs])
    signs = np.array([[side(a, b) for b in teacher_inputs] for a in inputs]) @ teacher_outputs
    right = np.einsum("jkab,kb,k->ja", among[:, m:], teacher_inputs, teacher_outputs)
    gram = np.einsum("jkab->jakb", among[:, :m])
    relu = np.einsum("ja,jakb,kb->jk", inputs, gram, inputs)
    small, large, gram = np.einsum("ja,ja->j", inputs, right), right.ravel(), gram.reshape(m * d, m * d)
    pairs = ((sides, signs), (relu, small), (gram, large))
    return [(whole - products @ np.linalg.solve(matrix, products)) / 2 for matrix, products in pairs]
