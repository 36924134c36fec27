"""The same requirements in pyproject.toml, environment.yml and requirements.lock."""

import re
import tomllib

import yaml
from packaging.requirements import Requirement
from packaging.version import Version

from tests.house.rules import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCK = (ROOT / "requirements.lock").read_text().split()


def name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def test_environment_yml_equals_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert conda == [f"python{PROJECT['requires-python']}", "pip"]
    assert pip["pip"][-1] == "-e ."
    assert sorted(pip["pip"][:-1]) == sorted([*PROJECT["dependencies"], *EXTRAS["book"]])


def test_the_lock_is_exact_and_names_no_address():
    assert LOCK
    assert [line for line in LOCK if not re.fullmatch(r"[\w.-]+==[\w.+!]+", line)] == []


def test_the_lock_meets_every_requirement():
    locked = {name(line.split("==")[0]): Version(line.split("==")[1]) for line in LOCK}
    # The Makefile installs the package without a build environment, so setuptools comes from the lock too.
    build = PYPROJECT["build-system"]["requires"]
    needed = [Requirement(r) for r in [*build, *PROJECT["dependencies"], *(r for e in EXTRAS.values() for r in e)]]
    assert needed
    assert [str(r) for r in needed if not r.specifier.contains(locked[name(r.name)])] == []
