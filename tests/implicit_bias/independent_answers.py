"""Answers to the implicit-bias problem set by other means than its solution: automatic differentiation, exponentials
of matrices, quadrature, many digits, enumeration of supports.

Each function is pasted by source into the exercise, where np, quad, brentq and linprog are imported. Other imports
stand inside.
"""

import numpy as np
from scipy.integrate import quad
from scipy.optimize import brentq


def weights_in_time(X, y, weights, start, total):
    import jax
    from scipy.linalg import expm

    d = X.shape[1]

    def loss(w):
        return ((X @ (w[:d] ** 2 - w[d:] ** 2) - y) ** 2).sum()

    # a residual that is constant over one unit of time has the integral `total`
    rates = np.concatenate([-2 * total @ X, 2 * total @ X])
    return [-np.asarray(jax.grad(loss)(weights)), expm(np.diag(rates)) @ start]


def predictor_in_time(X, y, alpha, total, beta):
    pulls = np.array([sum(total[n] * X[n, i] for n in range(y.size)) for i in range(beta.size)])
    first = alpha**2 * (np.exp(-4 * pulls) - np.exp(4 * pulls))
    # the squares of the weights from their difference and their product: the roots of s^2 - beta s - alpha^4
    speeds = []
    for i, one in enumerate(beta):
        high, low = max(np.roots([1, -one, -(alpha**4)])), min(np.roots([1, -one, -(alpha**4)]))
        slope = 2 * sum(X[n, i] * (X[n] @ beta - y[n]) for n in range(y.size))
        speeds.append(-4 * slope * (high - low))
    return np.array([first, speeds])


def potential(X, y, alpha, beta):
    from scipy.linalg import null_space

    value = sum(quad(lambda u: np.arcsinh(u / 2), 0, one / alpha**2, epsabs=1e-12)[0] for one in beta)
    slope = np.log((beta + np.sqrt(beta**2 + 4 * alpha**4)) / (2 * alpha**2)) / alpha**2
    return np.array([value, np.linalg.norm(null_space(X).T @ slope), np.sqrt(((X @ beta - y) ** 2).sum())])


def two_rates(X, alpha, beta):
    def rate(predictor):
        minus = np.sqrt((np.sqrt(predictor**2 + 4 * alpha**4) - predictor) / 2)
        plus = alpha**2 / minus
        jacobian = 2 * np.hstack([X * plus, -X * minus])
        return 4 * np.linalg.svd(jacobian, compute_uv=False)[-1] ** 2

    return [rate(0 * beta), rate(beta)]


def large_start(X, y):
    from scipy.linalg import null_space, qr, solve_triangular

    q, r = qr(X.T, mode="economic")
    least = q @ solve_triangular(r, y, trans="T")
    free = null_space(X)
    # least Q along the kernel: the sum of beta^2 / 4 - beta^4 / (192 alpha^4)
    return [least, free @ (free.T @ least**3) / 24]


def small_start(beta):
    import mpmath

    with mpmath.workdps(80):
        squares = [mpmath.mpf(10) ** -power for power in (20, 24, 28)]
        rows, values = [], []
        for square in squares:
            z = [mpmath.mpf(float(abs(one))) / square for one in beta]
            values.append(square * sum(one * mpmath.asinh(one / 2) - mpmath.sqrt(4 + one**2) + 2 for one in z))
            rows.append([mpmath.log(1 / square), 1, square])
        return np.array([float(one) for one in mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix(values))])


def speed_of_sparsity(X, beta):
    support = np.flatnonzero(beta)
    best = (0.0, 0.0)
    for j in np.flatnonzero(beta == 0):
        used = np.linalg.lstsq(X[:, support], X[:, j], rcond=None)[0]  # x_j from the columns of the support
        saved = float(sum(np.sign(beta[support]) * used))
        powers = used * np.sign(beta[support]) * np.sign(saved)
        if abs(saved) > best[0]:
            best = (abs(saved), (1 - abs(saved)) * float(np.prod(np.abs(beta[support]) ** powers)))
    return [2 - 2 * best[0], best[1]]


def two_ends(X, y, x, alpha):
    import itertools

    import jax

    d = x.size

    def output(w, one):
        return ((w[:d] ** 2 - w[d:] ** 2) * one).sum()

    start = alpha * np.ones(2 * d)
    rows = [np.asarray(jax.grad(output)(start, one)) for one in [x, *X]]
    kernel = np.array([[one @ other for other in rows] for one in rows])
    lazy = kernel[0, 1:] @ np.linalg.solve(kernel[1:, 1:], y)
    corners = []
    for columns in itertools.combinations(range(d), y.size):
        beta = np.zeros(d)
        beta[list(columns)] = np.linalg.solve(X[:, list(columns)], y)
        corners.append((np.abs(beta).sum(), x @ beta))
    return np.array([kernel[0, 1], lazy, min(corners)[1]])


def shaped_start(x, y, shape, powers):
    # least sum of (beta_i / shape_i)^2: the least Euclidean norm for the input shape * x
    lazy = shape * (np.linalg.pinv((shape * x)[None]) @ np.array([y]))

    def corner(weights):
        corners = [np.where(np.arange(x.size) == i, y / x[i], 0.0) for i in range(x.size)]
        return min(corners, key=lambda beta: (weights * np.abs(beta)).sum())

    return np.array([lazy, corner(np.ones(x.size)), corner(powers)])


def depth_potential(z, beta, depth):
    size = abs(z)

    def weights(t):  # of the flow with X^T r = -1: both from 1, until one of them is infinite
        return (1 - (depth - 2) * t) ** (-1 / (depth - 2)), (1 + (depth - 2) * t) ** (-1 / (depth - 2))

    end = 1 / (depth - 2)

    def when(level):
        def short(logarithm):
            plus, minus = weights(end * (1 - np.exp(logarithm)))
            return plus**depth - minus**depth - level

        return end * (1 - np.exp(brentq(short, -30.0, 0.0, xtol=1e-14))) if level else 0.0

    slope = when(size) / end
    # the area under the inverse: a rectangle without the area under the function
    below = quad(lambda t: weights(t)[0] ** depth - weights(t)[1] ** depth, 0, when(size), epsabs=0, epsrel=1e-11)[0]
    lacking = sum(quad(lambda u: 1.0, 0, abs(b), weight="alg", wvar=(2 / depth - 1, 0))[0] for b in beta if b)
    return np.array([np.sign(z) * slope, size * slope - below / end, lacking])


def newton_step(X, y, alpha, nu, limit):
    def residual(nu):
        exponential = np.exp(X.T @ nu)
        return X @ (alpha**2 * (exponential - 1 / exponential)) - y

    # the Jacobian matrix by imaginary steps, column by column
    columns = [residual(nu + 1e-20j * e).imag / 1e-20 for e in np.eye(nu.size)]
    step = -np.linalg.inv(np.array(columns).T) @ residual(nu)
    change = max(abs(column @ step) for column in X.T)
    return nu + step / max(1.0, change / limit)


def sparsity_transition(X, y, truth):
    from scipy.interpolate import CubicSpline
    from scipy.linalg import null_space
    from scipy.optimize import minimize

    # another way: the function itself is made least along the kernel of X, and the curve is read off a spline
    lazy, free = np.linalg.pinv(X) @ y, null_space(X)
    logs = np.linspace(np.log(3.0), np.log(1e-4), 120)
    errors, u = [], np.zeros(free.shape[1])
    for alpha in np.exp(logs):

        def value(u, alpha=alpha):
            z = (lazy + free @ u) / alpha**2
            return alpha**2 * (z * np.arcsinh(z / 2) - np.sqrt(4 + z**2) + 2).sum()

        def slope(u, alpha=alpha):
            return free.T @ np.arcsinh((lazy + free @ u) / alpha**2 / 2)

        def bend(u, alpha=alpha):
            return (free.T / np.sqrt((lazy + free @ u) ** 2 + 4 * alpha**4)) @ free

        u = minimize(value, u, jac=slope, hess=bend, method="trust-exact", options={"gtol": 1e-9}).x
        errors.append(np.linalg.norm(lazy + free @ u - truth))
    curve = CubicSpline(-logs, np.array(errors) / np.linalg.norm(lazy - truth))
    return np.array([np.exp(-min(curve.solve(share, extrapolate=False))) for share in (0.5, 0.1)])
