"""How much the course proves, measures and corrects: counts of the rows of its registers."""

from typing import NamedTuple

from lazy_course import claims, errata, registers


class Tally(NamedTuple):
    """Counts over all chapters: numbered statements by what stands behind them, and mistakes in the sources."""

    statements: int
    derived: int
    measured: int
    cited: int
    own: int
    errata: int
    wrong: int
    sharper: int


def tally() -> Tally:
    """Return the counts; a statement may have several kinds of evidence, `own` ones have no other source."""
    rows = [row for stem in registers.chapters() for row in claims.load(stem)]
    mistakes = [row for stem in registers.chapters() for row in errata.load(stem)]
    return Tally(
        statements=len(rows),
        **{kind: sum(kind in row.evidence for row in rows) for kind in claims.EVIDENCE},
        own=sum(row.source.startswith("this course") for row in rows),
        errata=len(mistakes),
        **{kind: sum(row.kind == kind for row in mistakes) for kind in ("wrong", "sharper")},
    )
