"""Items → one forward pass: all frames and sequences side by side, no padding, and only the supervised positions given
to the head."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MethodType

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from qalign.mplug_owl2.model import IMAGE_TOKEN, MPLUGOwl2, expand_ids
from qalign.mplug_owl2.vision import VisionTransformer

from .conversation import IGNORED, Conversation
from .packing import Packing, decoder_layer, pack, packed_rotary, trains, vision_block


@dataclass(frozen=True)
class Batch:
    """B items. `pixels` [ΣF, 3, S, S] normalised, or None when `features` [ΣF, …] are given: what the frozen encoder or
    its first stages, gave (`begin`); its `resume` and `project` follow.

    `predicting`, `labels` [P]: the row (in the block order of `packing`) that predicts, and the id of every supervised
    prediction. `level_slots` [B]: the entry of those P that predicts item b's level word, -1 when it has none.
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
    """`frames[b]` is the number of frames behind item b's one image marker."""
    packing = pack([talk.ids for talk in conversations], frames, tokens_per_frame, device)
    predicting: list[int] = []
    labels: list[int] = []
    slots: list[int] = []
    for talk, count, rows in zip(conversations, frames, packing.rows, strict=True):
        shift = count * tokens_per_frame - 1  # the marker is one id but many positions; it precedes all labels
        slots.append(-1)
        for place, label in enumerate(talk.labels):
            if label == IGNORED:
                continue
            if place == talk.level_at:
                slots[-1] = len(labels)
            predicting.append(rows[place + shift - 1])
            labels.append(label)
    whole = [torch.tensor(values).to(device, non_blocking=True) for values in (predicting, labels, slots)]
    return Batch(packing, list(frames), pixels, features, *whole)


def normalise(frames: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 [F, S, S, 3] → float32 [F, 3, S, S]: (v/255 − mean)/std, by division as the reference does it."""
    scaled = (frames.permute(0, 3, 1, 2).double() * (1 / 255)).float()  # rounded once: a float32 1/255 differs
    shape = (1, 3, 1, 1)
    return (scaled - torch.tensor(mean, device=frames.device).view(shape)) / torch.tensor(
        std, device=frames.device
    ).view(shape)


class SupervisedModel(nn.Module):
    """The model with a forward pass for training. A wrapper, because `fully_shard` gathers parameters at its call.

    `recompute`: every block of the encoder and of the language model keeps its input alone for the backward pass.
    """

    def __init__(
        self,
        net: MPLUGOwl2,
        recompute: bool = False,
        dropout: float = 0.0,
        token_dropout: float = 0.0,
        channel_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.net = net
        self.recompute = recompute
        self.dropout = nn.Dropout(dropout)
        self.token_dropout = token_dropout
        self.channel_dropout = channel_dropout
        for block, work in self.blocks():
            block.packed = MethodType(work, block)  # a method, for `fully_shard` gathers at methods of the block

    def blocks(self) -> list[tuple[nn.Module, Callable[..., Tensor]]]:
        """The blocks that are sharded and recomputed one by one, and what each computes."""
        trunk = self.net.model
        vision = trunk.vision_model.encoder.layers if isinstance(trunk.vision_model, VisionTransformer) else []
        return [(block, vision_block) for block in vision] + [(layer, decoder_layer) for layer in trunk.layers]

    def forward(self, batch: Batch) -> Tensor:
        """→ logits [P, V] at the supervised positions, in the order of `batch.labels`."""
        trunk, config, packing = self.net.model, self.net.config, batch.packing
        if batch.features is None:
            assert batch.pixels is not None, "a batch carries pixels or features"
            tokens = self.encode(batch.pixels)
        else:
            cells = trunk.vision_model.resume(batch.features, first_trained(trunk.vision_model))
            tokens = trunk.vision_model.project(self._drop_channels(cells))
        places = self._places(tokens.shape[1])
        seen = tokens if places is None else tokens[:, places]
        images = trunk.visual_abstractor(seen, places).flatten(0, 1)  # [ΣF·(Q + 1), D]
        x = self.dropout(torch.cat([trunk.embed_tokens(packing.text_ids), images]))  # [ΣT, D]
        cos, sin = packed_rotary(packing, config.head_dim, config.rope_theta)
        for layer in trunk.layers:
            x = self._block(layer.packed, x, packing, cos, sin)
        return self.net.lm_head(trunk.norm(x[batch.predicting]))

    def _places(self, tokens: int) -> Tensor | None:
        """The image tokens that this step looks at, the same of every picture; None: all."""
        if not (self.training and self.token_dropout):
            return None
        return torch.randperm(tokens)[: max(1, round(tokens * (1 - self.token_dropout)))].sort().values

    def _drop_channels(self, cells: Tensor) -> Tensor:
        """Cells [F, N, K] of EfficientNet-Lite0, in which some measurements of a picture, other ones of the next, say
        nothing: they are the mean of all pictures, and the rest lies further from it to make up for them."""
        if not (self.training and self.channel_dropout):
            return cells
        mean, share = self.net.model.vision_model.token_mean, 1 - self.channel_dropout
        kept = torch.rand(len(cells), 1, cells.shape[-1], device=cells.device) < share
        return mean + (cells - mean) * (kept / share)

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels [F, 3, S, S] → features [F, N, C]; no graph is kept of a frozen encoder."""
        vision = self.net.model.vision_model
        with torch.set_grad_enabled(torch.is_grad_enabled() and trains(vision)):
            if not isinstance(vision, VisionTransformer):
                return vision.project(self._drop_channels(vision.measure(pixels)))
            x = vision.embeddings(pixels)
            for block in vision.encoder.layers:
                x = self._block(block.packed, x)
            return vision.post_layernorm(x)

    def _block(self, block: Callable[..., Tensor], *inputs: object) -> Tensor:
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)


def first_trained(encoder: nn.Module) -> int:
    """The first stage whose weights have gradients; the number of stages when all are frozen. A ViT is one stage."""
    stages = getattr(encoder, "stages", [encoder])
    return next((n for n, stage in enumerate(stages) if trains(stage)), len(stages))


def sequence_length(talk: Conversation, frames: int, tokens_per_frame: int) -> int:
    """Positions of one item, the measure of work that batches are balanced by."""
    return len(expand_ids(talk.ids, [frames], tokens_per_frame)) if IMAGE_TOKEN in talk.ids else len(talk.ids)
