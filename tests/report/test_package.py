"""The wheel and the source archive: built, installed without the book's packages, and quick to import."""

import ast
import inspect
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile

import pytest

from lazy_course import report
from tests.house.rules import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# In the new environment: what is imported, from where, how long it takes beyond jax, and a report.
CODE = """
import json, sys, time
import jax, jax.numpy as jnp
begin = time.process_time()
from lazy_course.report import laziness_report
import lazy_course
seconds = time.process_time() - begin
x = jnp.linspace(-1.0, 1.0, 4)[:, None]
found = laziness_report(lambda w, x: jnp.tanh(x @ w), jnp.ones((1, 1)), x, x, effort="quick")
found.plot()
print(json.dumps({"file": lazy_course.__file__, "seconds": seconds, "verdict": found.verdict, "dtype": found.dtype,
                  "modules": sorted({name.partition(".")[0] for name in sys.modules})}))
"""
# Setuptools leaves another sys.argv behind, so the folder is read from it once.
BUILD = """
import sys
from setuptools import build_meta
out = sys.argv[1]
print(build_meta.build_wheel(out), build_meta.build_sdist(out))
"""


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the source archive, built from a copy without what is not of the repository."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT / "lazy_course", tree / "lazy_course", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    *_, line = run([sys.executable, "-c", BUILD, str(out)], cwd=tree).strip().splitlines()
    wheel, archive = line.split()
    return out / wheel, out / archive


@pytest.fixture(scope="module")
def empty(built, tmp_path_factory):
    """An environment with the wheel, which sees the packages that are installed here, but not this checkout."""
    home = tmp_path_factory.mktemp("empty")
    venv.create(home, with_pip=False, symlinks=True)
    (place,) = home.glob("lib/python*/site-packages")
    (place / "shared.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet"]
    run([*pip, "--disable-pip-version-check", str(built[0])])
    return python


def test_the_installed_library_reports_without_the_book(empty, tmp_path):
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "XLA_FLAGS")}
    environment |= {"JAX_PLATFORMS": "cpu", "LAZY_COURSE_X64": "0"}
    answer = json.loads(run([str(empty), "-c", CODE], cwd=tmp_path, env=environment))
    assert answer["file"].startswith(str(empty.parents[1]))
    assert answer["verdict"] in ("lazy", "partly lazy", "not lazy")
    assert answer["dtype"] == "float32"
    # Processor time, so that what else the machine does does not count.
    assert answer["seconds"] < 1.5
    extras = {"plotly", "IPython", "nbformat", "nbclient", "jupytext", "sphinx", "distributed", "beartype", "flax"}
    assert extras.isdisjoint(answer["modules"])


def test_wheel_and_archive_hold_what_they_must(built):
    wheel, archive = built
    names = zipfile.ZipFile(wheel).namelist()
    for name in ("report/laziness.py", "py.typed", "benchmarks.json", "report/measured.json", "teaching.toml"):
        assert f"lazy_course/{name}" in names, name
    assert not [name for name in names if name.startswith(("tests", "book", "solutions"))]
    with tarfile.open(archive) as inside:
        assert any(name.endswith("/lazy_course/report/laziness.py") for name in inside.getnames())


def test_what_the_library_imports_at_once_is_required():
    """The third-party imports at the top of the modules that a report runs are among the core dependencies."""
    core = {entry.partition(">")[0] for entry in PYPROJECT["project"]["dependencies"]}
    found = set()
    for path in (ROOT / "lazy_course" / "report").glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])
    assert found - set(sys.stdlib_module_names) - {"lazy_course"} <= core
    assert {"jax", "numpy", "sympy"} <= core


def test_the_grader_alone_is_a_part_of_the_book():
    extras = PYPROJECT["project"]["optional-dependencies"]
    assert set(extras["grade"]) < set(extras["book"])


def test_the_public_names_stand_in_one_place():
    assert report.__all__ == sorted(report.__all__, key=lambda name: (name.islower(), name))
    for name in report.__all__:
        value = getattr(report, name)
        words = inspect.getdoc(value)
        assert words, name
        assert len(words) > 60, name
        if inspect.isfunction(value):
            hints = inspect.signature(value)
            assert hints.return_annotation is not inspect.Signature.empty
            assert [p for p in hints.parameters.values() if p.annotation is p.empty] == []
    for name in ("laziness_report", "spread", "equinox_network", "linen_network", "LazinessMonitor"):
        assert "Raises `ValueError`" in inspect.getdoc(getattr(report, name)), name
    for shape in ("(n, k)", "(n,)"):
        assert shape in inspect.getdoc(report.laziness_report)
