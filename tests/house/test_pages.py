"""Pages call and do not define; their figures are described; their statements stand in the register of claims."""

import pytest

from lazy_course import claims, errata, registers
from tests.house import rules

PAGES = sorted((rules.ROOT / "book").glob("*.md"))
WITH_CODE = [p for p in PAGES if "{code-cell}" in p.read_text()]
CHAPTERS = sorted(rules.chapters(rules.ROOT))


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda p: p.stem)
def test_a_page_defines_no_numerics(page):
    assert list(rules.cells(page)), "a page with code cells in which none was found"
    assert rules.page_faults(page) == []
    assert rules.figure_faults(page) == []


@pytest.mark.parametrize("planted", ["def f():\n    pass", "class C:\n    pass", "for i in range(3):\n    i"])
def test_numerics_in_a_page_are_seen(tmp_path, planted):
    page = tmp_path / "page.md"
    page.write_text(f"# T\n\n```{{code-cell}} ipython3\n:tags: [hide-input]\n{planted}\n```\n")
    assert len(rules.page_faults(page)) == 1


def test_a_figure_without_alt_text_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```{code-cell} ipython3\n---\nmystnb:\n  figure:\n    caption: c\n---\ndraw()\n```\n")
    assert len(rules.figure_faults(page)) == 1


@pytest.mark.parametrize("stem", CHAPTERS)
def test_every_statement_has_a_row_and_every_row_a_statement(stem):
    found, rows = rules.labels(rules.ROOT / "book" / f"{stem}.md"), claims.load(stem)
    assert found, "a chapter without a statement"
    assert "" not in found, "a statement without a label"
    assert sorted(found) == sorted(row.id for row in rows)
    assert all(row.id.startswith(stem.replace("_", "-") + "-") for row in rows)


def test_an_unlabelled_statement_is_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```{prf:lemma} A name\n:label: x-a\n\nText\n```\n\n```{prf:theorem} A name\n\nText\n```\n")
    assert rules.labels(page) == ["x-a", ""]


@pytest.mark.parametrize("stem", CHAPTERS)
def test_every_row_names_tests_that_are_collected(stem):
    tests = [test for row in claims.load(stem) for test in row.tests]
    tests += [row.check for row in errata.load(stem) if row.check]
    assert [test for test in tests if not rules.is_collected(test, rules.ROOT)] == []


@pytest.mark.parametrize("name", ["tests/house/test_pages.py::test_absent", "tests/house/rules.py::labels", "x"])
def test_a_test_that_is_not_collected_is_seen(name):
    assert not rules.is_collected(name, rules.ROOT)


def test_claims_rest_on_claims():
    rows = {row.id: row for stem in CHAPTERS for row in claims.load(stem)}
    assert {other for row in rows.values() for other in row.depends} <= set(rows)


def test_ids_are_given_once():
    ids = [row.id for stem in CHAPTERS for row in (*claims.load(stem), *errata.load(stem))]
    assert sorted(ids) == sorted(set(ids))


@pytest.mark.parametrize("register", ["claims", "errata"])
def test_every_chapter_is_shown_on_the_register_pages(register):
    text = (rules.ROOT / "book" / f"{register}.md").read_text()
    assert [stem for stem in registers.chapters() if f'as_markdown("{stem}")' not in text] == []
    assert set(registers.chapters()) == set(CHAPTERS)


def test_a_bad_row_is_refused():
    with pytest.raises(ValueError, match="evidence"):
        claims.Claim("a", "t", "s", "h", "source", evidence=("guessed",), tests=("t",))
    with pytest.raises(ValueError, match="tests"):
        claims.Claim("a", "t", "s", "h", "source", evidence=("cited",), tests=())
    with pytest.raises(ValueError, match="either check"):
        errata.Erratum("P1", "problems", "here", "a", "b", "wrong")
    with pytest.raises(ValueError, match="stem"):
        claims.load("nowhere")
