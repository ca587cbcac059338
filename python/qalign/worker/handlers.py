"""The methods of the protocol. Each takes validated parameters and buffers and returns a result."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from ..mplug_owl2.engine.load import load_scorer
from ..mplug_owl2.engine.memory import device_memory, give_back, restart_peak
from ..mplug_owl2.engine.pending import Pending
from ..mplug_owl2.engine.scorer import Scorer
from ..mplug_owl2.engine.warm_up import WarmUp
from ..weights.answers import ChatPrompt, ClipRange, FramePrompt, ItemScores, ItemTexts, ScoreItem
from ..weights.codes import CODES
from ..weights.hashing import ProgressCallback
from .errors import WorkerError, to_wire
from .torch_import import complete_torch

if TYPE_CHECKING:
    from ..transformers_backend.scorer import ChatScorer

Buffer = memoryview | bytes
Report = Callable[[dict[str, Any]], None]
T = TypeVar("T")
REPORT_S = 0.05  # between two reports of progress
MEASURE_S = 0.5  # between two measurements of the device's memory


class Deferred:
    """A result that the device still computes."""

    def __init__(self, ready: Callable[[], bool], result: Callable[[], dict[str, Any]]) -> None:
        self.ready, self.result = ready, result


class Handlers:
    """Holds the loaded model. `step` is called after each part of a computation; it can raise to cancel."""

    # these can begin while the device computes an earlier request
    overlapping = ("score", "encode")

    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step
        self._scorer: Scorer | ChatScorer | None = None
        self._used = False
        self._free_since = 0.0  # the end of the last result, in s of time.monotonic()
        self._measured = 0.0  # the same clock
        self.device_memory: dict[str, int] | None = None
        """Of the GPU, measured after answers: CUDA calls of another thread can fail while a graph is captured."""

    def load_model(self, params: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> dict[str, Any]:
        """Replace the loaded model. It is freed first, because there can be too little memory for two models."""
        self.unload_model({}, [], report)
        self._used = True

        if params["device"] != "cpu" or params["precision"] in CODES:
            complete_torch()  # kernels and quantised layers can compute with meta tensors

        self._scorer = self._loaded(params, self._progress(report))
        self._scorer.on_step = self._step
        info = asdict(self._scorer.info)
        info.pop("level_token_ids")
        info["views"] = list(info["views"])
        model = {key: value for key, value in info.items() if value is not None or key == "max_positions"}
        self._measure()
        if self.device_memory is None:
            return {"model": model}
        restart_peak(self._scorer.engine.device)
        return {"model": model, "device_memory": self.device_memory}

    def _loaded(self, params: dict[str, Any], progress: ProgressCallback) -> "Scorer | ChatScorer":
        """The scorer of the requested backend. Its package is imported here, because one worker has one backend."""
        given = ("device", "precision", "offline", "deterministic", "base", "revision", "base_revision", "cache_dir")
        options = {key: params[key] for key in given if key in params}
        expected = params.get("warm_up")
        if params.get("backend") != "transformers":
            if "chat" in params:
                raise WorkerError("INVALID_REQUEST", "chat is for models with backend transformers; omit it.")
            warm_up = WarmUp(**expected) if expected else None
            return load_scorer(params["model"], expected=warm_up, on_progress=progress, **options)
        if expected or "base_revision" in params:
            raise WorkerError("INVALID_REQUEST", "Models of transformers take no warm_up and no base_revision.")
        from ..transformers_backend.load import load_scorer as load_chat_scorer

        return load_chat_scorer(params["model"], chat=params.get("chat"), on_progress=progress, **options)

    def unload_model(self, params: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> dict[str, Any]:
        self._scorer, self.device_memory = None, None
        if self._used:  # also after a load that failed
            give_back()
        return {}

    def inspect_model(self, params: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> dict[str, Any]:
        from ..mplug_owl2.inspection import inspect_model
        from ..transformers_backend.inspection import inspect_model as inspect_chat_model
        from ..weights.hub import resolve_model

        options = {key: params[key] for key in ("revision", "cache_dir", "offline") if key in params}
        options["on_progress"] = self._progress(report)
        if params.get("backend") == "transformers":
            return {"inspection": inspect_chat_model(params["model"], chat=params.get("chat"), **options)}
        return {"inspection": inspect_model(resolve_model(params["model"], **options).path)}

    def encode(self, params: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> Deferred:
        scorer, declared = self._ready(), params["buffers"]
        (pixels,) = frame_tensors(declared, buffers, [row["shape"][0] for row in declared])
        started = time.monotonic()
        return self._timed(
            started, scorer.submit_encode(params["clip"], params["first"], pixels), lambda frames: {"frames": frames}
        )

    def release(self, params: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> dict[str, Any]:
        if self._scorer is None:
            return {"clips": 0, "bytes": 0}
        clips = self._scorer.clips
        clips.release(params["clip"])
        return {"clips": len(clips), "bytes": clips.bytes}

    def score(self, params: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> Deferred:
        scorer, items = self._ready(), score_items(params, buffers)
        started = time.monotonic()
        ids = [item["id"] for item in params["items"]]  # params and buffers are not held until the result

        def rows(scores: list[ItemScores]) -> dict[str, Any]:
            return {"items": [answered(id, score) for id, score in zip(ids, scores, strict=True)]}

        return self._timed(started, scorer.submit(items, params["levels"]), rows)

    def generate(self, params: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> dict[str, Any]:
        scorer, items = self._ready(), score_items(params, buffers)
        started = time.monotonic()
        texts = scorer.generate(items, params["max_new_tokens"])
        elapsed = (time.monotonic() - started) * 1000
        self._measure()
        rows = [answered(item["id"], text) for item, text in zip(params["items"], texts, strict=True)]
        return {"items": rows, "timings": {"compute_ms": elapsed}}

    def _progress(self, report: Report) -> ProgressCallback:
        """Reports the begin and end of a stage, and one step in REPORT_S: small models have many tensors."""
        reported = {"stage": "", "at": 0.0}

        def progress(stage: str, done: int, total: int, unit: str) -> None:
            self._step()
            now = time.monotonic()
            if stage == reported["stage"] and done < total and now - reported["at"] < REPORT_S:
                return
            reported.update(stage=stage, at=now)
            report({"stage": stage, "done": int(done), "total": int(total), "unit": unit})

        return progress

    def _timed(self, started: float, pending: Pending[T], wire: Callable[[T], dict[str, Any]]) -> Deferred:
        """compute_ms starts at the end of the previous result, so that overlapping times are counted once."""

        def result() -> dict[str, Any]:
            found = pending.result()
            since, self._free_since = max(started, self._free_since), time.monotonic()
            if self._free_since - self._measured > MEASURE_S:
                self._measure()
            return {**wire(found), "timings": {"compute_ms": (self._free_since - since) * 1000}}

        return Deferred(pending.ready, result)

    def _measure(self) -> None:
        """Update `device_memory`. Raises errors of the device."""
        found = device_memory(self._scorer.engine.device) if self._scorer else None
        self.device_memory = asdict(found) if found else None
        self._measured = time.monotonic()

    def _ready(self) -> "Scorer | ChatScorer":
        if self._scorer is None:
            raise WorkerError("MODEL_NOT_LOADED", "No model is loaded; send load_model first.")
        return self._scorer


def score_items(params: dict[str, Any], buffers: Sequence[Buffer]) -> list[ScoreItem]:
    """The items of a request with their visuals: pixels as tensors, or frame ranges of kept clips."""
    wanted = [visual for item in params["items"] for visual in item["visuals"]]
    tensors = frame_tensors(params["buffers"], buffers, [row["frames"] for row in wanted if "clip" not in row])
    visuals = iter([ClipRange(**row) if "clip" in row else next(tensors) for row in wanted])
    return [
        ScoreItem([next(visuals) for _ in item["visuals"]], [_prompt(row) for row in item["prompts"]])
        for item in params["items"]
    ]


def _prompt(row: str | dict[str, Any]) -> str | FramePrompt | ChatPrompt:
    if isinstance(row, str):
        return row  # of `generate`
    if "stem" in row:
        if "frames" in row:
            raise WorkerError("INVALID_REQUEST", "A prompt with a stem is about all frames; omit its range.")
        return ChatPrompt(row["text"], row["stem"])
    return FramePrompt(row["text"], tuple(row["frames"])) if "frames" in row else row["text"]


def answered(id: str, answer: ItemScores | ItemTexts) -> dict[str, Any]:
    """One row of a result: the answers to all prompts of an item, or the item's error."""
    if answer.error is not None:
        return {"id": id, "error": to_wire(answer.error)}
    rows = [{key: value for key, value in asdict(prompt).items() if value is not None} for prompt in answer.prompts]
    return {"id": id, "prompts": rows}


def frame_tensors(
    declared: Sequence[dict[str, Any]], buffers: Sequence[Buffer], wanted: Sequence[int]
) -> Iterator[Tensor]:
    """uint8 tensors [F, H, W, 3] as views of the received bytes; `wanted` are the frame counts of the visuals.

    Raises WorkerError INVALID_REQUEST when buffers, their declarations and the visuals contradict each other.
    """
    if not len(declared) == len(buffers) == len(wanted):
        raise WorkerError(
            "INVALID_REQUEST",
            f"The request has {len(wanted)} visuals, but {len(declared)} declared and {len(buffers)} received buffers.",
        )
    tensors = []
    for number, (row, buffer, frames) in enumerate(zip(declared, buffers, wanted, strict=True)):
        shape = row["shape"]
        size = shape[0] * shape[1] * shape[2] * shape[3]
        if len(buffer) != size or shape[0] != frames:
            raise WorkerError(
                "INVALID_REQUEST",
                f"Buffer {number} has {len(buffer)} bytes; {frames} frames declared as {shape} need {size}.",
            )
        tensors.append(_view(buffer).view(shape))
    return iter(tensors)


def _view(buffer: Buffer) -> Tensor:
    with warnings.catch_warnings():  # torch warns about read-only bytes, but nothing writes to them
        warnings.simplefilter("ignore")
        return torch.frombuffer(buffer, dtype=torch.uint8)
