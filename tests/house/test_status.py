"""The outcomes of the tests reach the pages of claims and errata if, and only if, they belong to this tree."""

import json
import subprocess
import sys

import pytest

from lazy_course import claims, errata, registers
from tests import status
from tests.house.rules import ROOT, extension

links = extension("register_links")


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "lazy_course").mkdir()
    (tmp_path / "lazy_course" / "norms.py").write_text("one = 1\n")
    (tmp_path / "requirements.lock").write_text("jax==0\n")
    return tmp_path


def test_outcomes_are_those_of_this_tree_or_none(tree):
    assert links.outcomes(tree) == {}
    status.save(tree, {"tests/a.py::test_a": "passed"})
    status.save(tree, {"tests/b.py::test_b": "failed"})
    assert links.outcomes(tree) == {"tests/a.py::test_a": "passed", "tests/b.py::test_b": "failed"}
    (tree / "lazy_course" / "norms.py").write_text("one = 2\n")
    assert links.outcomes(tree) == {}
    status.save(tree, {"tests/a.py::test_a": "passed"})
    assert links.outcomes(tree) == {"tests/a.py::test_a": "passed"}


def test_the_worst_case_of_a_test_counts():
    outcomes = {}
    for case, outcome in (
        ("t[1]", "passed"),
        ("t[2]", "failed"),
        ("t[3]", "passed"),
        ("u", "passed"),
        ("v", "skipped"),
    ):
        status.record(outcomes, case, outcome)
    assert outcomes == {"t": "failed", "u": "passed", "v": "skipped"}


def test_a_run_leaves_its_outcomes_and_a_partial_one_does_not(tree):
    """A run of pytest in a tree of its own, with the plugin."""
    (tree / "test_it.py").write_text(
        "import pytest\n@pytest.mark.parametrize('x', [1, 2])\ndef test_x(x):\n    assert x == 1\n"
    )
    (tree / "conftest.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nfrom pathlib import Path\nfrom tests import status\n"
        "status.ROOT = Path(__file__).parent\n"
        "status.tree_fingerprint = lambda root: 'a tree'\n"
        "def pytest_configure(config):\n    config.pluginmanager.register(status.Status(), 'lazy-status')\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:jaxtyping", "test_it.py"]
    file = tree / "_build" / "tests.json"
    for partial in (["-k", "1"], ["-x"]):
        subprocess.run([*command, *partial], cwd=tree, capture_output=True, check=False)
        assert not file.exists()
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert json.loads(file.read_text()) == {"tree": "a tree", "outcomes": {"test_it.py::test_x": "failed"}}


def test_every_named_test_has_a_source_page_and_most_derived_claims_a_derivation():
    sources = links.sources
    rows = [row for stem in registers.chapters() for row in claims.load(stem)]
    named = [test for row in rows for test in row.tests]
    named += [row.check for stem in registers.chapters() for row in errata.load(stem) if row.check]
    addresses = [sources.address(*test.split("::"), page="book/claims") for test in named]
    assert [test for test, where in zip(named, addresses, strict=True) if not where or "#line-" not in where] == []
    derived = [row for row in rows if "derived" in row.evidence]
    with_link = [row.id for row in derived if any([*links.derivations(ROOT / t.split("::")[0])] for t in row.tests)]
    assert len(with_link) > 0.8 * len(derived)
    assert set(sources.files()) >= {ROOT / test.split("::")[0] for test in named}
