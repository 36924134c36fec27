"""What a late submission costs: a small table of days and factors, and when each set was due.

    policy = [[0, 1.0], [2, 0.8], [7, 0.5]]   # up to 2 days late: 0.8 of the points; more than 7 days: 0

    [due]
    criterion = 2026-11-20T23:59:59+01:00

    [days]          # days late, where the course knows better than the time of the file
    ada = 0

A file's days are those from the due time to its time of modification, rounded up.
"""

import datetime
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lazy_course.grading.errors import GradingError


@dataclass(frozen=True)
class Late:
    """The table as pairs (days, factor) in order, the due times by stem, and the days set by hand by student."""

    policy: tuple[tuple[float, float], ...] = ()
    due: dict[str, datetime.datetime] = field(default_factory=dict)
    days: dict[str, float] = field(default_factory=dict)

    def factor(self, days: float) -> float:
        """The factor of the first row whose days are not exceeded; 0 beyond the last; 1 without a table."""
        return next((factor for most, factor in self.policy if days <= most), 0.0) if self.policy else 1.0

    def days_late(self, student: str, stem: str, modified: float) -> float:
        """Whole days from the due time to `modified` (seconds since 1970), at least 0; 0 for a set without one."""
        if student in self.days:
            return self.days[student]
        if stem not in self.due:
            return 0.0
        return float(max(0, math.ceil((modified - self.due[stem].timestamp()) / 86_400)))

    def applied(self, record: dict[str, Any], modified: float) -> dict[str, Any]:
        """The record with its days and its factor; its total is multiplied by the factor."""
        days = self.days_late(record["student"], record["stem"], modified)
        factor = self.factor(days)
        return record | {"late": {"days": days, "factor": factor}, "total": record["total"] * factor}


def read(path: Path | None) -> Late:
    """The table of a file; GradingError, which says what is wrong, for one that cannot be used."""
    if path is None:
        return Late()
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise GradingError(f"{path} is not TOML: {error}") from error
    unknown = sorted(set(content) - {"policy", "due", "days"})
    if unknown:
        raise GradingError(f"{path} has {unknown[0]!r}; it may have policy, [due] and [days]")
    policy = content.get("policy", [])
    if not _is_policy(policy):
        raise GradingError(f"{path}: policy is [[days, factor], ...] with rising days >= 0 and factors from 0 to 1")
    due, days = content.get("due", {}), content.get("days", {})
    if not all(isinstance(value, datetime.datetime) and value.tzinfo for value in due.values()):
        raise GradingError(f"{path}: each time under [due] needs a zone, such as 2026-11-20T23:59:59+01:00")
    if not all(_is_number(value) and value >= 0 for value in days.values()):
        raise GradingError(f"{path}: each value under [days] is a number of days >= 0")
    return Late(
        tuple((float(most), float(factor)) for most, factor in policy),
        due,
        {name: float(value) for name, value in days.items()},
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_policy(policy: Any) -> bool:
    if not isinstance(policy, list) or not all(isinstance(row, list) and len(row) == 2 for row in policy):
        return False
    if not all(_is_number(value) and value >= 0 for row in policy for value in row):
        return False
    days = [row[0] for row in policy]
    return days == sorted(set(days)) and all(row[1] <= 1 for row in policy)
