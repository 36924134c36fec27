"""What every chapter asks of its derivations; each test_derivation.py says of which rows."""

from collections.abc import Mapping

from lazy_course.derived import Derived


def assert_zero(derived: Derived) -> None:
    """There are checks, and every one of them leaves nothing."""
    assert derived.checks, "a derivation without a check shows nothing"
    assert derived.remainders() == dict.fromkeys(derived.checks, 0)


def assert_balanced(rows: Mapping[str, Derived]) -> None:
    """What opens in a printed equation is closed there."""
    pairs = ("{}", (r"\lVert", r"\rVert"), (r"\lvert", r"\rvert"), (r"\langle", r"\rangle"), (r"\left", r"\right"))
    for name, derived in rows.items():
        for opening, closing in (*pairs, (r"\bigl", r"\bigr")):
            assert derived.latex.count(opening) == derived.latex.count(closing), (name, opening)
