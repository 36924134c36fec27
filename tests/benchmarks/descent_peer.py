"""The loops that descent of two-layer networks is compared with: one run at a time, in NumPy or in PyTorch.

A program of its own, so that it runs in an environment with PyTorch: `python descent_peer.py KIND DTYPE STEPS` draws
the problem from a seed, makes STEPS steps three times and prints a line of JSON: milliseconds a step (the least of
the three), the loss at the end, and versions. Kinds: numpy, torch (by hand, as the NumPy loop), autograd (the usual
PyTorch loop). Each was written to be fast: products into given memory, no path stored.
"""

import json
import sys
import time

import numpy as np

N, D, M, STEP = 1000, 100, 50, 0.1


def problem(dtype, seed=0):
    """The data and the start, as NumPy arrays."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((N, D))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    teacher = rng.standard_normal((3, D))
    teacher /= np.linalg.norm(teacher, axis=1, keepdims=True)
    y = np.maximum(x @ teacher.T, 0) @ np.array([1.0, -1.0, 1.0])
    b, a = rng.standard_normal((M // 2, D)), rng.standard_normal(M // 2)
    return [v.astype(dtype) for v in (x, y, np.concatenate([b, b]), np.concatenate([a, -a]))]


def by_numpy(steps, dtype):
    """Gradient descent in NumPy."""
    x, y, b, a = problem(dtype)
    z, h, g = np.empty((M, N), dtype), np.empty((M, N), dtype), np.empty((M, D), dtype)
    xt, rate = np.ascontiguousarray(x.T), dtype(STEP)
    for _ in range(steps):
        np.matmul(b, xt, out=z)
        np.maximum(z, 0, out=h)
        r = (a @ h - y) * dtype(1 / N)
        np.multiply(z > 0, r, out=z)
        np.matmul(z, x, out=g)
        slope = np.einsum("jk,jk->j", b, g)
        b -= rate * (a[:, None] * g)
        a -= rate * slope
    return 0.5 * float(np.mean((a @ np.maximum(b @ xt, 0) - y) ** 2))


def by_torch(steps, dtype):
    """The same by hand in PyTorch."""
    import torch

    x, y, b, a = (torch.from_numpy(v) for v in problem(dtype))
    with torch.no_grad():
        for _ in range(steps):
            z = b @ x.T
            r = (a @ torch.relu(z) - y) / N
            g = ((z > 0) * r) @ x
            slope = (b * g).sum(1)
            b -= STEP * a[:, None] * g
            a -= STEP * slope
        return float(0.5 * ((a @ torch.relu(b @ x.T) - y) ** 2).mean())


def by_autograd(steps, dtype):
    """The usual PyTorch loop."""
    import torch

    x, y, b, a = (torch.from_numpy(v) for v in problem(dtype))
    b.requires_grad_()
    a.requires_grad_()
    optimizer = torch.optim.SGD([b, a], lr=STEP)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = 0.5 * ((torch.relu(x @ b.T) @ a - y) ** 2).mean()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return float(0.5 * ((torch.relu(x @ b.T) @ a - y) ** 2).mean())


KINDS = {"numpy": by_numpy, "torch": by_torch, "autograd": by_autograd}


def main(kind, dtype, steps):
    """Time one kind."""
    run, precision, seconds = KINDS[kind], np.dtype(dtype).type, []
    run(20, precision)
    for _ in range(3):
        start = time.perf_counter()
        loss = run(steps, precision)
        seconds.append((time.perf_counter() - start) / steps)
    versions = {"numpy": np.__version__}
    if "torch" in sys.modules:
        versions["torch"] = sys.modules["torch"].__version__
    print(json.dumps({"milliseconds": 1000 * min(seconds), "loss": loss, "versions": versions}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
