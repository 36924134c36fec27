"""Sections of a record: each is written as it is done, beside those that are there; a wrong name costs nothing."""

import json

import pytest

from lazy_course import sections

KNOWN = {"thirds": lambda: {"values": [1 / 3, (2, 0.25)], "count": 3}, "halves": lambda: {"values": [0.5]}}


def _content(file):
    return json.loads(file.read_text())


def test_a_section_is_written_beside_the_others(tmp_path, capsys):
    file = tmp_path / "measured.json"
    file.write_text('{"older": 1}\n')
    sections.compute(file, KNOWN, ["thirds"], packages=("jax",), digits=3)
    found = _content(file)
    assert found["older"] == 1
    assert found["thirds"]["values"] == [0.333, [2, 0.25]]
    assert found["thirds"]["count"] == 3
    assert set(found["thirds"]) == {"values", "count", "seconds", "machine", "versions"}
    assert set(found["thirds"]["versions"]) == {"jax"}
    sections.compute(file, KNOWN, [], packages=())
    assert list(_content(file)) == ["older", "thirds", "halves"]
    assert _content(file)["thirds"]["values"][0] == 1 / 3
    assert [path.name for path in tmp_path.iterdir()] == ["measured.json"]
    assert capsys.readouterr().out == "thirds\nthirds\nhalves\n"


def test_an_unknown_name_computes_nothing(tmp_path):
    with pytest.raises(ValueError, match=r"section: expected some of \['halves', 'thirds'\], got \['quarters'\]"):
        sections.compute(tmp_path / "measured.json", KNOWN, ["halves", "quarters"], packages=())
    assert list(tmp_path.iterdir()) == []
