"""Numbers as a text shows them."""

import numpy as np


def short(value: float | np.floating, digits: int = 2) -> float | int:
    """The number to so many digits, an integer if no digit is left behind the point."""
    rounded = float(f"{float(value):.{digits}g}")
    return int(rounded) if abs(rounded) >= 10 ** (digits - 1) else rounded


def percent(share: float | np.floating) -> int:
    """A share in whole percent."""
    return round(100 * float(share))


def power(value: float) -> str:
    """The number in two digits and a power of ten, in LaTeX."""
    digits, exponent = f"{value:.1e}".split("e")
    return rf"${digits} \cdot 10^{{{int(exponent)}}}$"
