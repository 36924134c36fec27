"""A problem set of six one-line questions and an import of JAX, for two graders: the same questions in both forms."""

import json
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

STEM = "one_line"
CASES = 3
# Name, right answer, two wrong ones: each the body of a function of an array of four numbers.
QUESTIONS = {
    "doubled": ("2 * x", "3 * x", "x**2"),
    "total": ("jnp.sum(x)", "jnp.mean(x)", "jnp.max(x)"),
    "length": ("jnp.sqrt(x @ x)", "x @ x", "jnp.sum(jnp.abs(x))"),
    "slope": ("jax.grad(lambda z: jnp.sum(z**3))(x)", "2 * x**3", "-3 * x**2"),
    "outer": ("jnp.outer(x, x)", "x * x", "x @ x"),
    "softened": ("jnp.logaddexp(x, 0.0)", "jnp.maximum(x, 0.0)", "jnp.log1p(x**2)"),
}
IMPORTS = "import jax\nimport jax.numpy as jnp\nimport numpy as np"
HEAD = """---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec: {display_name: Python 3, language: python, name: python3}
---
"""


def function(name: str, body: str) -> str:
    """An answer cell."""
    return f"def {name}(x):\n    return {body}"


def stub(name: str) -> str:
    """What a student finds in an answer cell of either form."""
    return f"def {name}(x):\n    raise NotImplementedError"


def chosen(student: int) -> dict[str, str]:
    """What student number `student` wrote: every fifth has wrong answers, every tenth has left two out."""
    answers = {name: function(name, bodies[0]) for name, bodies in QUESTIONS.items()}
    names = list(QUESTIONS)
    if student % 5 == 1:
        for i in (1, 2):
            wrong = names[(student // 5 + i) % len(names)]
            answers[wrong] = function(wrong, QUESTIONS[wrong][i])
    if student % 10 == 3:
        for i in (0, 3):
            del answers[names[(student // 10 + i) % len(names)]]
    return answers


def points(student: int) -> int:
    """The points of student number `student`: one for each right answer."""
    right = {name: function(name, bodies[0]) for name, bodies in QUESTIONS.items()}
    return sum(chosen(student).get(name) == text for name, text in right.items())


def _cell(options: dict, code: str) -> str:
    return f"```{{code-cell}} ipython3\n---\nlazy_course: {json.dumps(options)}\n---\n{code}\n```\n"


def source() -> str:
    """The problem set as this course's grader reads it."""
    parts = [
        HEAD,
        "# Six questions\n",
        f"```{{code-cell}} ipython3\n{IMPORTS}\n\nfrom lazy_course.grading import probe\n```\n",
    ]
    for name, (right, *wrongs) in QUESTIONS.items():
        about = {"role": "statement", "question": name, "points": 1, "rtol": 1e-6, "atol": 1e-9, "hint": "One line."}
        parts.append(f"+++ {json.dumps({'lazy_course': about})}\n\nWrite {name}.\n")
        solved = f"def {name}(x):\n    ### BEGIN SOLUTION\n    return {right}\n    ### END SOLUTION"
        parts.append(_cell({"role": "answer", "question": name}, solved))
        parts.append(_cell({"role": "check", "question": name}, f"{name}(jnp.ones(4))"))
        probe = f'probe.show("{name}", lambda rng: {name}(jnp.asarray(rng.normal(size=4))), cases={CASES})'
        parts.append(_cell({"role": "probe", "question": name}, f"from lazy_course.grading import probe\n\n{probe}"))
        for i, wrong in enumerate(wrongs):
            parts.append(_cell({"role": "wrong", "question": name, "mistake": str(i)}, function(name, wrong)))
    return "\n".join(parts)


def _graded(name: str, *, solution: bool) -> dict:
    common = {
        "schema_version": 3,
        "grade_id": name,
        "locked": not solution,
        "solution": solution,
        "grade": not solution,
    }
    return {"nbgrader": common | {"task": False, "cell_type": "code"} | ({} if solution else {"points": 1})}


def _test(name: str) -> str:
    """nbgrader's cell of tests: as many cases, each against the values of the right answer at fixed inputs."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    names: dict = {"jax": jax, "jnp": jnp}
    exec(function(name, QUESTIONS[name][0]), names)
    draws = np.random.default_rng(len(name))
    lines = []
    for _ in range(CASES):
        inputs = draws.normal(size=4).tolist()
        wanted = np.asarray(names[name](jnp.asarray(inputs)))
        lines += [f"answer = np.asarray({name}(jnp.asarray({inputs})))", f"assert answer.shape == {wanted.shape}"]
        lines.append(f"assert np.allclose(answer, {wanted.tolist()}, rtol=1e-6, atol=1e-9)")
    return "\n".join(lines)


def for_nbgrader() -> nbformat.NotebookNode:
    """The problem set as nbgrader's source notebook, with the solutions in it."""
    setup = f"{IMPORTS}\n\njax.config.update('jax_enable_x64', True)"
    cells = [new_markdown_cell("# Six questions"), new_code_cell(setup)]
    for name, (right, *_) in QUESTIONS.items():
        solved = f"def {name}(x):\n    ### BEGIN SOLUTION\n    return {right}\n    ### END SOLUTION"
        cells.append(new_markdown_cell(f"Write {name}."))
        cells.append(new_code_cell(solved, metadata=_graded(name, solution=True)))
        cells.append(new_code_cell(_test(name), metadata=_graded(f"{name}-test", solution=False)))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return new_notebook(cells=cells, metadata=kernel)


def handed_in(notebook: Path, student: int) -> bytes:
    """A released notebook of either form with the answers of a student."""
    content = nbformat.read(notebook, as_version=4)
    answers = chosen(student)
    for cell in content.cells:
        about = cell.metadata.get("nbgrader") or cell.metadata.get("lazy_course") or {}
        name = about.get("grade_id") or about.get("question")
        if name in answers and (about.get("solution") or about.get("role") == "answer"):
            cell.source = answers[name]
    return nbformat.writes(content).encode()
