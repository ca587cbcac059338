"""Items of a split → a batch on the device, for training and evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from qalign.mplug_owl2.config import ModelConfig
from qalign.mplug_owl2.normalise import normalise

from .batch import Batch, make_batch
from .conversation import Conversation
from .features import FeatureCache
from .prepared_split import Item, PreparedSplit, augment


@dataclass(frozen=True)
class Batcher:
    """`table` [3, 256] on the device normalises the pixels, and `compute` is the dtype of a batch. With `features`,
    cached outputs of the frozen encoder replace the pixels. `flip`: training mirrors half of the items at random."""

    config: ModelConfig
    device: torch.device
    compute: torch.dtype
    table: Tensor
    flip: bool
    features: FeatureCache | None = None

    def training_batch(self, split: PreparedSplit, items: Sequence[Item], random: np.random.Generator) -> Batch:
        """A batch with the items' own conversations. `random` draws crops and mirror images."""
        return self._batch(split, items, [item.conversation for item in items], random)

    def evaluation_batch(
        self, split: PreparedSplit, items: Sequence[Item], conversations: Sequence[Conversation]
    ) -> Batch:
        """A batch with the given conversations and unmirrored centre crops."""
        return self._batch(split, items, conversations, None)

    def pixels(self, frames: Tensor, dtype: torch.dtype) -> Tensor:
        """uint8 [F, V·S, S, 3] → [F, 3, V·S, S] on the device, normalised."""
        return normalise(frames.to(self.device, non_blocking=True), self.table, dtype)

    def _batch(
        self,
        split: PreparedSplit,
        items: Sequence[Item],
        conversations: Sequence[Conversation],
        random: np.random.Generator | None,
    ) -> Batch:
        frames, per_frame = [item.frames for item in items], self.config.tokens_per_frame
        if self.features is not None:
            mirrored = [random is not None and self.flip and random.random() < 0.5 for _ in items]
            cached = [self.features.of(split, item, flip) for item, flip in zip(items, mirrored, strict=True)]
            features = torch.cat(cached).to(self.device, self.compute)
            return make_batch(conversations, frames, per_frame, self.device, features=features)
        cuts = [augment(split.frames_of(item), self.config.image_size, self.flip, random) for item in items]
        pixels = self.pixels(torch.cat(cuts), self.compute)
        return make_batch(conversations, frames, per_frame, self.device, pixels=pixels)
