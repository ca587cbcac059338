"""Runs statements and expressions of `openPython()` in one namespace, with JSON as input and output.

Only strings are sent to Node: raw NaN, bytes and arrays break the bridge (pythonia 1.2.6).
"""

import base64
import json
import math
import traceback
from typing import Any

_namespace: dict[str, Any] = {"__name__": "__qalign__"}


def run(kind: str, code: str, variables: str) -> str:
    """Set the JSON object `variables`, then run `code`; `kind` is exec or eval. → {"value"} or {"error", "trace"}."""
    try:
        _namespace.update(json.loads(variables, object_hook=_revived))
        if kind == "eval":
            return json.dumps({"value": plain(eval(code, _namespace))}, allow_nan=False)
        exec(compile(code, "<script>", "exec"), _namespace)
        return json.dumps({"value": None})
    except BaseException as error:  # SystemExit and KeyboardInterrupt of a script must not end the bridge
        said = f"{type(error).__name__}: {error}"
        return json.dumps({"error": said, "trace": traceback.format_exc(limit=-8)})


def plain(value: Any) -> Any:
    """A value for JSON: arrays and tensors as lists, NaN as {"$float": "nan"}, bytes as {"$bytes": base64}."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": str(float(value))}
    if isinstance(value, (bytes, bytearray)):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, dict):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(entry) for entry in value]
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    raise TypeError(f"a {type(value).__name__} cannot be sent as JSON; return numbers, strings, lists or arrays")


def _revived(entry: dict[str, Any]) -> Any:
    """Decode the {"$float"} and {"$bytes"} objects that Node sends."""
    if entry.keys() == {"$float"}:
        return float(entry["$float"])
    if entry.keys() == {"$bytes"}:
        return base64.b64decode(entry["$bytes"])
    return entry
