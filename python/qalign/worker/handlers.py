"""The methods of the contract, each from validated parameters and buffers to a result."""

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from ..mplug_owl2.engine.load import load_scorer
from ..mplug_owl2.engine.scorer import Scorer
from ..weights.answers import ItemScores, ItemTexts, ScoreItem
from .errors import WorkerError, to_wire

Buffer = memoryview | bytes
Report = Callable[[dict[str, Any]], None]


class Handlers:
    """Holds the loaded model. `step` is called whenever the computation has moved; it may raise to cancel."""

    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step
        self._scorer: Scorer | None = None

    def load_model(self, params: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> dict[str, Any]:
        """Replaces the loaded model, which is freed first: two may not fit."""
        self.unload_model({}, [], report)

        def progress(stage: str, done: int, total: int, unit: str) -> None:
            self._step()
            report({"stage": stage, "done": int(done), "total": int(total), "unit": unit})

        options = {key: params[key] for key in ("base", "revision", "base_revision", "cache_dir") if key in params}
        self._scorer = load_scorer(
            params["model"],
            device=params["device"],
            precision=params["precision"],
            offline=params["offline"],
            on_progress=progress,
            **options,
        )
        self._scorer.on_step = self._step
        info = asdict(self._scorer.info)
        info.pop("level_token_ids")
        return {"model": {key: value for key, value in info.items() if value is not None}}

    def unload_model(self, params: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> dict[str, Any]:
        self._scorer = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return {}

    def inspect_model(self, params: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> dict[str, Any]:
        from ..mplug_owl2.inspection import inspect_model
        from ..weights.hub import resolve_model

        def progress(stage: str, done: int, total: int, unit: str) -> None:
            self._step()
            report({"stage": stage, "done": int(done), "total": int(total), "unit": unit})

        found = resolve_model(
            params["model"],
            revision=params.get("revision"),
            cache_dir=params.get("cache_dir"),
            offline=params["offline"],
            on_progress=progress,
        )
        return {"inspection": inspect_model(found.path)}

    def score(self, params: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> dict[str, Any]:
        scorer, items = self._ready(), score_items(params, buffers)
        started = time.monotonic()
        scores = scorer.score(items, params["levels"])
        elapsed = (time.monotonic() - started) * 1000
        rows = [answered(item["id"], score) for item, score in zip(params["items"], scores, strict=True)]
        return {"items": rows, "timings": {"compute_ms": elapsed}}

    def generate(self, params: dict[str, Any], buffers: Sequence[Buffer], report: Report) -> dict[str, Any]:
        scorer, items = self._ready(), score_items(params, buffers)
        started = time.monotonic()
        texts = scorer.generate(items, params["max_new_tokens"])
        elapsed = (time.monotonic() - started) * 1000
        rows = [answered(item["id"], text) for item, text in zip(params["items"], texts, strict=True)]
        return {"items": rows, "timings": {"compute_ms": elapsed}}

    def _ready(self) -> Scorer:
        if self._scorer is None:
            raise WorkerError("MODEL_NOT_LOADED", "No model is loaded; send load_model first.")
        return self._scorer


def score_items(params: dict[str, Any], buffers: Sequence[Buffer]) -> list[ScoreItem]:
    """The items of a request, each with its visuals as tensors."""
    tensors = frame_tensors(params, buffers)
    return [ScoreItem([next(tensors) for _ in item["visuals"]], item["prompts"]) for item in params["items"]]


def answered(id: str, answer: ItemScores | ItemTexts) -> dict[str, Any]:
    """One row of a result: the answers to every prompt, or this item's own error."""
    if answer.error is not None:
        return {"id": id, "error": to_wire(answer.error)}
    return {"id": id, "prompts": [asdict(prompt) for prompt in answer.prompts]}


def frame_tensors(params: dict[str, Any], buffers: Sequence[Buffer]) -> Any:
    """An iterator over uint8 tensors [F, S, S, 3], one a visual, views of the received bytes (nothing is copied).

    Raises WorkerError INVALID_REQUEST when buffers, their declarations and the visuals do not fit each other.
    """
    declared = params["buffers"]
    wanted = [visual["frames"] for item in params["items"] for visual in item["visuals"]]
    if not len(declared) == len(buffers) == len(wanted):
        raise WorkerError(
            "INVALID_REQUEST",
            f"{len(wanted)} visuals came with {len(declared)} declared and {len(buffers)} received buffers.",
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
    with warnings.catch_warnings():  # torch warns that the bytes are read-only; nothing here writes to them
        warnings.simplefilter("ignore")
        return torch.frombuffer(buffer, dtype=torch.uint8)
