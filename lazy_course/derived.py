"""An equation or inequality of the book together with the algebra behind it: what a chapter's derivation.py returns."""

import functools
from collections.abc import Callable, Iterator, Mapping
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

    def only(self, *beginnings: str) -> "Derived":
        """Keep the checks whose names begin with one of the texts: those of one step of a proof.

        Raises a ValueError where a text is the beginning of no name.
        """
        for text in beginnings:
            if not any(name.startswith(text) for name in self.checks):
                names = list(self.checks)
                raise ValueError(
                    f"beginnings: expected the beginning of one of {names}, got {text!r}; name one of them"
                )
        kept = {name: value for name, value in self.checks.items() if name.startswith(beginnings)}
        return Derived(self.equation, kept)


@functools.cache
def _derive(function: Callable[[], Derived]) -> Derived:
    return function()


class Rows(Mapping[str, Derived]):
    """Derivations by name, in order; each runs when it is first asked for, and once: names alone cost no algebra.

    `Rows(f, g)` names them after their functions, `Rows(a=f)` as it says; `|` joins rows, and a dictionary of Derived.
    """

    def __init__(self, *functions: Callable[[], Derived], **named: Callable[[], Derived]) -> None:
        self._functions = {function.__name__: function for function in functions} | named

    def __getitem__(self, name: str) -> Derived:
        return _derive(self._functions[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._functions)

    def __len__(self) -> int:
        return len(self._functions)

    def __or__(self, other: "Rows | dict[str, Derived]") -> "Rows":
        if isinstance(other, Rows):
            return Rows(**(self._functions | other._functions))
        return Rows(**self._functions, **{name: functools.partial(other.__getitem__, name) for name in other})


class Zeros(dict[str, Expr]):
    """Named remainders that are all zero; a notebook shows one in a line."""

    def __repr__(self) -> str:
        return "\n".join(f"{value}   {name}" for name, value in self.items())


def zeros(*rows: Derived) -> Zeros:
    """Simplify the checks of the rows, and return them if all are zero: what the book shows for a step of a proof.

    Raises an ArithmeticError that names a check which is not zero, and a ValueError where there is no check or where
    two have one name.
    """
    found = Zeros()
    for row in rows:
        for name, value in row.remainders().items():
            if value != 0:
                raise ArithmeticError(f"{name}: expected the remainder 0, got {value}; the derivation is wrong there")
            if name in found:
                raise ValueError(f"rows: expected checks of different names, got {name!r} twice; choose with `only`")
            found[name] = value
    if not found:
        raise ValueError("rows: expected at least one check, got none; pass a Derived that has checks")
    return found
