"""What publishes the book: workflows that parse and call what exists, one version everywhere, a README that runs."""

import re
import tomllib

import pytest
import yaml

from tests.house.rules import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
RELEASED = dict(re.findall(r"^## (\d+\.\d+\.\d+) \((\d{4}-\d{2}-\d{2})\)$", CHANGELOG, re.M))


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_is_whole(path):
    workflow = yaml.safe_load(path.read_text())
    # YAML 1.1 reads the key "on" as true.
    assert workflow["name"]
    assert workflow[True]
    assert workflow["permissions"] == {"contents": "read"}
    uses = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert uses
    assert [name for name in uses if not re.fullmatch(r"actions/[a-z-]+@v\d+", name)] == []
    called = re.findall(r"\bmake ([a-z]+)", "\n".join(step.get("run", "") for step in steps(workflow)))
    assert called
    assert set(called) <= TARGETS
    assert all(job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())


def test_the_workflows_test_and_publish():
    text = {path.stem: path.read_text() for path in WORKFLOWS}
    assert set(text) == {"ci", "pages"}
    assert "make test" in text["ci"]
    needed = ("upload-pages-artifact", "deploy-pages", "id-token: write")
    assert [name for name in needed if name not in text["pages"]] == []
    python = yaml.safe_load(text["pages"])["jobs"]["build"]["steps"][1]["with"]["python-version"]
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert asked == f">={python}"
    assert f"image: python:{python}-" in text["ci"]


def test_one_version_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert CITATION["version"] == version
    # Until the version is released it has no date, neither here nor there.
    assert str(CITATION.get("date-released", "")) == RELEASED.get(version, "")


def test_the_changelog_is_versioned_and_shown():
    heads = re.findall(r"^## (.*)$", CHANGELOG, re.M)
    assert heads[0] == "Unreleased"
    assert heads[1:] == [f"{version} ({date})" for version, date in RELEASED.items()]
    numbers = [tuple(map(int, version.split("."))) for version in RELEASED]
    assert numbers == sorted(numbers, reverse=True)
    assert "{include} ../CHANGELOG.md" in (ROOT / "book" / "changelog.md").read_text()


TEXTS = ("README.md", "CONTRIBUTING.md", "RELEASING.md", "book/grading.md", "book/teaching.md")


@pytest.mark.parametrize("name", TEXTS)
def test_commands_in_the_text_exist(name):
    """Each `make x` and `lazy-course y` that a text names."""
    text = (ROOT / name).read_text()
    commands = set(re.findall(r"^def (\w+)\(", (ROOT / "lazy_course" / "cli.py").read_text(), re.M))
    # Commands stand in code: between backticks, or at the beginning of a line of a block.
    made = re.findall(r"(?:`|^)make ([a-z]+)", text, re.M)
    called = re.findall(r"(?:`|^)(?:\.venv/bin/)?lazy-course ([a-z]+)", text, re.M)
    assert made or called
    assert [target for target in made if target not in TARGETS] == []
    assert [command for command in called if command not in commands] == []


def test_the_readme_runs(capsys, tmp_path, monkeypatch):
    """Its Python blocks, one after another in one namespace, as a researcher would paste them."""
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert len(blocks) >= 3
    monkeypatch.chdir(tmp_path)  # a report writes its files there
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    first, *_, kappa, shapes = capsys.readouterr().out.strip().splitlines()
    assert re.fullmatch("Laziness report: (NOT LAZY|PARTLY LAZY|LAZY)", first)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.json", "report.png"]
    lower, upper = map(float, re.findall(r"\d+\.\d+(?:e[-+]\d+)?", kappa))
    assert 0 < lower <= upper
    assert shapes == "(20, 20) (20, 20)"
