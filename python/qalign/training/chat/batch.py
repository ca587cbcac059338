"""Items of a split → the inputs of one forward pass. Sequences are padded at their ends, never packed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qalign.transformers_backend.network import padded
from qalign.transformers_backend.processing import Pictures, Preparing

from ..data.conversation import IGNORED, Conversation
from .conversation import ChatConversation
from .split import ChatItem, ChatSplit


@dataclass(frozen=True)
class ChatBatch:
    """B items. `ids` [B, T] stay on the CPU. `types` are the kinds of tokens of each item, without padding.

    `predicting` [P] are indices into B·T positions, `labels` [P] the ids to predict there. `level_slots` [B] is the
    index in P of item b's level word, or -1 without one. It stays on the CPU, where losses choose their rows.
    """

    ids: Tensor
    types: Sequence[Sequence[int]]
    pictures: Sequence[Pictures]
    predicting: Tensor
    labels: Tensor
    level_slots: Tensor


@dataclass(frozen=True)
class ChatBatcher:
    """`flip`: training mirrors half of the items at random."""

    processor: Any
    preparing: Preparing
    device: torch.device
    flip: bool

    def training_batch(self, split: ChatSplit, items: Sequence[ChatItem], random: np.random.Generator) -> ChatBatch:
        """A batch with the items' own conversations. `random` draws mirror images."""
        return self._batch(split, items, [item.conversation for item in items], random)

    def evaluation_batch(
        self, split: ChatSplit, items: Sequence[ChatItem], conversations: Sequence[Conversation]
    ) -> ChatBatch:
        """A batch with the given conversations and unmirrored pictures."""
        return self._batch(split, items, conversations, None)

    def _batch(
        self,
        split: ChatSplit,
        items: Sequence[ChatItem],
        conversations: Sequence[Conversation | ChatConversation],
        random: np.random.Generator | None,
    ) -> ChatBatch:
        pictures = [self._pictures(split.frames_of(item), random) for item in items]
        longest = max(len(conversation.ids) for conversation in conversations)
        types = [self.processor.create_mm_token_type_ids([list(one.ids)])[0] for one in conversations]
        predicting, labels, slots = supervised(conversations, longest)
        whole = [torch.tensor(values).to(self.device, non_blocking=True) for values in (predicting, labels)]
        ids = padded([one.ids for one in conversations])
        return ChatBatch(ids, types, pictures, *whole, torch.tensor(slots))

    def _pictures(self, frames: np.ndarray, random: np.random.Generator | None) -> Pictures:
        if random is not None and self.flip and random.random() < 0.5:
            frames = frames[:, :, ::-1]
        return self.preparing.prepare([torch.from_numpy(np.array(frames))])


def supervised(
    conversations: Sequence[Conversation | ChatConversation], longest: int
) -> tuple[list[int], list[int], list[int]]:
    """Predicting positions and labels of a padded batch, and the index of each level word among them, or -1."""
    predicting: list[int] = []
    labels: list[int] = []
    slots: list[int] = []
    for number, conversation in enumerate(conversations):
        first = len(conversation.ids) - len(conversation.labels)
        slots.append(-1)
        for place, label in enumerate(conversation.labels, first):
            if label == IGNORED:
                continue
            if place == conversation.level_at:
                slots[-1] = len(labels)
            predicting.append(number * longest + place - 1)
            labels.append(label)
    return predicting, labels, slots
