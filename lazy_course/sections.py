"""Long computations in sections whose results the book reads: each is run by its name and written beside the rest."""

import json
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lazy_course.files import write_atomically

Section = Callable[[], dict[str, Any]]


def compute(
    file: Path, sections: Mapping[str, Section], names: Iterable[str], *, packages: tuple[str, ...], digits: int = 17
) -> None:
    """Compute the named sections (all if none is named) and write each into `file` as it is done; the others stay.

    A section gets the seconds that it took, the machine, and the versions of `packages`; its numbers are kept to
    `digits` digits (17: all). Raises `ValueError` for a name that is no section.
    """
    wanted = list(names) or list(sections)
    unknown = set(wanted) - set(sections)
    if unknown:
        raise ValueError(f"section: expected some of {sorted(sections)}, got {sorted(unknown)}")
    for name in wanted:
        print(name, flush=True)
        start = time.perf_counter()
        found = rounded(sections[name](), digits)
        found["seconds"] = round(time.perf_counter() - start, 1)
        found["machine"] = f"{platform.machine()}, {os.cpu_count()} cores"
        found["versions"] = {package: version(package) for package in packages}
        kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        write_atomically(file, (json.dumps(kept | {name: found}, indent=1) + "\n").encode())


def rounded(value: Any, digits: int) -> Any:
    """A value of JSON with its floating-point numbers kept to `digits` digits."""
    if isinstance(value, dict):
        return {key: rounded(entry, digits) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(entry, digits) for entry in value]
    return float(f"{value:.{digits}g}") if isinstance(value, float) else value
