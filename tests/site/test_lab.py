"""A student's first minutes in JupyterLab: an exercise whose self-check answers, and a page as a notebook."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from lazy_course.grading import source
from tests.house.rules import ROOT

pytestmark = [pytest.mark.site, pytest.mark.slow]

QUESTION = source.read(ROOT / "solutions" / "preliminaries.md").automatic[0]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address of a JupyterLab on a copy of the exercises."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "exercises", folder / "exercises")
    shutil.copy(ROOT / "book" / "errata.md", folder / "exercises")
    settings = folder / "settings" / "@jupyterlab"
    for plugin, values in {
        # All cells stay on the page, so that the test can find them.
        "notebook-extension/tracker": {"windowingMode": "none"},
        "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
        # What "Open With > Jupytext Notebook" does by hand.
        "docmanager-extension/plugin": {"defaultViewers": {"markdown": "Jupytext Notebook"}},
    }.items():
        file = settings / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    address = f"http://127.0.0.1:{free_port()}/"
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ip=127.0.0.1", "--allow-root"]
    command += [f"--port={address.split(':')[-1][:-1]}", "--IdentityProvider.token=", "--ServerApp.port_retries=0"]
    command += [f"--LabApp.user_settings_dir={settings.parent}", f"--ServerApp.root_dir={folder / 'exercises'}"]
    own = {"JUPYTER_CONFIG_DIR": str(folder / "config"), "IPYTHONDIR": str(folder / "ipython")}
    log = folder / "log"
    with log.open("w") as stream:
        server = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, env=os.environ | own)
    try:
        for _ in range(150):
            try:
                urllib.request.urlopen(f"{address}api", timeout=2).close()
                break
            except OSError:
                time.sleep(0.2)
        else:
            pytest.fail(f"JupyterLab did not start:\n{log.read_text()}")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


@pytest.fixture(scope="module")
def notebook(lab, browser):
    """The exercise, open in JupyterLab with its imports run."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    page = context.new_page()
    page.goto(f"{lab}lab/tree/preliminaries.ipynb")
    page.wait_for_selector(".jp-Notebook")
    # A cell that is run before the kernel is there makes JupyterLab ask for a kernel.
    page.get_by_text("| Idle").first.wait_for(timeout=120_000)
    run(page, cell(page, "from lazy_course.grading import"))
    yield page
    context.close()


def cell(page, text):
    """The first code cell that holds a text."""
    return page.locator(".jp-CodeCell").filter(has_text=text).first


def run(page, code_cell):
    """Run a cell and return what it printed."""
    code_cell.locator(".cm-content").press("Control+Enter")
    code_cell.locator(".jp-InputPrompt").filter(has_text=re.compile(r"\[\d+\]")).wait_for(timeout=60_000)
    return code_cell.locator(".jp-OutputArea").inner_text()


def self_check(page, answer=None):
    """Write an answer (or leave the cell as it is), run it, and return what the self-check says."""
    name = re.search(r"def (\w+)\(", QUESTION.answer).group(1)
    editor = cell(page, f"def {name}(")
    if answer is not None:
        editor.locator(".cm-content").fill(answer)
    run(page, editor)
    return run(page, cell(page, f'selfcheck("{QUESTION.id}")'))


def test_the_self_check_answers_in_the_browser(notebook):
    assert "write your answer" in self_check(notebook).lower()
    assert "something is off" in self_check(notebook, QUESTION.wrongs[0].source)
    right = self_check(notebook, source.cut(QUESTION.answer, "", None))
    assert "agree" in right
    assert "not yet" not in right


def test_a_page_of_the_book_opens_as_a_notebook(lab, browser):
    context = browser.new_context()
    page = context.new_page()
    # A workspace of its own: the common one may open what the other test left open, hidden behind this page.
    page.goto(f"{lab}lab/workspaces/page/tree/errata.md")
    page.locator(".jp-Notebook .jp-MarkdownCell h1:visible").first.wait_for(timeout=60_000)
    # JupyterLab puts the cells in place one after the other.
    page.locator(".jp-Notebook .jp-CodeCell").filter(has_text="errata.as_markdown").first.wait_for(timeout=60_000)
    context.close()
