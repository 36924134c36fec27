"""Problem sets of an instructor's own, and the ready variants of the public ones.

What is covered where: here every question of every set in one variant (one secret), replayed in one process: the
solution, its self-check, a second seed, the stub and the public solution. Every value of every parameter, with all
planted answers, is `lazy-course lint --variants`.
"""

import json
import re
import tomllib
import zipfile

import pytest

from lazy_course import cli
from lazy_course.grading import generate, grade, isolation, notebooks, release, source, variants
from lazy_course.grading.compare import payload_difference
from lazy_course.grading.errors import GradingError
from lazy_course.grading.lint import disagreement, lint
from lazy_course.grading.replay import cells, replay
from lazy_course.grading.sandbox import Bubblewrap
from tests.grading import tiny

ROOT = tiny.DATA.parents[2]
SOURCES = sorted((ROOT / "solutions").glob("*.md"))
SECRET = b"a secret that only a test knows"
TABLE = r"""
[double]
draw.c = [3, 5, 7]
swap = [['Write a function that doubles.', 'Write a function that multiplies by <<c>>.'], ['= 2.0', '= <<c>>.0'],
  ['3.0 + 3.0', '3.0 * <<c>>'], ['3 * x', '4 * x'], ['plus itself', 'plus itself, <<c>> times']]

[gradient]
draw.f = [{tex = '\tfrac32', code = '3'}, {tex = '\tfrac52', code = '5'}]
swap = [['\tfrac12', '<<f.tex>>'], ['return -matrix', 'return <<f.code>> * -matrix'],
  ['(2), says', '(2) * <<f.code>>, says']]

[is-lazy]
draw.base = [2, 4, 8]
swap = [['math.log(scale)', 'math.log(scale, <<base>>)'], ['the logarithm of', 'the logarithm to the base <<base>> of']]
"""


@pytest.fixture
def course(tmp_path):
    """A course with the tiny set and its table of variants."""
    (tmp_path / "course" / "solutions" / "variants").mkdir(parents=True)
    (tmp_path / "course" / "solutions" / "tiny.md").write_bytes(tiny.TINY.read_bytes())
    (tmp_path / "course" / "solutions" / "variants" / "tiny.toml").write_text(TABLE)
    (tmp_path / "secret.txt").write_bytes(SECRET + b"\n")
    return tmp_path / "course"


def _drawn(path, secret):
    """The variant of a public set that a secret draws."""
    return variants.vary(path, variants.drawn(secret, path.stem))


@pytest.fixture(scope="module")
def public_variants():
    return {path.stem: source.parse(_drawn(path, SECRET), stem=path.stem) for path in SOURCES}


@pytest.mark.slow
def test_each_variant_is_solved_by_its_own_solution_and_not_by_the_public_one(public_variants):
    jobs = []
    for path in SOURCES:
        problems, public = public_variants[path.stem], source.read(path)
        answers = {item.id: notebooks.answer_source(item, solved=True) for item in public.automatic}
        stubs = {item.id: notebooks.answer_source(item, solved=False) for item in problems.automatic}
        jobs += [
            {"seed": 1, "cells": cells(problems, {}, selfchecks=True)},
            {"seed": 2, "cells": cells(problems, {})},
            {"seed": 1, "cells": cells(problems, answers)},
            {"seed": 1, "cells": cells(problems, stubs)},
        ]
    shown = iter(replay(jobs))
    faults, count = [], 0
    for path in SOURCES:
        solved, other, public, blank = (next(shown) for _ in range(4))
        for question in public_variants[path.stem].automatic:
            name, count = f"{path.stem}: {question.id}", count + 1
            wanted, tolerance = solved.payloads[question.id], {"rtol": question.rtol, "atol": question.atol}
            if fault := disagreement(question.id, solved.printed):
                faults.append(f"{path.stem}: {fault}")
            if any(case["kind"] == "error" for case in wanted["cases"]):
                faults.append(f"{name}: the solution stops with {wanted['cases']}")
            for run, what in ((other, "another seed"), (public, "the public solution"), (blank, "the stub")):
                if payload_difference(run.payloads.get(question.id), wanted, **tolerance) is None:
                    faults.append(f"{name}: {what} gives the same values")
    assert faults == []
    assert count == sum(len(source.read(path).automatic) for path in SOURCES) > 60


def test_a_variant_holds_the_public_solution_as_a_planted_answer(public_variants):
    """So that lint and the check of an archive know it."""
    for path in SOURCES:
        for question, public in zip(public_variants[path.stem].automatic, source.read(path).automatic, strict=True):
            assert question.wrongs[-1] == source.Wrong(variants.PUBLIC, source.cut(public.answer, "", None))
            assert question.answer != public.answer
            assert (question.id, question.points, question.rtol) == (public.id, public.points, public.rtol)


def test_a_secret_decides_and_another_one_decides_otherwise():
    path = ROOT / "solutions" / "preliminaries.md"  # the fewest values: 8 ** 3 variants
    texts = [_drawn(path, secret) for secret in (SECRET, SECRET, SECRET + b"!", SECRET + b"?")]
    assert texts[0] == texts[1]
    assert len(set(texts)) == 3


def test_no_text_of_a_table_is_left_and_every_value_is_sound():
    """Every value of every table gives a set that can be read, without a place that nothing fills."""
    for path in SOURCES:
        texts = list(variants.every(path))
        assert len(set(texts)) == len(texts) >= 4
        assert [text for text in texts if re.search(r"<<[a-z]", text)] == []


def test_the_command_writes_sets_that_lint_passes(course, capsys):
    """And again: the same bytes; an edited set is not written over."""
    out = course.parent / "mine"
    arguments = ["variant", str(course.parent / "secret.txt"), str(out), "--course", str(course)]
    assert _left(arguments) == 0
    assert capsys.readouterr().out == f"{out / 'tiny.md'}\n"
    first = (out / "tiny.md").read_bytes()
    assert lint(out / "tiny.md") == []
    assert _left(arguments) == 0
    assert (out / "tiny.md").read_bytes() == first
    (out / "tiny.md").write_bytes(first.replace(b'"points": 2', b'"points": 20'))
    assert _left(arguments) == 2
    assert "exists and differs (another secret, or your own edits); --force" in capsys.readouterr().err
    assert _left([*arguments, "--force"]) == 0
    assert (out / "tiny.md").read_bytes() == first


def _left(arguments):
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    return left.value.code


def test_lint_says_where_a_selfcheck_contradicts_the_solution(tmp_path):
    path = tmp_path / "tiny.md"
    path.write_text(tiny.TINY.read_text().replace("3.0 + 3.0", "3.0 + 4.0").replace("np.ones(2), says", "1 / 0, says"))
    assert lint(path) == [
        "double: its self-check says of the solution: not yet: twice is the sum with itself: 6 came, 7 is needed "
        "(gap 1) (ratio 0.857)",
        "gradient: its self-check says of the solution: your code stopped with ZeroDivisionError: division by zero",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("draw.c = [3, 5, 7]", "draw.c = [3, 5, 7", "tiny.toml is not TOML: "),
        ("draw.c = [3, 5, 7]", "", "tiny.toml, question double: it needs draw (the values) and swap (pairs of texts)"),
        ("draw.c = [3, 5, 7]", "draw.c = [3]", "draw.c needs a list of two or more different values, got [3]"),
        ("draw.c = [3, 5, 7]", "draw.c = [3, 3]", "two or more different values, got [3, 3]"),
        ("draw.c = [3, 5, 7]", "draw = 3", "question double: draw needs a name with its values"),
        ("draw.c = [3, 5, 7]", "draw.c = [3, 5]\ndraw.d = [1, 2]", "<<d>> is drawn, but stands in no swap"),
        ("<<c>>.0", "<<e>>.0", "<<e>> stands in a swap, but no draw gives it"),
        ("'3'}", "'3', more = '4'}", "the values of draw.f do not all have the same parts"),
        ("['= 2.0', '= <<c>>.0']", "['= 2.0']", "question double: swap needs pairs of texts"),
        ("['= 2.0', '= <<c>>.0']", "['', '= <<c>>.0']", "question double: swap needs pairs of texts"),
        (
            "['= 2.0', ",
            "['= 2.5', ",
            "question double: '= 2.5' stands nowhere in the question (did its source change?)",
        ),
        ("['= 2.0', '= <<c>>.0']", "['### BEGIN SOLUTION', '<<c>>']", "question double: END SOLUTION without BEGIN"),
        ("[double]", "[treble]", "tiny.toml: the set has no question treble that the grader marks"),
        ("[is-lazy]", "[proof]", "the set has no question proof that the grader marks"),
    ],
)
def test_a_table_that_is_not_sound_is_refused(old, new, message, course):
    assert old in TABLE
    path = course / "solutions" / "tiny.md"
    (path.parent / "variants" / "tiny.toml").write_text(TABLE.replace(old, new, 1))
    with pytest.raises(GradingError) as caught:
        list(variants.every(path))
    assert message in str(caught.value)


def test_every_question_needs_a_variant(course):
    path = course / "solutions" / "tiny.md"
    (path.parent / "variants" / "tiny.toml").write_text(TABLE.partition("[is-lazy]")[0])
    with pytest.raises(variants.TableError, match=r"tiny\.toml: no variant of question is-lazy"):
        list(variants.every(path))
    (path.parent / "variants" / "tiny.toml").unlink()
    with pytest.raises(variants.TableError, match=r"tiny has no table of variants, .*tiny\.toml"):
        list(variants.every(path))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["variant", "short.txt", "out"], "short.txt holds 15 bytes, and a secret needs 16 or more; make one with"),
        (["variant", "nowhere.txt", "out"], "nowhere.txt"),
        (["variant", "secret.txt", "course/solutions/mine"], "lies in the folder of the public sets"),
        (["variant", "secret.txt", str(ROOT / "lazy_course" / "mine")], "lies in the package, which students get"),
        (["variant", "secret.txt", "out", "--stem", "other"], "does not hold other; it holds ['tiny']"),
        (["lint", "--sets", "nowhere"], "--sets nowhere is not a folder; it should hold a source <stem>.md"),
        (["lint", "--sets", "empty"], "--sets empty holds no <stem>.md; `lazy-course variant` makes some"),
        (["lint", "--sets", "readme"], "README: no question found"),
        (["release", "there", "--sets", "nowhere"], "--sets nowhere is not a folder"),
        (["grade", "subs", "--out", "o", "--no-sandbox", "--sets", "nowhere"], "--sets nowhere is not a folder"),
    ],
)
def test_a_bad_secret_or_folder_is_one_line_and_status_2(arguments, message, course, monkeypatch, capsys):
    monkeypatch.chdir(course.parent)
    for name in ("empty", "readme", "subs/ada"):
        (course.parent / name).mkdir(parents=True)
    (course.parent / "readme" / "README.md").write_text("# Mine\n")
    (course.parent / "short.txt").write_bytes(SECRET[:15] + b"\n\n")
    assert _left([*arguments, "--course", "course"]) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_generate_takes_the_folder_too(tmp_path, capsys):
    assert generate.main(["--sets", str(tmp_path / "nowhere")]) == 2
    assert "is not a folder" in capsys.readouterr().err
    (tmp_path / "tiny.md").write_bytes(tiny.TINY.read_bytes())
    assert generate.main(["--sets", str(tmp_path), "--check"]) == 1
    said = capsys.readouterr().out
    for made in (tmp_path / "exercises" / "tiny.ipynb", tmp_path / "tiny.ipynb"):
        assert f"{made} is missing" in said


def test_the_archive_of_variants_gives_nothing_away(tmp_path):
    """The public course's own archive command on drawn sets: exercises of the folder, no secret, table or solution."""
    (tmp_path / "secret.txt").write_bytes(SECRET)
    written = variants.write(ROOT, tmp_path / "secret.txt", tmp_path / "mine", ["criterion", "preliminaries"])
    (tmp_path / "mine" / "own.md").write_bytes(tiny.TINY.read_bytes())
    (tmp_path / "mine" / "notes.txt").write_bytes(SECRET)
    packed = zipfile.ZipFile(release.release(ROOT, tmp_path / "x.zip", sets=tmp_path / "mine"))
    names = {
        name.removeprefix("lazy-course/"): packed.read(name).decode("utf-8", "replace") for name in packed.namelist()
    }
    exercises = {name: text for name, text in names.items() if name.endswith(".ipynb")}
    assert set(exercises) == {f"exercises/{stem}.ipynb" for stem in ("criterion", "own", "preliminaries")}
    assert not any(name.startswith("solutions") or "notes" in name for name in names)
    assert not any(SECRET.decode() in text for text in names.values())
    for path in written:
        text = exercises[f"exercises/{path.stem}.ipynb"]
        public, private = source.read(ROOT / "solutions" / path.name), source.read(path)
        assert release.leaks(text, private) == []
        assert release.leaks(text, public) == []
        table = tomllib.loads((ROOT / "solutions" / "variants" / f"{path.stem}.toml").read_text())
        assert not any("<<" in text or "draw" in text.split() for text in json.loads(text)["cells"][0]["source"])
        assert not any(str(entry["draw"]) in text for entry in table.values())
    question = source.read(ROOT / "solutions" / "criterion.md").automatic[0]
    answer = source.cut(question.answer, "", None).encode()
    with pytest.raises(GradingError, match="would give away the solution of criterion"):
        release.verify({"exercises/criterion.ipynb": answer}, [source.read(written[0])])


@pytest.mark.slow
def test_own_sets_are_graded_with_their_own_points_and_solutions(course, tmp_path):
    """Through nbval: the variant's solution gets all of the changed points, the public one nothing."""
    variants.write(course, tmp_path / "secret.txt", tmp_path / "mine")
    mine = tmp_path / "mine" / "tiny.md"
    text = mine.read_text().replace('"points": 2', '"points": 20').replace("(2 points)", "(20 points)")
    mine.write_text(text)
    problems = source.read(mine)
    assert [question.points for question in problems.questions] == [20.0, 3.0, 1.0, 4.0]
    for student, notebook in (("ada", notebooks.solution(problems)), ("bob", notebooks.solution(tiny.problems()))):
        (tmp_path / "subs" / student).mkdir(parents=True)
        (tmp_path / "subs" / student / "tiny.ipynb").write_bytes(notebooks.to_bytes(notebook))
    settings = grade.Settings(
        course=course,
        submissions=tmp_path / "subs",
        out=tmp_path / "out",
        isolation=isolation.Unprotected(),
        workers=2,
        sets=tmp_path / "mine",
    )
    totals = {record["student"]: record["total"] for record in grade.grade(settings, lambda line: None)}
    assert totals == {"ada": 24.0, "bob": 0}


def test_a_folder_that_students_code_could_read_is_refused(course, monkeypatch):
    monkeypatch.setattr(grade, "sees", lambda path: path.name == "mine")
    variants.write(course, course.parent / "secret.txt", course.parent / "mine")
    settings = grade.Settings(
        course=course,
        submissions=course.parent,
        out=course.parent / "out",
        isolation=Bubblewrap(),
        sets=course.parent / "mine",
    )
    with pytest.raises(GradingError, match="mine lies in a folder that the sandbox shows"):
        grade.grade(settings)
