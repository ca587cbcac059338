"""A run that is ready for training: its data, its model and what both families of models offer to the loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from qalign.protocol import RunRecipe

from .data.conversation import Conversation
from .data.order import Split
from .data.prepared_split import Item
from .data.sampler import BalancedSampler
from .distributed import World
from .model.state import TrainState
from .optimizer.optimizer import Schedule


class Words(Protocol):
    """The vocabulary of a model."""

    def word_id(self, word: str) -> int: ...
    def decode(self, ids: Sequence[int]) -> str: ...


class Batching(Protocol):
    """Items → a batch with `labels` [P], and `level_slots` [B] on the CPU, the input of the model's forward pass."""

    @property
    def device(self) -> torch.device: ...
    def training_batch(self, split: Any, items: Sequence[Item], random: np.random.Generator) -> Any: ...
    def evaluation_batch(self, split: Any, items: Sequence[Item], conversations: Sequence[Conversation]) -> Any: ...


@dataclass(frozen=True)
class TrainingData:
    """The splits, and the sampler and batcher for them. `level_ids` [5] are the token ids of the rating levels."""

    train: Split
    dev: Split
    tokenizer: Words
    level_ids: Tensor
    batcher: Batching
    sampler: BalancedSampler


@dataclass(frozen=True)
class Cost:
    """`flops_of` counts the products of an item. `peak` is the device's FLOP/s, or None if either is unknown."""

    flops_of: Callable[[Item], float]
    peak: float | None


@dataclass(frozen=True)
class Training:
    """A run that is ready for training. `write` exports a full state on the CPU into a run directory."""

    recipe: RunRecipe
    world: World
    data: TrainingData
    state: TrainState
    schedule: Schedule
    cost: Cost
    write: Callable[[dict[str, Tensor], Path], None]
