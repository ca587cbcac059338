"""One request → one answer. This file has the only broad `except` of the worker."""

import logging
import time
from collections.abc import Sequence
from typing import Any

from ..protocol import METHODS
from ..schemas import problem_with
from .errors import DEVICE_FAILED, WorkerError, to_wire
from .handlers import Buffer, Report
from .logs import TRACEPARENT

log = logging.getLogger("qalign.worker")


def dispatch(handlers: object, request: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> dict[str, Any]:
    """A validated request envelope → {id, result} or {id, error}. Never raises. Tracebacks go to the log."""
    identity = request["id"]
    traced = TRACEPARENT.set(request.get("traceparent"))
    started = time.perf_counter()
    try:
        method = request["method"]
        if method not in METHODS or not hasattr(handlers, method):
            known = ", ".join(name for name in METHODS if hasattr(handlers, name))
            raise WorkerError("UNKNOWN_METHOD", f'Unknown method "{method}"; this worker has {known}.')
        problem = problem_with(f"{method}_params", request["params"])
        if problem is not None:
            raise WorkerError("INVALID_REQUEST", f"The parameters of {method} do not match their schema: {problem}.")
        result = getattr(handlers, method)(request["params"], buffers, report)
        problem = problem_with(f"{method}_result", result)
        if problem is not None:
            raise WorkerError(
                "NON_FINITE" if "NaN" in problem else "WORKER_INTERNAL",
                f"The result of {method} does not match its schema: {problem}.",
            )
        return {"id": identity, "result": result}
    except Exception as error:
        wire = to_wire(error)
        if wire["code"] in ("WORKER_INTERNAL", DEVICE_FAILED):
            log.exception("request failed", extra={"fields": {"id": identity}})
        return {"id": identity, "error": wire}
    finally:
        if "traceparent" in request:
            ms = round((time.perf_counter() - started) * 1000, 1)
            log.info("answered", extra={"fields": {"id": identity, "method": request["method"], "ms": ms}})
        TRACEPARENT.reset(traced)
