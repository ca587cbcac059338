"""The model of a check: random weights, the published prompts, random pictures."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...mplug_owl2.config import ModelConfig
from ...mplug_owl2.engine.engine import Engine, Question
from ...mplug_owl2.engine.layout import plan_layout
from ...mplug_owl2.engine.scorer import Scorer
from ...mplug_owl2.model import MPLUGOwl2
from ...mplug_owl2.random_weights import architecture, random_model
from ...protocol import LEVELS
from ...weights.answers import ModelInfo, ScoreItem
from ...weights.tensors import DTYPES
from ..bench import PROMPT, PublishedLengths
from ..count import PROMPTS

AESTHETICS = PROMPT.replace("quality", "aesthetics")
STARS = torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0])  # of LEVELS


class Lengths(PublishedLengths):
    """Ids with the lengths of the published quality and aesthetics prompts."""

    def encode(self, text: str) -> tuple[int, ...]:
        return PROMPTS[1] if text == AESTHETICS else super().encode(text)


class Subject:
    """The scorer under check, created at first use, and freed for sections that need its memory."""

    def __init__(self, name: str, device: torch.device, precision: str) -> None:
        self.name, self.device, self.precision = name, device, precision
        self.config: ModelConfig = architecture(name)
        self._scorer: Scorer | None = None

    @property
    def scorer(self) -> Scorer:
        if self._scorer is None:
            self._scorer = self.build(self.config, self.precision)
        return self._scorer

    def model(self, config: ModelConfig, precision: str, seed: int = 0) -> MPLUGOwl2:
        """Random weights that have the same values in every precision that holds bf16."""
        return random_model(config, self.device, torch.bfloat16, seed).to(DTYPES[precision])

    def build(self, config: ModelConfig, precision: str, seed: int = 0) -> Scorer:
        """A new scorer in fp32, bf16 or fp16."""
        model = self.model(config, precision, seed)
        return Scorer(model, Lengths(), self.info(model, precision))

    def info(self, model: torch.nn.Module, precision: str) -> ModelInfo:
        parameters = sum(value.numel() for value in model.parameters())
        return ModelInfo("random", "random", "random", precision, str(self.device), self.config.image_size, parameters)

    def drop(self) -> None:
        self._scorer = None

    def items(self, count: int, frames: int = 1, prompts: Sequence[str] = (PROMPT,), seed: int = 0) -> list[ScoreItem]:
        """`count` items of `frames` random frames. Item n has the same pixels in every list of the same seed."""
        return [
            ScoreItem(
                [
                    torch.randint(
                        0,
                        256,
                        (frames, *self.config.frame_shape),
                        dtype=torch.uint8,
                        generator=torch.Generator().manual_seed(seed * 100_003 + index),
                    )
                ],
                list(prompts),
            )
            for index in range(count)
        ]


def questions(engine: Engine, count: int, frames: int = 1) -> list[Question]:
    """The quality prompt about each of `count` items."""
    layout = plan_layout(PROMPTS[0], (frames,), engine.config.tokens_per_frame)
    return [Question(layout, index * frames) for index in range(count)]


def level_ids(scorer: Scorer) -> Tensor:
    """The ids of the five level words, on the device."""
    return torch.tensor([scorer.tokenizer.word_id(word) for word in LEVELS], device=scorer.engine.device)


def logits(scorer: Scorer, items: Sequence[ScoreItem]) -> Tensor:
    """Level logits fp32 [items, 5] of the first prompt. Raises the first error of an item."""
    return logits_of(scorer.score(items, LEVELS))


def logits_of(answers: Sequence) -> Tensor:
    for answer in answers:
        if answer.error:
            raise answer.error
    return torch.tensor([answer.prompts[0].logits for answer in answers])


def scores(values: Tensor) -> Tensor:
    """Level logits [N, 5] → scores [N] from 1 to 5."""
    return values.softmax(-1) @ STARS


def shallower(config: ModelConfig, layers: int) -> ModelConfig:
    """The same widths with at most `layers` layers in the encoder and in the language model."""
    vision = replace(config.vision, num_hidden_layers=min(layers, config.vision.num_hidden_layers))
    return replace(config, num_hidden_layers=min(layers, config.num_hidden_layers), vision=vision)
