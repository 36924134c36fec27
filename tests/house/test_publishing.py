"""What publishes the book: workflows that parse and call what exists, one version everywhere, a README that runs."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

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


PAGE = """---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# A page

This page has a cell, and words enough for a description.

```{code-cell} ipython3
1 + 1
```
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A book of two pages, built with the configuration of this one where its three addresses are filled in."""
    root = tmp_path_factory.mktemp("published")
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert config["repository"]["url"] == config["html"]["baseurl"] == config["launch_buttons"]["jupyterhub_url"] == ""
    config["repository"]["url"] = "https://github.com/someone/lazy-course"
    config["launch_buttons"]["jupyterhub_url"] = "https://hub.example.org"
    config["html"] = {"baseurl": "https://example.org/course/"}
    config["execute"] = {"execute_notebooks": "off"}
    del config["bibtex_bibfiles"]
    config["sphinx"] = {"extra_extensions": ["doors"], "local_extensions": {"doors": str(ROOT / "book" / "_sphinx")}}
    (root / "_config.yml").write_text(yaml.safe_dump(config))
    (root / "_toc.yml").write_text("{format: jb-book, root: book/index, chapters: [{file: exercises/one}]}")
    for folder in ("book", "exercises"):
        (root / folder).mkdir()
    (root / "book" / "index.md").write_text(PAGE)
    shutil.copy(ROOT / "exercises" / "preliminaries.ipynb", root / "exercises" / "one.ipynb")
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "-n", "-W", "--keep-going", "-q", str(root)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return root / "_build" / "html"


def test_filled_in_addresses_open_the_right_doors(published):
    """Edit, issue, Binder and JupyterHub on every page with cells; Colab, which opens notebooks only, on a set."""
    repository, base = "https://github.com/someone/lazy-course", "https://example.org/course"
    for page, file in (("book/index", "book/index.md"), ("exercises/one", "exercises/one.ipynb")):
        text = (published / f"{page}.html").read_text()
        links = set(re.findall(r'href="(https://[^"]*)"', text))
        pull = "https://hub.example.org/hub/user-redirect/git-pull?repo=https%3A//github.com/someone/lazy-course"
        hub = f"{pull}&urlpath=lab/tree/lazy-course/{file}&branch=main"
        wanted = {
            repository, f"{repository}/edit/main/{file}", hub, f"{base}/{page}.html",
            f"https://mybinder.org/v2/gh/someone/lazy-course/main?urlpath=lab/tree/{file}",
        }  # fmt: skip
        if page.startswith("exercises"):
            wanted.add(f"https://colab.research.google.com/github/someone/lazy-course/blob/main/{file}")
        assert {link.replace("&amp;", "&") for link in links if "/issues/new?" not in link} == wanted
        assert sum(link.startswith(f"{repository}/issues/new?title=Issue") for link in links) == 1
        for name, value in (("url", f"{base}/{page}.html"), ("image", f"{base}/_static/lazy.png")):
            assert f'<meta property="og:{name}" content="{value}" />' in text
    assert (ROOT / "book" / "_static" / "lazy.png").is_file()


def test_the_site_map_lists_every_page_at_its_address(published):
    found = re.findall(r"<loc>(.*?)</loc>", (published / "sitemap.xml").read_text())
    assert found == ["https://example.org/course/book/index.html", "https://example.org/course/exercises/one.html"]
