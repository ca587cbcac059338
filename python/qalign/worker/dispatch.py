"""One request → one answer. This file has the only broad `except` of the worker."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..protocol import METHODS
from ..schemas import problem_with
from .errors import DEVICE_FAILED, WorkerError, to_wire
from .handlers import Buffer, Deferred, Report
from .logs import TRACEPARENT

log = logging.getLogger("qalign.worker")


class Begun:
    """A request that is complete, or that the device still computes. `finish` never raises."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._request, self._started = request, time.perf_counter()
        self._waiting: Deferred | None = None
        self._answer: dict[str, Any] | None = None

    @property
    def complete(self) -> bool:
        return self._answer is not None

    def ready(self) -> bool:
        """Whether `finish` returns without waiting for the device. An error of the device counts as ready."""
        try:
            return self._waiting is None or self._waiting.ready()
        except RuntimeError:  # `finish` meets the same error and answers it
            return True

    def begin(self, handlers: object, buffers: Sequence[Buffer], report: Report) -> "Begun":
        self._guard(lambda: _call(handlers, self._request, buffers, report))
        return self

    def finish(self) -> dict[str, Any]:
        """{id, result} or {id, error}."""
        if self._answer is None:
            assert self._waiting is not None
            self._guard(self._waiting.result)
        assert self._answer is not None
        return self._answer

    def _guard(self, compute: Callable[[], "dict[str, Any] | Deferred"]) -> None:
        request = self._request
        identity = request["id"]
        traced = TRACEPARENT.set(request.get("traceparent"))
        try:
            result = compute()
            if isinstance(result, Deferred):
                self._waiting = result
            else:
                _check_result(request["method"], result)
                self._answer = {"id": identity, "result": result}
        except Exception as error:
            wire = to_wire(error)
            if wire["code"] in ("WORKER_INTERNAL", DEVICE_FAILED):
                log.exception("request failed", extra={"fields": {"id": identity}})
            self._answer = {"id": identity, "error": wire}
        finally:
            if self.complete and "traceparent" in request:
                ms = round((time.perf_counter() - self._started) * 1000, 1)
                log.info("answered", extra={"fields": {"id": identity, "method": request["method"], "ms": ms}})
            TRACEPARENT.reset(traced)


def begin(handlers: object, request: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> Begun:
    """Check a validated request envelope and enqueue its work. Never raises. Tracebacks go to the log."""
    return Begun(request).begin(handlers, buffers, report)


def dispatch(handlers: object, request: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> dict[str, Any]:
    """`begin` and wait → {id, result} or {id, error}."""
    return begin(handlers, request, buffers, report).finish()


def _call(
    handlers: object, request: dict[str, Any], buffers: Sequence[Buffer], report: Report
) -> "dict[str, Any] | Deferred":
    method = request["method"]
    if method not in METHODS or not hasattr(handlers, method):
        known = ", ".join(name for name in METHODS if hasattr(handlers, name))
        raise WorkerError("UNKNOWN_METHOD", f'Unknown method "{method}"; this worker has {known}.')
    problem = problem_with(f"{method}_params", request["params"])
    if problem is not None:
        raise WorkerError("INVALID_REQUEST", f"The parameters of {method} do not match their schema: {problem}.")
    return getattr(handlers, method)(request["params"], buffers, report)


def _check_result(method: str, result: dict[str, Any]) -> None:
    problem = problem_with(f"{method}_result", result)
    if problem is not None:
        raise WorkerError(
            "NON_FINITE" if "NaN" in problem else "WORKER_INTERNAL",
            f"The result of {method} does not match its schema: {problem}.",
        )
