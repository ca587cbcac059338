"""Scores a batch of items with a loaded model: pictures and prompts → level logits or generated texts."""

import threading
from collections.abc import Callable, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from qalign.weights.answers import (
    ChatPrompt,
    ClipRange,
    FramePrompt,
    ItemScores,
    ItemTexts,
    ModelInfo,
    PromptScore,
    ScoreItem,
    item_scores,
)
from qalign.weights.errors import InvalidInput, ModelError, NonFinite, OutOfRoom, UnknownClip

from ..model import MPLUGOwl2
from ..tokenizer import Tokenizer
from .capture import Capturer, CudaCapturer
from .clips import KeptClips
from .engine import Engine, Question
from .generate import generate_greedily
from .graphs import GraphCache
from .layout import Layout, plan_layout
from .memory import free_bytes
from .pending import Pending, ReadBack, Rows
from .staging import CudaLanes, Staging, cut


class Scorer:
    """A loaded model. Its weights must not change, because results of constant prompt text are cached.

    Not thread-safe: one call at a time. `on_step` is called between chunks and can raise to stop.

    While `deterministic` is set, every frame is encoded alone, and every prompt is answered alone, without graphs. All
    passes then have shapes that depend on the item only, and so have its bits. Kernels choose their blocks and splits
    by these shapes.
    """

    def __init__(
        self,
        model: MPLUGOwl2,
        tokenizer: Tokenizer,
        info: ModelInfo,
        *,
        deterministic: bool = False,
        capture: Capturer | None = None,
    ) -> None:
        """`capture` replaces that of CUDA graphs."""
        self.model, self.tokenizer, self.info = model, tokenizer, info
        self.deterministic = deterministic
        self.engine = Engine(model)
        self.on_step: Callable[[], None] = lambda: None
        self.engine.language.on_block = lambda: self.on_step()
        self.clips = KeptClips(lambda: free_bytes(self.engine.device))
        self._lanes = CudaLanes(self.engine.device) if self.engine.device.type == "cuda" else None
        self._staging = Staging(self._lanes)
        self._read_back = ReadBack(self._lanes.host, self._lanes.mark) if self._lanes else None
        self._graphs = GraphCache(capture or (CudaCapturer(self.engine) if self._lanes else None), self._staging.put)
        self._level_ids: dict[tuple[str, ...], Tensor] = {}
        self._busy = threading.Lock()

    def level_token_ids(self, levels: Sequence[str]) -> dict[str, int]:
        """The token id of each level word."""
        return {word: self.tokenizer.word_id(word) for word in levels}

    def score(self, items: Sequence[ScoreItem], levels: Sequence[str]) -> list[ItemScores]:
        """`submit`, and wait for the result."""
        return self.submit(items, levels).result()

    @torch.inference_mode()
    def submit(self, items: Sequence[ScoreItem], levels: Sequence[str]) -> Pending[list[ItemScores]]:
        """Enqueue all items as one batch. The result has their order. On a CPU it is complete.

        Invalid items, and items whose logits are not finite, get their own error. Raises torch's out-of-memory errors.
        Errors of the device while it computes are raised by the result.
        """
        with self._busy:
            return self._submit(items, levels)

    @property
    def uses_graphs(self) -> bool:
        """Whether small batches are replayed from graphs."""
        return self._graphs.enabled and not self.deterministic

    @torch.inference_mode()
    def prepare_graph(self, item: ScoreItem, levels: Sequence[str], count: int) -> bool:
        """Capture the graph of a batch of `count` items like this one. → whether it exists.

        Raises InvalidInput and OutOfRoom for an item that cannot be scored.
        """
        with self._busy:
            layouts = tuple(question.layout for question in self._questions(item, 0))
            return self._graphs.prepare(layouts, count, self._levels(tuple(levels)))

    def encode(self, clip: str, first: int, pixels: Tensor) -> int:
        """`submit_encode`, and wait for the result."""
        return self.submit_encode(clip, first, pixels).result()

    @torch.inference_mode()
    def submit_encode(self, clip: str, first: int, pixels: Tensor) -> Pending[int]:
        """Encode the next frames of a clip, uint8 [F, V·S, S, 3], and keep their features. → the clip's frame count.

        Raises InvalidInput, UnknownClip and OutOfRoom, without keeping any of these frames.
        """
        with self._busy:
            self._check(pixels)
            self.clips.expect(clip, first, len(pixels) * self.engine.frame_bytes)
            frames = self.clips.add(clip, self._features([pixels]))
            return Pending(lambda: frames, self._lanes.mark() if self._lanes else None)

    def generate(self, items: Sequence[ScoreItem], max_new_tokens: int) -> list[ItemTexts]:
        """Generate an answer to every prompt of every item, greedily and one by one."""
        with self._busy:
            return [self._said(item, max_new_tokens) for item in items]

    def _said(self, item: ScoreItem, max_new_tokens: int) -> ItemTexts:
        try:
            if any(not isinstance(prompt, str) for prompt in item.prompts):
                raise InvalidInput("Text generation takes prompts about all frames; send the frames alone.")
            self._questions(item, 0)  # raises the same errors as scoring
            texts = [
                generate_greedily(self.model, self.tokenizer, item.visuals, prompt, max_new_tokens, self.on_step)
                for prompt in item.prompts
            ]
        except (InvalidInput, NonFinite) as error:
            return ItemTexts([], error)
        return ItemTexts(texts)

    def _submit(self, items: Sequence[ScoreItem], levels: Sequence[str]) -> Pending[list[ItemScores]]:
        level_ids = self._levels(tuple(levels))
        errors: dict[int, ModelError] = {}
        questions: list[Question] = []
        places: list[int] = []  # question → item
        visuals: list[Tensor | ClipRange] = []
        frames = 0
        for index, item in enumerate(items):
            try:
                asked = self._questions(item, frames)
            except (InvalidInput, UnknownClip, OutOfRoom) as error:
                errors[index] = error
                continue
            questions += asked
            places += [index] * len(asked)
            visuals += item.visuals
            frames += sum(map(len, item.visuals))
        rows = self._answers(questions, visuals, level_ids)
        count = len(items)  # the result must not hold the pixels of the items

        def read() -> list[ItemScores]:
            prompts: list[list[PromptScore]] = [[] for _ in range(count)]
            for index, question, row in zip(places, questions, rows.result(), strict=True):
                prompts[index].append(PromptScore(row[:-1], row[-1], question.layout.length))
            return [item_scores(found, errors.get(index)) for index, found in enumerate(prompts)]

        return rows.then(read)

    def _levels(self, levels: tuple[str, ...]) -> Tensor:
        if levels not in self._level_ids:
            if not levels:
                raise InvalidInput("No level words were given.")
            ids = [self.tokenizer.word_id(word) for word in levels]
            self._level_ids[levels] = torch.tensor(ids, device=self.engine.device)
        return self._level_ids[levels]

    def _questions(self, item: ScoreItem, first_frame: int) -> list[Question]:
        """The questions of an item whose frames begin at `first_frame` of the flat batch."""
        for visual in item.visuals:
            if isinstance(visual, ClipRange):
                self.clips.parts(visual)
            else:
                self._check(visual)
        if not item.prompts:
            raise InvalidInput("The item has no prompts.")
        frames = tuple(map(len, item.visuals))
        questions = [self._question(prompt, frames, first_frame) for prompt in item.prompts]
        for question in questions:
            self._require_room(question.layout)
        return questions

    def _question(self, prompt: str | FramePrompt | ChatPrompt, frames: tuple[int, ...], first_frame: int) -> Question:
        tokens = self.engine.config.tokens_per_frame
        if isinstance(prompt, ChatPrompt):
            raise InvalidInput("A stem is for models with backend transformers; put it at the end of the text.")
        if isinstance(prompt, str):
            return Question(plan_layout(self.tokenizer.encode(prompt), frames, tokens), first_frame)
        start, stop = prompt.frames
        if not 0 <= start < stop <= sum(frames):
            raise InvalidInput(
                f"A prompt is about the frames {start} to {stop} (exclusive), but the item has {sum(frames)} frames."
            )
        seen = _overlaps(frames, start, stop)
        layout = plan_layout(self.tokenizer.encode(prompt.text), seen, tokens)
        return Question(layout, first_frame + start, whole=seen == frames)

    def _check(self, pixels: Tensor) -> None:
        shape = self.engine.config.frame_shape
        if pixels.dtype != torch.uint8 or pixels.dim() != 4 or tuple(pixels.shape[1:]) != shape:
            wanted = ", ".join(map(str, shape))
            raise InvalidInput(
                f"A visual is {pixels.dtype} {list(pixels.shape)}; the model takes uint8 [frames, {wanted}]."
            )
        if not len(pixels):
            raise InvalidInput("A visual has no frames.")

    def _require_room(self, layout: Layout) -> None:
        """Refuse before allocating: a process that exhausts memory is killed, and can take others with it."""
        if layout.rows <= self.engine.limits.positions:
            return
        needed, free = self.engine.language.pass_bytes(layout), free_bytes(self.engine.device)
        if free is not None and needed > free:
            raise OutOfRoom(
                f"A prompt of {layout.length} positions ({layout.frames} frames) needs about {needed / 1e9:.1f} GB, "
                f"but {free / 1e9:.1f} GB are free on {self.engine.device}; use fewer frames (--max-frames)."
            )

    def _answers(self, questions: list[Question], visuals: list[Tensor | ClipRange], ids: Tensor) -> Pending[Rows]:
        """Rows of level logits and log-sum-exp, in the order of the questions."""
        if not questions:
            return Pending(list)
        pixels = [visual for visual in visuals if not isinstance(visual, ClipRange)]
        replays = self.uses_graphs and len(pixels) == len(visuals)
        replayed = self._graphs.answer(questions, pixels, ids) if replays else None
        if replayed is not None:
            self.on_step()
            return self._begin_read(replayed)
        features = self._together(visuals, self._features(pixels))
        order: list[int] = []
        rows: list[Tensor] = []
        for chunk in self._passes(questions):
            self.on_step()
            order += chunk
            rows.append(self._ask([questions[index] for index in chunk], features, ids))
        self.on_step()
        sorted_rows = self._begin_read(torch.cat(rows))

        def read() -> Rows:
            answers: Rows = [[]] * len(questions)
            for index, row in zip(order, sorted_rows.result(), strict=True):
                answers[index] = row
            return answers

        return sorted_rows.then(read)

    def _passes(self, questions: list[Question]) -> list[list[int]]:
        """The indices of the questions of each pass."""
        return [[index] for index in range(len(questions))] if self.deterministic else self.engine.chunks(questions)

    def _ask(self, questions: list[Question], features: Tensor, ids: Tensor) -> Tensor:
        if len(questions) == 1:  # the plan of one question serves all items, wherever their frames begin
            (question,) = questions
            start, layout = question.first_frame, question.layout
            return self.engine.ask([Question(layout, 0, question.whole)], features[start : start + layout.frames], ids)
        return self.engine.ask(questions, features, ids)

    def _begin_read(self, rows: Tensor) -> Pending[Rows]:
        """The only synchronisation with the device is in the result."""
        if self._read_back is not None:
            return self._read_back.begin(rows)
        values = rows.tolist()
        return Pending(lambda: values)

    def _features(self, visuals: list[Tensor]) -> Tensor:
        """All frames through encoder and abstractor, in flat chunks → [F, Q + 1, D]."""
        engine = self.engine
        if not visuals:
            shape = 0, engine.config.tokens_per_frame, engine.config.hidden_size
            return torch.empty(shape, dtype=engine.dtype, device=engine.device)
        parts = []
        for chunk in cut(visuals, 1 if self.deterministic else engine.frames_at_once):
            self.on_step()
            with self._staging.frames(chunk) as frames:
                parts.append(engine.features(frames))
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _together(self, visuals: list[Tensor | ClipRange], encoded: Tensor) -> Tensor:
        """The features of all visuals in order: `encoded` for visuals sent as pixels, kept features for clip ranges."""
        if not any(isinstance(visual, ClipRange) for visual in visuals):
            return encoded
        parts, at = [], 0
        for visual in visuals:
            if isinstance(visual, ClipRange):
                parts += self.clips.parts(visual)
            else:
                parts.append(encoded[at : at + len(visual)])
                at += len(visual)
        return parts[0] if len(parts) == 1 else torch.cat(parts)


def _overlaps(frames: tuple[int, ...], start: int, stop: int) -> tuple[int, ...]:
    """The number of frames in [start, stop) of each visual that has any."""
    ends = list(accumulate(frames))
    shared = (min(stop, end) - max(start, end - count) for end, count in zip(ends, frames, strict=True))
    return tuple(count for count in shared if count > 0)
