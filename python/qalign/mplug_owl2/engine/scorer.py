"""Scoring as the worker calls it: pictures and prompts in, level logits out."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from qalign.weights.digest import weights_sha256
from qalign.weights.errors import ConfigError, DeviceUnavailable, InvalidInput, LoraError, ModelError, NonFinite
from qalign.weights.hub import resolve_model

from ..checkpoint import DTYPES, load_checkpoint, weight_files
from ..config import load_config
from ..lora import apply_lora, is_lora, lora_files
from ..model import MPLUGOwl2
from ..tokenizer import Tokenizer
from .engine import Engine, Question
from .generate import Generated, generate_greedily
from .graphs import GraphCache
from .layout import plan_layout

ProgressCallback = Callable[[str, int, int, str], None]  # stage, done, total, unit


@dataclass(frozen=True)
class ScoreItem:
    """`visuals[k]`, uint8 [F, S, S, 3] on the CPU, stands where the k-th image marker of every prompt is."""

    visuals: list[Tensor]
    prompts: list[str]


@dataclass(frozen=True)
class PromptScore:
    """fp32 logits of the levels, in the order asked, and the log-sum-exp over the whole vocabulary."""

    logits: list[float]
    log_sum_exp: float


@dataclass(frozen=True)
class ItemScores:
    """One score per prompt, or the error of this item alone: a bad item never fails its batch."""

    prompts: list[PromptScore]
    error: ModelError | None = None


@dataclass(frozen=True)
class ItemTexts:
    """One text per prompt, or the error of this item alone."""

    prompts: list[Generated]
    error: ModelError | None = None


@dataclass(frozen=True)
class ModelInfo:
    """What a score depends on. `image_size` in pixels, `parameters` a count, `revision` the hub's commit or "local"."""

    id: str
    revision: str
    weights_sha256: str
    precision: str
    device: str
    image_size: int
    parameters: int
    base: str | None = None
    level_token_ids: dict[str, int] = field(default_factory=dict)


def load_scorer(
    model: str,
    *,
    base: str | None = None,
    revision: str | None = None,
    base_revision: str | None = None,
    device: str = "cpu",
    precision: str = "auto",
    cache_dir: str | Path | None = None,
    offline: bool = False,
    on_progress: ProgressCallback | None = None,
) -> "Scorer":
    """Load a directory or hub id, or a LoRA of either over its `base`, ready to score.

    `precision` auto is fp32 on a CPU and bf16 on CUDA. Raises the errors of mplug_owl2.errors.
    """
    report = on_progress or (lambda stage, done, total, unit: None)
    target = pick_device(device)
    precision = pick_precision(precision, target)
    cache = Path(cache_dir) if cache_dir else None
    found = resolve_model(model, revision=revision, cache_dir=cache, offline=offline, on_progress=report)
    adapter = found.path if is_lora(found.path) else None
    if adapter and base is None:
        raise LoraError(f"{model} is a LoRA; name the model that it was trained over with --base.")
    if base and not adapter:
        raise LoraError(f"{model} is a whole checkpoint, so that a base ({base}) means nothing; leave --base out.")
    root = found.path
    if base:
        root = resolve_model(base, revision=base_revision, cache_dir=cache, offline=offline, on_progress=report).path
    config = load_config(root)
    files = weight_files(root) + (lora_files(adapter) if adapter else [])
    with ThreadPoolExecutor(1) as hashing:
        digest = hashing.submit(weights_sha256, files)
        loaded = load_checkpoint(
            root,
            config,
            device=target,
            dtype=DTYPES[precision],
            on_progress=lambda done, total: report("load", done, total, "tensors"),
        )
        if adapter:
            apply_lora(loaded, adapter)
        info = ModelInfo(
            id=model,
            revision=found.revision,
            weights_sha256=digest.result(),
            precision=precision,
            device=str(target),
            image_size=config.image_size,
            parameters=sum(value.numel() for value in loaded.parameters()),
            base=base,
        )
    return Scorer(loaded, Tokenizer(_tokenizer_directory(adapter, root)), info)


def _tokenizer_directory(adapter: Path | None, root: Path) -> Path:
    return adapter if adapter and (adapter / "tokenizer.model").is_file() else root


def pick_device(name: str) -> torch.device:
    """'cpu' or 'cuda:N' → the device. Raises DeviceUnavailable, saying how many CUDA devices there are."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceUnavailable(f"{name!r} is not a device name; use cpu or cuda:N.") from error
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise DeviceUnavailable(f"{name} does not exist: this host has {count} CUDA devices that torch can use.")
        return torch.device("cuda", device.index or 0)
    if device.type != "cpu":
        raise DeviceUnavailable(f"{name!r} is not supported; use cpu or cuda:N.")
    return torch.device("cpu")


def pick_precision(name: str, device: torch.device) -> str:
    """The precision that `auto` means on this device, or `name` itself. Raises ConfigError for an unknown one."""
    if name == "auto":
        return "bf16" if device.type == "cuda" else "fp32"
    if name not in DTYPES:
        raise ConfigError(f"precision is {name!r}; use auto, {', '.join(DTYPES)}.")
    return name


class Scorer:
    """A loaded model whose weights stay as they are: results of its constant prompt text are kept.

    One call at a time; `on_step` is called between chunks and may raise to stop.
    """

    def __init__(self, model: MPLUGOwl2, tokenizer: Tokenizer, info: ModelInfo) -> None:
        self.model, self.tokenizer, self.info = model, tokenizer, info
        self.engine = Engine(model)
        self.on_step: Callable[[], None] = lambda: None
        self._graphs = GraphCache(self.engine)
        self._level_ids: dict[tuple[str, ...], Tensor] = {}
        self._busy = threading.Lock()

    def level_token_ids(self, levels: Sequence[str]) -> dict[str, int]:
        """The token id that stands for each level word."""
        return {word: self.tokenizer.word_id(word) for word in levels}

    @torch.inference_mode()
    def score(self, items: Sequence[ScoreItem], levels: Sequence[str]) -> list[ItemScores]:
        """Score all items as one batch, in their order.

        Items that do not fit, or whose logits are not finite, carry their own error. An out-of-memory error of torch
        passes through.
        """
        with self._busy:
            return self._score(items, levels)

    def generate(self, items: Sequence[ScoreItem], max_new_tokens: int) -> list[ItemTexts]:
        """What the model says to every prompt of every item, greedily, one after the other."""
        with self._busy:
            return [self._said(item, max_new_tokens) for item in items]

    def _said(self, item: ScoreItem, max_new_tokens: int) -> ItemTexts:
        try:
            self._layouts(item)  # the same refusals as in scoring
            texts = [
                generate_greedily(self.model, self.tokenizer, item.visuals, prompt, max_new_tokens, self.on_step)
                for prompt in item.prompts
            ]
        except (InvalidInput, NonFinite) as error:
            return ItemTexts([], error)
        return ItemTexts(texts)

    def _score(self, items: Sequence[ScoreItem], levels: Sequence[str]) -> list[ItemScores]:
        level_ids = self._levels(tuple(levels))
        errors: dict[int, ModelError] = {}
        questions: list[Question] = []
        places: list[tuple[int, int]] = []  # question → item, prompt
        visuals: list[Tensor] = []
        frames = 0
        for index, item in enumerate(items):
            try:
                layouts = self._layouts(item)
            except InvalidInput as error:
                errors[index] = error
                continue
            for number, layout in enumerate(layouts):
                questions.append(Question(layout, frames))
                places.append((index, number))
            visuals += item.visuals
            frames += sum(map(len, item.visuals))
        values = self._answers(questions, visuals, frames, level_ids)
        prompts: list[list[PromptScore]] = [[] for _ in items]
        for (index, _), row in zip(places, values, strict=True):
            prompts[index].append(PromptScore(row[:-1], row[-1]))
        for index, found in enumerate(prompts):
            if index not in errors and not all(_finite(score) for score in found):
                errors[index] = NonFinite(
                    "The model produced NaN or infinity for this item; try precision bf16 or fp32."
                )
        return [ItemScores([] if i in errors else found, errors.get(i)) for i, found in enumerate(prompts)]

    def _levels(self, levels: tuple[str, ...]) -> Tensor:
        if levels not in self._level_ids:
            if not levels:
                raise InvalidInput("No level words were given.")
            ids = [self.tokenizer.word_id(word) for word in levels]
            self._level_ids[levels] = torch.tensor(ids, device=self.engine.device)
        return self._level_ids[levels]

    def _layouts(self, item: ScoreItem) -> list:
        size = self.info.image_size
        for visual in item.visuals:
            if visual.dtype != torch.uint8 or visual.dim() != 4 or tuple(visual.shape[1:]) != (size, size, 3):
                raise InvalidInput(
                    f"A visual is {visual.dtype} {list(visual.shape)}; the model takes uint8 "
                    f"[frames, {size}, {size}, 3]."
                )
            if not len(visual):
                raise InvalidInput("A visual has no frames.")
        if not item.prompts:
            raise InvalidInput("The item has no prompts.")
        frames = tuple(map(len, item.visuals))
        tokens = self.engine.config.tokens_per_frame
        return [plan_layout(self.tokenizer.encode(prompt), frames, tokens) for prompt in item.prompts]

    def _answers(self, questions: list[Question], visuals: list[Tensor], frames: int, ids: Tensor) -> list[list[float]]:
        """Rows of level logits and log-sum-exp, in the order of the questions."""
        if not questions:
            return []
        replayed = self._graphs.answer(questions, visuals, ids)
        if replayed is not None:
            self.on_step()
            return replayed.tolist()
        features = self._features(visuals, frames)
        order: list[int] = []
        rows: list[Tensor] = []
        for chunk in self.engine.chunks(questions):
            self.on_step()
            order += chunk
            rows.append(self.engine.ask([questions[index] for index in chunk], features, ids))
        self.on_step()
        answers: list[list[float]] = [[]] * len(questions)
        for index, row in zip(order, torch.cat(rows).tolist(), strict=True):  # the only wait for the device
            answers[index] = row
        return answers

    def _features(self, visuals: list[Tensor], frames: int) -> Tensor:
        """All frames through encoder and abstractor, in flat chunks → [F, Q + 1, D]."""
        engine = self.engine
        if not frames:
            return torch.empty(0, engine.config.tokens_per_frame, engine.config.hidden_size, device=engine.device)
        flat = visuals[0] if len(visuals) == 1 else torch.cat(visuals)
        if engine.device.type == "cuda":
            flat = flat.pin_memory()  # the copy runs while earlier chunks compute
        parts = []
        for chunk in flat.split(engine.frames_at_once):
            self.on_step()
            parts.append(engine.features(chunk.to(engine.device, non_blocking=True)))
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def _finite(score: PromptScore) -> bool:
    return all(abs(value) < float("inf") for value in (*score.logits, score.log_sum_exp))
