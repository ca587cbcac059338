"""The scoring engine: one flat batch for the frames of many items, one packed pass for prompts of many lengths."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..model import MPLUGOwl2
from ..normalise import normalisation_table, normalise
from ..vision import VisionTransformer
from .language import FastLanguage, Group
from .layout import Layout
from .visual import FastAbstractor, FastVit


@dataclass(frozen=True)
class Limits:
    """The most work per pass: image tokens in the encoder, positions in the language model."""

    encoder_tokens: int
    positions: int


# CPU: sizes that fit the caches. CUDA: full matrices at 448 px (64 pictures of 1025 tokens, 64 prompts of 77 rows).
LIMITS = {"cpu": Limits(8 * 1025, 4096), "cuda": Limits(64 * 1025, 10240)}


@dataclass(frozen=True)
class Question:
    """One prompt about one item: its layout, and the position of the prompt's frames in the flat batch."""

    layout: Layout
    first_frame: int  # the frames are consecutive
    whole: bool = True  # about all frames of its item


class Engine:
    """Scores prompts with the weights of `model`, whose parameters become views of fused ones and stay usable."""

    def __init__(self, model: MPLUGOwl2) -> None:
        self.config = model.config
        self.device, self.dtype = model.lm_head.weight.device, model.lm_head.weight.dtype
        self.limits = LIMITS["cuda" if self.device.type == "cuda" else "cpu"]
        self.table = normalisation_table(self.config.normalisation, self.device)
        vision = model.model.vision_model
        with torch.no_grad():
            self.encode: Callable[[Tensor], Tensor] = (
                FastVit(vision) if isinstance(vision, VisionTransformer) else vision
            )
            self.abstract = FastAbstractor(model.model.visual_abstractor)
            self.language = FastLanguage(model)
        self.tokens_per_picture = config_tokens(model)
        self.frames_at_once = max(1, self.limits.encoder_tokens // self.tokens_per_picture)
        self.frame_bytes = (
            self.config.tokens_per_frame * self.config.hidden_size * self.dtype.itemsize
        )  # features of one frame

    def features(self, frames: Tensor) -> Tensor:
        """uint8 [F, S, S, 3] on the device → [F, Q + 1, D]."""
        return self.abstract(self.encode(normalise(frames, self.table, self.dtype)))

    def chunks(self, questions: Sequence[Question]) -> list[list[int]]:
        """The indices of the questions of each pass: equal layouts are adjacent, at most `limits.positions` rows."""
        order = sorted(range(len(questions)), key=lambda index: hash(questions[index].layout))
        order.sort(key=lambda index: questions[index].layout.length)
        passes: list[list[int]] = []
        rows = 0
        for index in order:
            size = questions[index].layout.rows
            if not passes or rows + size > self.limits.positions:
                passes.append([])
                rows = 0
            passes[-1].append(index)
            rows += size
        return passes

    def ask(self, questions: Sequence[Question], features: Tensor, level_ids: Tensor) -> Tensor:
        """One packed pass → fp32 [questions, levels + 1]: the level logits, then the log-sum-exp of all logits.

        Questions of equal layout must be adjacent. `features` [F, Q + 1, D] and `level_ids` [levels] are on the device.
        """
        groups: list[Group] = []
        image: list[Tensor] = []
        text: list[Tensor] = []
        start = 0
        while start < len(questions):
            layout = questions[start].layout
            stop = start + 1
            while stop < len(questions) and questions[stop].layout == layout:
                stop += 1
            group, embedded = self.language.group(layout, stop - start)
            groups.append(group)
            text.append(embedded.expand(stop - start, -1, -1).flatten(0, 1))
            image += _spans([(q.first_frame, q.first_frame + layout.frames) for q in questions[start:stop]], features)
            start = stop
        none = features.new_empty(0, self.language.embedding.shape[1])
        rows = torch.cat(image) if len(image) > 1 else (image or [none])[0]  # one span needs no copy
        logits = self.language.last_logits(groups, rows, torch.cat(text))
        return torch.cat([logits.index_select(1, level_ids), logits.logsumexp(1, keepdim=True)], dim=1)


def _spans(spans: list[tuple[int, int]], features: Tensor) -> list[Tensor]:
    """Rows [n, D] of the frames in each span. Adjacent spans become one slice."""
    merged: list[list[int]] = []
    for start, stop in spans:
        if merged and merged[-1][1] == start:
            merged[-1][1] = stop
        elif stop > start:
            merged.append([start, stop])
    return [features[start:stop].flatten(0, 1) for start, stop in merged]


def config_tokens(model: MPLUGOwl2) -> int:
    """Encoder tokens per picture, which is the number of the abstractor's key positions."""
    return len(model.model.visual_abstractor.encoder.layers[0].crossattention.attention.k_pos_embed)
