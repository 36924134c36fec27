"""Answers as plain JSON: what a probe sends out of a student's kernel, and how it is read again.

A value becomes a small dictionary with its kind, so that nothing of Python's own objects (and no `__eq__` of
theirs) crosses the border:

    {"kind": "none"}   {"kind": "bool", "value": true}   {"kind": "int", "value": 3}   {"kind": "str", "value": "a"}
    {"kind": "float", "value": 0.5}                   or "nan", "inf", "-inf" as text: JSON has no such numbers
    {"kind": "array", "dtype": "float", "shape": [2, 2], "data": [...]}       row by row; dtype float, int or bool
    {"kind": "list", "items": [...]}   {"kind": "dict", "items": {"name": ...}}          tuples are lists

A NumPy or JAX array without axes is a scalar. `encode` runs in the student's kernel; `decode` runs in the grader
and trusts nothing: a wrong kind, a shape that does not fit or too large a value is a ValueError.
"""

import math
import sys
from typing import Any

import numpy as np

MIME = "application/vnd.lazy-course.probe+json"
MAX_NUMBERS = 20_000  # leaves of one probe, all cases together
MAX_TEXT = 10_000  # characters of one string
MAX_DEPTH = 8  # lists in lists
MAX_BITS = 1024  # of one integer
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Budget:
    """Counts the leaves of a value, so that a large one is refused before it is built or compared."""

    def __init__(self, limit: int = MAX_NUMBERS) -> None:
        self.left = limit

    def spend(self, amount: int) -> None:
        """Raise ValueError once more than the limit was spent."""
        self.left -= amount
        if self.left < 0:
            raise ValueError(f"the answer is too large: a probe shows at most {MAX_NUMBERS} numbers")


def encode(value: Any, budget: Budget | None = None, depth: int = 0) -> dict[str, Any]:
    """Turn an answer into the JSON form above; raise ValueError for a type or a size that has none."""
    budget = budget or Budget()
    if depth > MAX_DEPTH:
        raise ValueError(f"the answer nests more than {MAX_DEPTH} lists in each other")
    if _is_array(value):
        if value.ndim > 0:
            return _encode_array(value, budget)
        value = np.asarray(value).item()
    budget.spend(1)
    if value is None:
        return {"kind": "none"}
    if isinstance(value, (bool, np.bool_)):
        return {"kind": "bool", "value": bool(value)}
    if isinstance(value, (int, np.integer)):
        return {"kind": "int", "value": _integer(int(value))}
    if isinstance(value, (float, np.floating)):
        return {"kind": "float", "value": _number(float(value))}
    if isinstance(value, str):
        return {"kind": "str", "value": _text(str(value))}
    if isinstance(value, (list, tuple)):
        return {"kind": "list", "items": [encode(item, budget, depth + 1) for item in value]}
    if isinstance(value, dict):
        items = {_text(str(key)): encode(item, budget, depth + 1) for key, item in value.items()}
        return {"kind": "dict", "items": dict(sorted(items.items()))}
    raise ValueError(
        f"the answer is a {type(value).__name__}; return a number, a string, None, an array, or lists or "
        "dictionaries of these"
    )


def _is_array(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return True
    jax = sys.modules.get("jax")  # a value can only be a JAX array once JAX was imported
    return jax is not None and isinstance(value, jax.Array)


def _encode_array(value: Any, budget: Budget) -> dict[str, Any]:
    budget.spend(int(value.size) + 1)
    array = np.asarray(value)
    if array.dtype == np.bool_:
        dtype, data = "bool", array.ravel().tolist()
    elif np.issubdtype(array.dtype, np.integer):
        dtype, data = "int", array.ravel().tolist()
    elif np.can_cast(array.dtype, np.float64) or array.dtype.kind in "fV":
        dtype, data = "float", [_number(x) for x in array.astype(np.float64).ravel().tolist()]
    else:
        raise ValueError(f"the answer is an array of {array.dtype}; return real numbers, integers or booleans")
    return {"kind": "array", "dtype": dtype, "shape": list(array.shape), "data": data}


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


def _integer(value: int) -> int:
    if value.bit_length() > MAX_BITS:
        raise ValueError(f"the answer is an integer of more than {MAX_BITS} bits")
    return value


def _text(value: str) -> str:
    if len(value) > MAX_TEXT:
        raise ValueError(f"the answer is a string of more than {MAX_TEXT} characters")
    return value


def decode(encoded: Any, budget: Budget | None = None, depth: int = 0) -> Any:
    """Read the JSON form again: None, bool, int, float, str, array, list or dict; ValueError if malformed."""
    budget = budget or Budget()
    budget.spend(1)
    if depth > MAX_DEPTH or not isinstance(encoded, dict):
        raise ValueError("a value is not in the form that a probe writes")
    kind, value = encoded.get("kind"), encoded.get("value")
    if kind == "none":
        return None
    if kind == "bool" and isinstance(value, bool):
        return value
    if kind == "int" and isinstance(value, int) and not isinstance(value, bool):
        return _integer(value)
    if kind == "float":
        return _decode_number(value)
    if kind == "str" and isinstance(value, str):
        return _text(value)
    if kind == "array":
        return _decode_array(encoded, budget)
    items = encoded.get("items")
    if kind == "list" and isinstance(items, list):
        return [decode(item, budget, depth + 1) for item in items]
    if kind == "dict" and isinstance(items, dict):
        return {_text(str(key)): decode(item, budget, depth + 1) for key, item in items.items()}
    raise ValueError("a value is not in the form that a probe writes")


def _plain_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _decode_number(value: Any) -> float:
    if isinstance(value, str) and value in _NOT_FINITE:
        return _NOT_FINITE[value]
    if isinstance(value, float) or _plain_int(value):
        try:
            return float(value)
        except OverflowError:
            pass
    raise ValueError("a number is not in the form that a probe writes")


def _decode_array(encoded: dict[str, Any], budget: Budget) -> np.ndarray:
    dtype, shape, data = encoded.get("dtype"), encoded.get("shape"), encoded.get("data")
    if dtype not in ("float", "int", "bool") or not isinstance(shape, list) or not isinstance(data, list):
        raise ValueError("an array is not in the form that a probe writes")
    budget.spend(len(data))
    if len(shape) > 32 or not all(_plain_int(size) and 0 <= size <= MAX_NUMBERS for size in shape):
        raise ValueError("an array has a shape that is none")
    if math.prod(shape) != len(data):
        raise ValueError("an array has another number of entries than its shape says")
    if dtype == "float":
        return np.array([_decode_number(x) for x in data], dtype=np.float64).reshape(shape)
    if dtype == "bool" and all(isinstance(x, bool) for x in data):
        return np.array(data, dtype=np.bool_).reshape(shape)
    if dtype == "int" and all(_plain_int(x) and x.bit_length() < 64 for x in data):
        return np.array(data, dtype=np.int64).reshape(shape)
    raise ValueError("an array holds entries that are not of its kind")


def rectangular(items: Any) -> np.ndarray | None:
    """A list of plain numbers (or of booleans, or of arrays of them) as an array; None for what is no such list."""
    leaves: list[Any] = []
    shape = _shape(items, leaves)
    kinds = {type(leaf) for leaf in leaves}
    if shape is None or not (kinds == {bool} or kinds <= {int, float}):
        return None
    if kinds == {int} and any(abs(leaf) >= 2**63 for leaf in leaves):
        return None
    return np.array(leaves).reshape(shape)


def _shape(item: Any, leaves: list[Any]) -> tuple[int, ...] | None:
    if isinstance(item, np.ndarray):
        leaves.extend(item.ravel().tolist())
        return item.shape
    if not isinstance(item, list):
        leaves.append(item)
        return ()
    shapes = [_shape(entry, leaves) for entry in item]
    if None in shapes or len(set(shapes)) > 1:
        return None
    return (len(item), *((shapes[0] or ()) if shapes else ()))


def short_text(encoded: dict[str, Any]) -> str:
    """A value in a few characters, as a student reads it below a probe."""
    kind = encoded["kind"]
    if kind == "float":
        value = encoded["value"]
        return value if isinstance(value, str) else f"{value:.6g}"
    if kind == "array":
        return f"array of shape {tuple(encoded['shape'])}"
    if kind == "list":
        shown = ", ".join(short_text(item) for item in encoded["items"][:4])
        return f"[{shown}{', ...' if len(encoded['items']) > 4 else ''}]"
    if kind == "dict":
        return "{" + ", ".join(f"{key}: {short_text(item)}" for key, item in encoded["items"].items())[:80] + "}"
    if kind == "error":
        return f"{encoded['name']}: {encoded['message']}"
    return "None" if kind == "none" else str(encoded["value"])[:40]
