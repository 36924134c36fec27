"""The reference of the package: every public module stands in it once, and its text is what the source says."""

import re

import pytest

from tests.house.rules import ROOT, extension

api = extension("api")


def test_every_module_stands_in_the_reference_once():
    pages = sorted((ROOT / "book" / "api").glob("*.md"))
    folders = [folder for page in pages for folder in re.findall(r"\{api\} (\S+)", page.read_text())]
    assert sorted(folders) == sorted({path.rpartition("/")[0] for path in api.modules()})
    toc = (ROOT / "_toc.yml").read_text()
    assert [page.stem for page in pages if f"file: book/api/{page.stem}\n" not in toc] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("w* is |x| with $a*b_c$ and `x_y`, <u, v>", r"w\* is \|x\| with $a*b_c$ and `x_y`, \<u, v\>"),
        ("$$\na_1 * b\n$$", "$$\na_1 * b\n$$"),
        ("Code:\n\n    with a_b(x) as c:\n        c[0] * 2", "Code:\n\n    with a_b(x) as c:\n        c[0] * 2"),
        ("Two:\n\n* one, `a`;\n* two, 3 * 4.", "Two:\n\n* one, `a`;\n* two, 3 \\* 4."),
        (
            "Args:\n    h_map: the map, for\n        all.\n    *rest: others",
            "- `h_map`: the map, for\n  all.\n- `*rest`: others",
        ),
    ],
)
def test_a_docstring_becomes_markdown(text, shown):
    assert api.markdown(text).endswith(shown)


def test_a_function_knows_the_pages_that_call_it():
    uses = api.uses()
    assert "criterion" in uses["lazy_course.criterion.figures.opening"]
    assert uses["lazy_course.kernels.tangent_kernel"]
    (node,) = (n for n in api.public(ROOT / "lazy_course" / "criterion" / "figures.py") if n.name == "opening")
    entry = api.entry("lazy_course/criterion/figures.py", node, "book/api/criterion")
    assert "{doc}`/book/criterion`" in entry
    assert re.search(r'href="\.\./\.\./code/lazy_course/criterion/figures\.html#line-\d+"', entry)
