"""The scoring engine: one flat batch for the frames of many items, one packed pass for prompts of many lengths."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..model import MPLUGOwl2
from ..normalise import normalisation_table, normalise
from ..vision import VisionTransformer
from .attention import pinned
from .language import Constants, FastLanguage
from .memory import make_current
from .plan import Plan, Question, make_plan
from .visual import FastAbstractor, FastVit

PLANS = 64  # kept
PLAN_KEPT = 16384  # rows; the tables of a longer pass are not kept


@dataclass(frozen=True)
class Limits:
    """The most work per pass: image tokens in the encoder, positions in the language model."""

    encoder_tokens: int
    positions: int


# CPU: sizes that fit the caches. CUDA: full matrices at 448 px (64 pictures of 1025 tokens, 64 prompts of 77 rows).
LIMITS = {"cpu": Limits(8 * 1025, 4096), "cuda": Limits(64 * 1025, 10240)}


class Engine:
    """Scores prompts with the weights of `model`, whose parameters become views of fused ones and stay usable."""

    def __init__(self, model: MPLUGOwl2) -> None:
        self.config = model.config
        self.device, self.dtype = model.lm_head.weight.device, model.lm_head.weight.dtype
        make_current(self.device)
        self.limits = LIMITS["cuda" if self.device.type == "cuda" else "cpu"]
        self.table = normalisation_table(self.config.normalisation, self.device)
        vision = model.model.vision_model
        with torch.no_grad():
            self.encode: Callable[[Tensor], Tensor] = (
                FastVit(vision) if isinstance(vision, VisionTransformer) else vision
            )
            self.abstract = FastAbstractor(model.model.visual_abstractor)
            self.language = FastLanguage(model)
        self._plans: OrderedDict[tuple[Question, ...], tuple[Plan, Constants]] = OrderedDict()
        self.tokens_per_picture = config_tokens(model)
        self.frames_at_once = max(1, self.limits.encoder_tokens // self.tokens_per_picture)
        self.frame_bytes = (
            self.config.tokens_per_frame * self.config.hidden_size * self.dtype.itemsize
        )  # features of one frame

    def features(self, frames: Tensor) -> Tensor:
        """uint8 [F, V·S, S, 3] on the device → [F, Q + 1, D]."""
        with pinned(self.language.attention, self.device):
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

    def plan(self, questions: Sequence[Question]) -> tuple[Plan, Constants]:
        """The tables of one packed pass, and the constant tensors that it reads. Those of recent short passes are kept.

        A CUDA graph must hold both.
        """
        key = tuple(questions)
        found = self._plans.get(key)
        if found is None:
            plan = make_plan(questions, self.config.tokens_per_frame, self.device)
            found = plan, self.language.constants(plan)
            if len(plan.sources) <= PLAN_KEPT:
                while len(self._plans) >= PLANS:
                    self._plans.popitem(last=False)
                self._plans[key] = found
        else:
            self._plans.move_to_end(key)
        return found

    def ask(self, questions: Sequence[Question], features: Tensor, level_ids: Tensor) -> Tensor:
        """One packed pass → fp32 [questions, levels + 1]: the level logits, then the log-sum-exp of all logits.

        Questions of equal layout must be adjacent. `features` [F, Q + 1, D] and `level_ids` [levels] are on the device.
        """
        plan, constants = self.plan(questions)
        start, stop = plan.frames
        logits = self.language.last_logits(plan, features[start:stop].flatten(0, 1), constants)
        return torch.cat([logits.index_select(1, level_ids), logits.logsumexp(1, keepdim=True)], dim=1)


def config_tokens(model: MPLUGOwl2) -> int:
    """Encoder tokens per picture, which is the number of the abstractor's key positions."""
    return len(model.model.visual_abstractor.encoder.layers[0].crossattention.attention.k_pos_embed)
