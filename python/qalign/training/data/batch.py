"""Items → the inputs of one forward pass. Frames and sequences are concatenated without padding, and only supervised
positions reach the head."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qalign.mplug_owl2.model import IMAGE_TOKEN, expand_ids

from .conversation import IGNORED, Conversation
from .packing import Packing, pack


@dataclass(frozen=True)
class Batch:
    """B items. `pixels` [ΣF, 3, V·S, S] are normalised, or None when `features` [ΣF, …] are given. Features are outputs
    of `begin` of the frozen encoder or of its frozen stages; the encoder's `resume` and `project` follow.

    `predicting` [P] is the row that makes each supervised prediction, in the block order of `packing`. `labels` [P] are
    the ids to predict. `level_slots` [B] is the index in P of item b's level word, or -1 without one. It
    stays on the CPU, where losses choose their rows.
    """

    packing: Packing
    frames: Sequence[int]
    pixels: Tensor | None
    features: Tensor | None
    predicting: Tensor
    labels: Tensor
    level_slots: Tensor


def make_batch(
    conversations: Sequence[Conversation],
    frames: Sequence[int],
    tokens_per_frame: int,
    device: torch.device,
    pixels: Tensor | None = None,
    features: Tensor | None = None,
) -> Batch:
    """`frames[b]` is the number of frames of item b, which has one image marker."""
    packing = pack([conversation.ids for conversation in conversations], frames, tokens_per_frame, device)
    predicting: list[int] = []
    labels: list[int] = []
    slots: list[int] = []
    for conversation, count, rows in zip(conversations, frames, packing.rows, strict=True):
        shift = count * tokens_per_frame - 1  # the marker is one id with many positions; it precedes all labels
        slots.append(-1)
        for place, label in enumerate(conversation.labels):
            if label == IGNORED:
                continue
            if place == conversation.level_at:
                slots[-1] = len(labels)
            predicting.append(rows[place + shift - 1])
            labels.append(label)
    whole = [torch.tensor(values).to(device, non_blocking=True) for values in (predicting, labels)]
    return Batch(packing, list(frames), pixels, features, *whole, torch.tensor(slots))


def sequence_length(conversation: Conversation, frames: int, tokens_per_frame: int) -> int:
    """The number of positions of one item, by which batches are balanced."""
    ids = conversation.ids
    return len(expand_ids(ids, [frames], tokens_per_frame)) if IMAGE_TOKEN in ids else len(ids)
