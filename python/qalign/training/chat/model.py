"""The forward pass for training: the library's own network, with logits only at supervised positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from qalign.transformers_backend.families import Family
from qalign.transformers_backend.library import is_recomputed
from qalign.transformers_backend.network import Features, Network
from qalign.transformers_backend.processing import Preparing

from ..model.trained import TrainedModel, recomputed
from .batch import ChatBatch
from .parts import part_of


@dataclass(frozen=True)
class _Seen:
    types: Sequence[int]
    grids: Sequence[tuple[int, int, int]]
    features: Features


class ChatModel(TrainedModel):
    """`compute` is the dtype of the pixels, that of all products. `recompute`: this share of the blocks, evenly spaced,
    keeps only their inputs.
    """

    def __init__(
        self,
        net: Any,
        family: Family,
        preparing: Preparing,
        device: torch.device,
        compute: torch.dtype,
        recompute: bool | float,
    ) -> None:
        super().__init__()
        self.net = net
        self._preparing = preparing
        width = net.get_output_embeddings().weight.shape[1]
        self._network = Network(net, family, device, compute, width)
        if recompute:
            net.activation_checkpointing_enable({"use_reentrant": False})
            for number, block in enumerate(self.sharded_blocks()):
                block.gradient_checkpointing = recomputed(number, recompute)

    def sharded_blocks(self) -> list[nn.Module]:
        return [module for module in self.net.modules() if is_recomputed(module)]

    def part_of(self, name: str) -> str:
        return part_of(name)

    def forward(self, batch: ChatBatch) -> Tensor:
        """→ logits [P, V] at the supervised positions, in the order of `batch.labels`."""
        network = self._network
        features = network.encode(batch.pictures, self._preparing)
        seen = [_Seen(*row) for row in zip(batch.types, (one.grids for one in batch.pictures), features, strict=True)]
        hidden = network.hidden(seen, batch.ids)
        rows = hidden.reshape(-1, hidden.shape[-1]).index_select(0, batch.predicting)
        return self.net.get_output_embeddings()(rows)
