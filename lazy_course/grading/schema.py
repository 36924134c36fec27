"""The form of grades.json: a JSON Schema that comes with the package, and how grades are read by it."""

import functools
import importlib.resources
import json
from pathlib import Path
from typing import Any

import jsonschema

from lazy_course.grading.errors import GradingError

NAME = "urn:lazy-course:grades:1"
_FILE = "grades.schema.json"


@functools.cache
def validator() -> jsonschema.Draft202012Validator:
    """Tells what is wrong with the content of a grades.json."""
    text = importlib.resources.files("lazy_course.grading").joinpath(_FILE).read_text(encoding="utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def read_grades(folder: Path) -> dict[str, Any]:
    """The content of `folder`/grades.json; GradingError if it is not there or not in the form of the schema."""
    path = folder / "grades.json"
    if not path.is_file():
        raise GradingError(f"{path} is not there; `lazy-course grade SUBMISSIONS --out {folder}` writes it")
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise GradingError(f"{path} does not hold valid JSON ({error}); grade again") from error
    fault = next(validator().iter_errors(content), None)
    if fault is not None:
        raise GradingError(f"{path} is not in the form {NAME}: {fault.json_path}: {fault.message[:200]}; grade again")
    return content
