"""The chapter's formulas in sympy: which steps are stable with momentum, tenfold eigenvalues, and what kinks do."""

import sympy as sp

eta, rate, momentum, k = sp.symbols("eta lambda mu k", positive=True)
c, rho, s, b, t, alpha = sp.symbols("c rho s b t alpha", positive=True)
n = sp.Symbol("n", integer=True, positive=True)


def momentum_polynomial(z: sp.Expr) -> sp.Expr:
    r"""The characteristic polynomial of descent with momentum on $\lambda v^2/2$.

    $v_{t+1} = v_t - \eta u_{t+1}$ and $u_{t+1} = \mu u_t + \lambda v_t$ give
    $v_{t+1} = (1 + \mu - \eta\lambda) v_t - \mu v_{t-1}$.
    """
    return z**2 - (1 + momentum - eta * rate) * z + momentum


def momentum_recursion_defect() -> sp.Expr:
    """What is left of the two-term recursion after the momentum is eliminated; 0."""
    v, u = sp.symbols("v u")
    v_next = v - eta * (momentum * u + rate * v)
    u_next = momentum * u + rate * v
    v_second = v_next - eta * (momentum * u_next + rate * v_next)
    return sp.expand(v_second - (1 + momentum - eta * rate) * v_next + momentum * v)


def stability_limit() -> sp.Expr:
    r"""The largest stable step times $\lambda$: $2 (1 + \mu)$.

    By Jury's test both roots of $z^2 - a z + \mu$ lie inside the unit circle if and only if $\mu < 1$ and
    $|a| < 1 + \mu$; $a < 1 + \mu$ always holds, and $a > -(1 + \mu)$ is the limit.
    """
    (limit,) = sp.solve(sp.Eq(momentum_polynomial(sp.Integer(-1)), 0), eta)
    return sp.factor(limit * rate)


def flow_of_a_mode() -> sp.Expr:
    r"""The solution of $v' = \beta - \lambda v$ from 0, with $\beta = 1$: $(1 - e^{-\lambda t})/\lambda$."""
    v = sp.Function("v")
    found = sp.dsolve(sp.Eq(v(t).diff(t), 1 - rate * v(t)), v(t), ics={v(0): 0})
    return sp.simplify(found.rhs)


def equicorrelated(size: int) -> sp.Matrix:
    r"""The n x n kernel $\Theta = c((1 - \rho) I + \rho\, 1 1^\top)$: samples alike, any two correlated by $\rho$."""
    return c * ((1 - rho) * sp.eye(size) + rho * sp.ones(size, size))


def equicorrelated_eigenvalues() -> tuple[sp.Expr, sp.Expr]:
    r"""Its largest eigenvalue $c(1 + (n - 1)\rho)$, of the constant vector, and $c(1 - \rho)$, of all others."""
    return c * (1 + (n - 1) * rho), c * (1 - rho)


def equicorrelated_gap() -> sp.Expr:
    r"""Their quotient, $1 + n\rho/(1 - \rho)$."""
    largest, other = equicorrelated_eigenvalues()
    return 1 + sp.simplify(largest / other - 1)


def kink_change() -> sp.Expr:
    r"""$\mathbb E (1_{z + s > 0} - 1_{z > 0})^2$ for standard normal z, to first order in the step s of its bias.

    The gate flips where $-s < z \le 0$, a set of probability $\Phi(s) - \Phi(0)$.
    """
    z = sp.Symbol("z")
    probability = sp.integrate(sp.exp(-(z**2) / 2) / sp.sqrt(2 * sp.pi), (z, 0, s))
    return sp.series(probability, s, 0, 2).removeO()


def kink_ratio() -> sp.Expr:
    r"""The change of the derivative in mean square over the step: $(2\pi)^{-1/4} s^{-1/2}$, without bound."""
    return sp.simplify(sp.sqrt(kink_change()) / s)


def kink_remainder() -> sp.Expr:
    r"""The mean square of a kink's remainder, $\alpha ((z + u/\alpha)_+ - z_+) - u 1_{z > 0}$ with z standard normal.

    Only $-u/\alpha < z \le 0$ contributes, with $(\alpha z + u)^2$: to first order in $1/\alpha$ the result is
    $u^3 / (3 \sqrt{2\pi}\,\alpha)$. So a ReLU network comes to its linearization like $\alpha^{-1/2}$ in mean square,
    where a smooth one does like $1/\alpha$.
    """
    z, u, e = sp.symbols("z u e", positive=True)
    exact = sp.integrate((u - z / e) ** 2 * (1 - z**2 / 2) / sp.sqrt(2 * sp.pi), (z, 0, u * e))
    return sp.simplify(sp.series(exact, e, 0, 2).removeO().subs(e, 1 / alpha))


def softplus_second_derivative(z: sp.Expr) -> sp.Expr:
    r"""The second derivative of $\log(1 + e^{bz})/b$."""
    x = sp.Symbol("x")
    return sp.simplify((sp.log(1 + sp.exp(b * x)) / b).diff(x, 2).subs(x, z))


def softplus_curvature() -> sp.Expr:
    r"""$\mathbb E\, \varsigma_b''(z)^2$ for standard normal z, as $b \to \infty$: $b / (6 \sqrt{2\pi})$.

    With u = bz the density is flat on the scale where the integrand lives, and
    $\int e^{2u}/(1 + e^u)^4 du = \int_0^1 p(1 - p)\, dp$ with $p = e^u/(1 + e^u)$.
    """
    p = sp.Symbol("p")
    return b * sp.integrate(p * (1 - p), (p, 0, 1)) / sp.sqrt(2 * sp.pi)
