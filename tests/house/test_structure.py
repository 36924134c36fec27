"""The house: equal stems across the trees, and who may import whom. Each rule is seen to fail once."""

import shutil

import pytest

from tests.house import rules


@pytest.fixture
def copy(tmp_path):
    """A checkout that a test may spoil."""
    for name in ("lazy_course", "book", "solutions", "exercises", "tests"):
        shutil.copytree(
            rules.ROOT / name,
            tmp_path / name,
            ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"),
        )
    return tmp_path


def test_stems_are_equal_in_every_tree():
    trees = rules.stems(rules.ROOT)
    assert trees["lazy_course"], "no chapter at all"
    assert {name: sorted(found) for name, found in trees.items()} == dict.fromkeys(trees, sorted(trees["lazy_course"]))


@pytest.mark.parametrize("tree", ["solutions", "exercises", "book", "tests"])
def test_a_missing_stem_is_seen(copy, tree):
    for path in [*(copy / tree).glob("criterion*")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert "criterion" not in rules.stems(copy)[tree]


def test_nobody_imports_upstairs_or_next_door():
    assert rules.import_faults(rules.ROOT) == []


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        ("norms.py", "from lazy_course.criterion import numerics", "norms.py: imports the chapter criterion"),
        ("criterion/numerics.py", "import lazy_course.preliminaries", "imports the chapter preliminaries"),
        ("criterion/derivation.py", "import jax.numpy as jnp", "a derivation imports jax"),
        ("criterion/numerics.py", "import sympy", "numerics import sympy"),
        (
            "criterion/numerics.py",
            "from lazy_course.criterion import derivation",
            "numerics import lazy_course",
        ),
        ("norms.py", "from jax._src import core", "private jax._src"),
        ("norms.py", "from . import models", "relative import"),
    ],
)
def test_a_forbidden_import_is_seen(copy, file, line, said):
    path = copy / "lazy_course" / file
    path.write_text(path.read_text() + f"\n\ndef planted():\n    {line}\n")
    assert any(said in fault for fault in rules.import_faults(copy))
