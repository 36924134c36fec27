"""An equation or inequality of the book together with the algebra behind it: what a chapter's derivation.py returns."""

from dataclasses import dataclass, field

import sympy as sp
from sympy import Expr, Rel


@dataclass(frozen=True)
class Derived:
    """An equation or inequality and the steps behind it: each value of `checks` must simplify to zero."""

    equation: Rel
    checks: dict[str, Expr] = field(default_factory=dict)

    @property
    def latex(self) -> str:
        """The equation as the book prints it."""
        return sp.latex(self.equation, order="none")

    def remainders(self) -> dict[str, Expr]:
        """Simplify every check; a right derivation gives zeros only."""
        return {name: sp.simplify(expression) for name, expression in self.checks.items()}

    @property
    def holds(self) -> bool:
        """Whether there are checks, and all of them are zero."""
        return bool(self.checks) and all(value == 0 for value in self.remainders().values())
