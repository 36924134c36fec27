"""The arrows between the statements: those of the register, which knows at least what the proofs name."""

import pytest

from lazy_course import registers
from tests.house.rules import ROOT, extension

graph = extension("claims_graph")


@pytest.mark.parametrize("stem", registers.chapters())
def test_what_a_proof_names_stands_in_the_register(stem):
    declared = {name: set(row.get("depends", [])) for name, row in graph.rows(stem).items()}
    named = graph.cited(stem)
    assert set(named) <= set(declared)
    assert {name: others - declared[name] for name, others in named.items() if others - declared[name]} == {}


def test_the_proofs_name_many():
    assert sum(len(others) for stem in registers.chapters() for others in graph.cited(stem).values()) > 15


@pytest.mark.parametrize("stem", registers.chapters())
def test_the_drawing_has_every_arrow_and_only_downwards(stem):
    edges = {name: row.get("depends", []) for name, row in graph.rows(stem).items() if row.get("depends")}
    table = graph.layers(edges)
    level = {name: i for i, row in enumerate(table) for name in row}
    assert all(level[other] < level[name] for name, others in edges.items() for other in others)
    names = {*edges, *(other for others in edges.values() for other in others)}
    drawn = graph.drawing(stem, {name: ("Lemma 1", name) for name in names}, {name: f"#{name}" for name in names})
    assert drawn.count("marker-end") == sum(map(len, edges.values()))
    assert {name for name in names if f'href="#{name}"' in drawn} == names


def test_a_circle_is_refused():
    with pytest.raises(ValueError, match="cannot go round"):
        graph.layers({"a": ["b"], "b": ["a"]})


def test_every_chapter_is_drawn():
    text = (ROOT / "book" / "dependencies.md").read_text()
    assert [stem for stem in registers.chapters() if f"{{claims-graph}} {stem}\n" not in text] == []
