"""`python -m qalign.worker --replay request.json`: runs requests without Node and ZeroMQ.

The file holds one request envelope, or a list that is run in order (for example load_model, then score). Binary data is
in `"buffers_from": [...]` beside `params`, with one entry per buffer: `{"path": "frames.rgb"}`, relative to the file,
or `{"base64": "…"}`.
"""

import base64
import json
import logging
import sys
from pathlib import Path
from typing import Any

from ..schemas import problem_with
from .dispatch import dispatch
from .errors import WorkerError
from .handlers import Handlers


def replay(file: Path) -> int:
    """Print one answer per line. → 0 if all are results, 1 if any is an error, 2 for an unusable file."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO)
    try:
        content = json.loads(file.read_text("utf-8"))
        requests = [_read(request, file.parent) for request in (content if isinstance(content, list) else [content])]
    except (OSError, ValueError, WorkerError) as error:
        print(f"replay: {file} cannot be replayed: {error}", file=sys.stderr)
        return 2
    handlers = Handlers(lambda: None)
    failed = False
    for request, buffers in requests:
        answer = dispatch(handlers, request, buffers, lambda progress: print(json.dumps(progress), file=sys.stderr))
        failed |= "error" in answer
        print(json.dumps(answer, allow_nan=False))
    return 1 if failed else 0


def _read(request: Any, folder: Path) -> tuple[dict[str, Any], list[bytes]]:
    sources = request.pop("buffers_from", []) if isinstance(request, dict) else []
    problem = problem_with("request", request)
    if problem is not None:
        raise WorkerError("INVALID_REQUEST", f"The request does not match its schema: {problem}.")
    return request, [_bytes(source, folder) for source in sources]


def _bytes(source: Any, folder: Path) -> bytes:
    if isinstance(source, dict) and isinstance(source.get("base64"), str):
        return base64.b64decode(source["base64"], validate=True)
    if isinstance(source, dict) and isinstance(source.get("path"), str):
        return (folder / source["path"]).read_bytes()
    raise WorkerError("INVALID_REQUEST", 'Every entry of buffers_from needs "path" or "base64".')
