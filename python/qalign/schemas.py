"""The committed JSON Schemas of bridge/schema, compiled once each with fastjsonschema."""

import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema

SCHEMA_FOLDER = Path(__file__).resolve().parents[2] / "bridge" / "schema"


@cache
def _validator(name: str) -> Callable[[Any], Any] | None:
    file = SCHEMA_FOLDER / f"{name}.json"
    if not file.is_file():
        return None
    return fastjsonschema.compile(json.loads(file.read_text("utf-8")), use_default=False)


def problem_with(name: str, value: Any) -> str | None:
    """The first thing wrong with a message of the wire, or None. NaN and infinity fit no message."""
    validate = _validator(name)
    if validate is None:
        return f'there is no message "{name}"'
    try:
        validate(value)
    except fastjsonschema.JsonSchemaException as error:
        return str(error.message)
    return None if _finite(value) else "NaN or infinity"


def envelope_name(value: Any) -> str | None:
    """The schema name of a decoded envelope, or None for anything that is none."""
    if not isinstance(value, dict):
        return None
    if "type" in value:
        return value["type"] if isinstance(value["type"], str) else None
    keys = {"method": "request", "progress": "progress", "result": "result", "error": "failure"}
    return next((name for key, name in keys.items() if key in value), None)


def _finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    if isinstance(value, list):
        return all(map(_finite, value))
    return True
