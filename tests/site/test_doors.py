"""The doors out of the book: notebooks that open and run, buttons that need an address, search, cards."""

import re
import types

import nbformat
import pytest
from nbclient import NotebookClient

from tests.house.rules import ROOT, extension
from tests.site.test_pages import TOC

pytestmark = pytest.mark.site

CHAPTERS = [chapter["file"] for part in TOC["parts"] for chapter in part["chapters"]]
TERMS = {
    "preliminaries": ["adjoint", "polarization", "gronwall", "łojasiewicz", "singular value"],
    "criterion": ["alignment", "homogeneous", "kappa", "sufficient", "markov"],
    "finite_horizon": ["horizon", "gronwall", "travel", "lipschitz", "cauchy"],
    "uniform_bounds": ["stability", "discrepancy", "log-cosh", "path length", "cosh"],
    "ntk": ["price", "read-out", "covariance", "bayesian", "contraction"],
    "implicit_bias": ["jensen", "minimizer", "diagonal", "sparse", "transition"],
    "two_layer": ["teacher", "plateau", "twin", "hatched", "half space"],
    "convnets": ["momentum", "eigenvalue", "kink", "softplus", "centring"],
    "report": ["verdict", "drift", "monitor", "equinox", "fine-tuning"],
}


doors = extension("doors")


def links(html, page):
    text = (html / f"{page}.html").read_text()
    return re.findall(r'<a href="([^"]+\.ipynb)"', text)


def test_every_page_with_cells_and_every_problem_set_is_a_notebook(html):
    seen = 0
    for page in CHAPTERS:
        source = ROOT / f"{page}.md"
        if source.exists() and "{code-cell}" not in source.read_text():
            assert links(html, page) == []
            continue
        (link,) = links(html, page)
        file = (html / f"{page}.html").parent / link
        notebook = nbformat.read(file, as_version=4)
        nbformat.validate(notebook)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert cells, page
        if source.exists():
            assert len(cells) == len(re.findall(r"^`{3,}\{code-cell\}", source.read_text(), re.M))
        seen += 1
    assert seen >= 2 * len(TERMS)


@pytest.mark.slow
def test_a_downloaded_page_runs(html):
    notebook = nbformat.read(html / "_sources" / "book" / "errata.ipynb", as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    assert "P9" in str(notebook.cells)


def test_without_an_address_there_is_no_button_that_needs_one(html):
    for page in CHAPTERS:
        text = (html / f"{page}.html").read_text()
        assert not re.search(r"mybinder|colab\.research|source-issues-button|source-edit-button|launch-buttons", text)


def test_with_an_address_the_buttons_open():
    for url in ("", "https://github.com/someone/lazy-course"):
        config = types.SimpleNamespace(
            html_theme_options={"repository_url": url, "launch_buttons": {"binderhub_url": "b"}}
        )
        doors.open_or_close(None, config)
        options = config.html_theme_options
        assert [options[name] for name in doors.SOURCE_BUTTONS] == [bool(url)] * 3
        assert bool(options["launch_buttons"]) == bool(url)


def test_every_page_has_a_title_and_a_description(html):
    found = {}
    for page in CHAPTERS:
        text = (html / f"{page}.html").read_text()
        title = re.search(r"<title>([^<]+)</title>", text).group(1)
        (words,) = re.findall(r'<meta name="description" content="([^"]+)" />', text)
        assert 30 < len(words) <= 260, (page, words)
        assert re.search(r'<meta property="og:title" content="[^"]+" />', text)
        found[page] = (title.strip(), words)
    assert len({title for title, _ in found.values()}) == len(found)


@pytest.mark.parametrize("stem", sorted(TERMS))
def test_search_finds_the_terms_of_a_chapter(searching, stem):
    for term in TERMS[stem]:
        found = [index for index, link in enumerate(searching(term)) if f"/book/{stem}.html" in link]
        # The chapters come before the reference, whose many names would hide them.
        assert found, term
        assert found[0] < 12, term


@pytest.fixture(scope="module")
def searching(visit):
    """Search the built book in the browser, with every other host blocked: term -> addresses found."""
    seen = visit("search.html")

    def search(term):
        seen.page.goto(f"{seen.address}search.html?q={term}")
        seen.page.get_by_text("Search finished").wait_for()
        # The search asks for the pages that it found, and leaves when the next term comes: those requests may break.
        assert [fault for fault in seen.faults if not fault.startswith("failed")] == []
        return seen.page.locator("#search-results li a").evaluate_all("links => links.map(link => link.href)")

    return search
