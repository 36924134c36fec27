"""Leave the outcome of each test in `_build/tests.json`, for the pages of claims and errata of the next build.

A file of another tree is replaced; one of the same tree is completed. A run that picks some cases of a test
(-k, -m, an id with brackets) or that stopped early says nothing about whole tests, so it leaves nothing.
"""

import json
from pathlib import Path

import pytest

from tests.house.rules import ROOT, extension

WORST = ("passed", "skipped", "failed")


def tree_fingerprint(root: Path) -> str:
    """The fingerprint that the build compares with, from the build's own code."""
    return extension("build").tree_fingerprint(root)


def record(outcomes: dict[str, str], nodeid: str, outcome: str) -> None:
    """Add the outcome of one case (or of its set-up or tear-down) to that of its test: the worst one counts."""
    test = nodeid.partition("[")[0]
    outcomes[test] = max(outcomes.get(test, "passed"), outcome, key=WORST.index)


def save(root: Path, outcomes: dict[str, str]) -> None:
    """Write the outcomes beside the built book, with those of earlier runs on the same tree."""
    file, tree = root / "_build" / "tests.json", tree_fingerprint(root)
    earlier = json.loads(file.read_text()) if file.exists() else {}
    if earlier.get("tree") == tree:
        outcomes = earlier["outcomes"] | outcomes
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"tree": tree, "outcomes": dict(sorted(outcomes.items()))}, indent=1) + "\n")


def is_whole(config: pytest.Config) -> bool:
    """Whether the run takes all cases of each test that it takes."""
    option = config.option
    return not (option.keyword or option.markexpr or option.collectonly or any("[" in arg for arg in config.args))


class Status:
    """The plugin: it listens in the process that reports, not in the workers of xdist."""

    def __init__(self) -> None:
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        record(self.outcomes, report.nodeid, report.outcome)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        stopped = session.shouldstop or session.shouldfail
        if self.outcomes and not stopped and is_whole(session.config):
            save(ROOT, self.outcomes)
