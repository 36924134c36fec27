"""`make book` executes pages again when the library changes, and only then."""

import subprocess
import sys
import textwrap

import pytest

from tests.house.rules import ROOT, extension

build_book = extension("build")

PAGE = """\
    ---
    jupytext:
      text_representation: {extension: .md, format_name: myst}
    kernelspec: {display_name: Python 3, language: python, name: python3}
    ---
    # A page

    ```{code-cell} ipython3
    CODE
    ```
    """


# In a process of its own, as `make book` runs it: the executor forks, which a process with a running JAX must not.
BUILD = """\
import pathlib, sys
sys.path.insert(0, sys.argv[1])
import build
root = build.ROOT = pathlib.Path(sys.argv[2])
build.start_afresh_if_changed(root, root / "_build")
problems = build.execute([root / "page.md"], root / "_build" / ".jupyter_cache")
print("\\n".join(["PROBLEMS", *problems]))
"""


def built(project):
    """Execute the project's page and return the problems met, as text."""
    command = [sys.executable, "-c", BUILD, str(ROOT / "book" / "_sphinx"), str(project)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.partition("PROBLEMS\n")[2].strip()


@pytest.fixture
def project(tmp_path):
    (tmp_path / "lazy_course").mkdir()
    (tmp_path / "lazy_course" / "norms.py").write_text("one = 1\n")
    (tmp_path / "requirements.lock").write_text("jax==0\n")
    return tmp_path


def write(project, code):
    (project / "page.md").write_text(textwrap.dedent(PAGE).replace("CODE", code))


def test_a_change_of_the_library_runs_every_page_again(project):
    counter = project / "runs"
    write(project, f"open({str(counter)!r}, 'a').write('x')")
    runs = []
    for change in ("", "", "one = 2\n", ""):
        if change:
            (project / "lazy_course" / "norms.py").write_text(change)
        assert built(project) == ""
        runs.append(len(counter.read_text()))
    assert runs == [1, 1, 2, 2]


@pytest.mark.parametrize("name", ["lazy_course/criterion.toml", "lazy_course/data.npz", "requirements.lock"])
def test_the_fingerprint_sees_data_and_versions(project, name):
    before = build_book.fingerprint(project)
    (project / name).write_bytes(b"new")
    assert build_book.fingerprint(project) != before


def test_a_failing_cell_fails_the_build_with_its_traceback(project):
    write(project, "1 / 0")
    assert "ZeroDivisionError" in built(project)
