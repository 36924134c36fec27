"""Answers to the problem set by other means than its solution: counting one by one, quadrature, dense matrices, roots.

Each function is pasted by source into the exercise, where np is imported. Other imports stand inside.
"""

import numpy as np


def signs_that_stay(before, after):
    from scipy.optimize import brentq

    def on(z):
        return 1 if z > 0 else 0

    shares = []
    for z, later in zip(before, after, strict=True):
        pairs = list(zip(z.ravel().tolist(), later.ravel().tolist(), strict=True))
        shares.append(sum(on(a) == on(b) for a, b in pairs) / len(pairs))
    stability = sum(shares) / len(shares)

    def agreeing(rho):
        """Equal signs of (cos t, cos(t - angle)): a share of the circle, found by the arctangent."""
        return 1 - np.arctan2(np.sqrt(1 - rho**2), rho) / np.pi

    return [stability, brentq(lambda rho: agreeing(rho) - stability, -1, 1, xtol=1e-15, rtol=1e-14)]


def what_time_leaves(eigenvalues, moments, time, level):
    from scipy.linalg import expm
    from scipy.optimize import brentq

    def left(t):
        """By the exponential of a dense kernel, on the residual."""
        rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(len(moments), len(moments))))[0]
        residual = expm(-t * (rotation * eigenvalues) @ rotation.T) @ (rotation @ moments)
        return residual @ residual / (moments @ moments)

    never = left(1e5)
    if level <= never:
        return [left(time), never, np.inf]
    root = brentq(lambda log: left(np.exp(log)) - level, -20, np.log(1e5), xtol=1e-12)
    return [left(time), never, np.exp(root)]


def when_to_stop(eigenvalues, signal, variance, time):
    from scipy.optimize import minimize_scalar

    def one(value, size, t):
        """A mean over two equally likely errors, +1 and -1 standard deviation."""
        both = [-np.expm1(-value * t) * (size + sign * np.sqrt(variance)) - size for sign in (1, -1)]
        return (both[0] ** 2 + both[1] ** 2) / 2

    pairs = list(zip(eigenvalues, signal, strict=True))
    least = 0.0
    for value, size in pairs:
        if value == 0:
            least += size**2
        else:
            exact = {"bounds": (0, 40), "method": "bounded", "options": {"xatol": 1e-10}}
            least += minimize_scalar(lambda x, s=size: one(1.0, s, x), **exact).fun
    return [*(sum(one(*pair, t) for pair in pairs) for t in (time, 1e6)), least]


def why_ten(n, k, c, rho, tau):
    from scipy.optimize import brentq

    def outputs(t):
        return np.linalg.eigvalsh(np.eye(k) + t * (np.ones((k, k)) - np.eye(k)))

    # The kernel of the samples is circulant: its eigenvalues are the Fourier transform of a row.
    row = np.full(n, c * rho)
    row[0] = c
    samples = np.fft.fft(row).real
    values = np.sort(np.outer(samples, outputs(tau)).ravel())[::-1]
    ends = np.max(samples), np.min(samples)
    closing = brentq(lambda t: ends[0] * outputs(t)[0] - ends[1] * outputs(t)[-1], 0, 1, xtol=1e-15, rtol=1e-14)
    return [values[0], values[k - 1], values[k], closing]


def largest_step(eigenvalues, step, momentum):
    from scipy.optimize import brentq

    def radius(value, eta):
        matrix = np.array([[1 - eta * value, -eta * momentum], [value, momentum]])  # of (v, u)
        return np.max(np.abs(np.linalg.eigvals(matrix)))

    limits = [
        brentq(lambda eta, v=value: radius(v, eta) - 1, 1.9 / value, 8 / value, xtol=1e-15) for value in eigenvalues
    ]
    ends = min(eigenvalues), max(eigenvalues)

    def slowest(root):
        """Of the momentum root^2, with the step at which both ends are equally slow."""
        eta = 2 * (1 + root**2) / sum(ends)
        return max(np.max(np.abs(np.linalg.eigvals([[1 - eta * v, -eta * root**2], [v, root**2]]))) for v in ends)

    low, high = 0.0, 1.0
    while high - low > 1e-13:
        one, two = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, two) if slowest(one) < slowest(two) else (one, high)
    best = [low**2, 2 * (1 + low**2) / sum(ends)]
    return [min(limits), max(radius(value, step) for value in eigenvalues), *best]


def epochs_needed(epochs, eigenvalue, rate, decay, momentum, steps, level):
    def amount(count):
        """The first terms one by one, and Euler and Maclaurin's formula from there on."""
        first = min(int(count), 3000)
        total = sum(1 / (1 + decay * t) for t in range(first))
        if count > first:
            a, b = 1 + decay * first, 1 + decay * count
            total += np.log(b / a) / decay + (1 / a - 1 / b) / 2 + decay / 12 * (1 / a**2 - 1 / b**2)
        return total

    def low_enough(count):
        return np.exp(-eigenvalue * rate * steps / (1 - momentum) * amount(count)) <= level

    low, high = 0, 1
    while not low_enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if low_enough(middle) else (middle, high)
    return [amount(epochs), high]


def centring(start, targets, first, second, alpha):
    from scipy.optimize import minimize_scalar

    def size(z):
        return np.sqrt(sum(float(row @ row) for row in z) / len(z))

    def kappa(a):
        return size(a * start - targets) * (a * second) / (a * first) ** 2

    def inverse(s):
        return (size(start - s * targets) * second / first**2) ** 2

    far = kappa(1e9)
    least = minimize_scalar(inverse, bounds=(0, 50), method="bounded", options={"xatol": 1e-12})
    centred = size(targets) * (alpha * second) / (alpha * first) ** 2
    return [kappa(alpha), centred, far, min(np.sqrt(least.fun), far)]


def kinks(mean, deviation, step, sharpness):
    import itertools

    from scipy.integrate import quad
    from scipy.stats import norm

    pdf = norm(mean, deviation).pdf

    def quotient(s):
        """Over the pre-activations whose gate the step opens."""
        return np.sqrt(quad(pdf, -s, 0, epsabs=0, epsrel=1e-13)[0]) / s

    e = 1e-3
    logs = [np.log(quotient(step * np.exp(j * e))) for j in (-2, -1, 1, 2)]
    slope = (logs[0] - 8 * logs[1] + 8 * logs[2] - logs[3]) / (12 * e)
    constant = quotient(1e-8) * 1e-4

    def bent(z):
        return (sharpness / (2 * np.cosh(sharpness * z / 2)) ** 2) ** 2 * pdf(z)

    ends = np.array([-30, -3, 0, 3, 30]) / sharpness
    soft = sum(quad(bent, *pair, epsabs=0, epsrel=1e-12)[0] for pair in itertools.pairwise(ends))
    return [quotient(step), slope, constant, np.sqrt(soft)]
