"""The forward pass for training: packed sequences, recomputed blocks, and logits only at supervised positions."""

from collections.abc import Callable, Sequence
from types import MethodType

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from qalign.mplug_owl2.model import MPLUGOwl2
from qalign.mplug_owl2.vision import VisionTransformer

from ..data.batch import Batch
from ..data.packing import decoder_layer, packed_rotary, vision_block
from ..kernels.blocks import fused_decoder_layer, fused_vision_block
from ..optimizer.optimizer import part_of
from .quantised import QuantisedLinear
from .trained import TrainedModel, recomputed


class SupervisedModel(TrainedModel):
    """A wrapper with the forward pass for training, because `fully_shard` gathers parameters when a module is called.

    `recompute`: this share of the blocks of the encoder and of the language model, evenly spaced, keeps only its input
    for the backward pass. `fused`: blocks use the operators of `kernels/`, which are Triton programs on CUDA.
    """

    def __init__(
        self,
        net: MPLUGOwl2,
        recompute: bool | float = False,
        dropout: float = 0.0,
        token_dropout: float = 0.0,
        channel_dropout: float = 0.0,
        fused: bool = False,
    ) -> None:
        super().__init__()
        self.net = net
        self.fused = fused
        self.dropout = nn.Dropout(dropout)
        self.token_dropout = token_dropout
        self.channel_dropout = channel_dropout
        for blocks, work in self._stacks():
            for number, block in enumerate(blocks):
                block.packed = MethodType(work, block)  # a method, because `fully_shard` hooks methods of the block
                block.recomputed = recomputed(number, recompute)
                for part in block.modules():
                    if isinstance(part, QuantisedLinear) and part is not block.mlp.down_proj:
                        part.recomputed = block.recomputed  # the last product of a block is never computed again

    def _stacks(self) -> list[tuple[Sequence[nn.Module], Callable[..., Tensor]]]:
        """The blocks of the encoder and of the language model, with their packed forward functions."""
        trunk = self.net.model
        vision = trunk.vision_model.encoder.layers if isinstance(trunk.vision_model, VisionTransformer) else []
        seeing, saying = (fused_vision_block, fused_decoder_layer) if self.fused else (vision_block, decoder_layer)
        return [(list(vision), seeing), (list(trunk.layers), saying)]

    def sharded_blocks(self) -> list[nn.Module]:
        return [block for blocks, _ in self._stacks() for block in blocks]

    def part_of(self, name: str) -> str:
        return part_of(name)

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
        if places is not None:
            places = places.to(tokens.device, non_blocking=True)
        seen = tokens if places is None else tokens.index_select(1, places)
        images = trunk.visual_abstractor(seen, places).flatten(0, 1)  # [ΣF·(Q + 1), D]
        x = self.dropout(torch.cat([trunk.embed_tokens(packing.text_ids), images]))  # [ΣT, D]
        cos, sin = packed_rotary(packing, config.head_dim, config.rope_theta)
        for layer in trunk.layers:
            x = run_block(layer, x, packing, cos, sin)
        return self.net.lm_head(trunk.norm(x.index_select(0, batch.predicting)))

    def _places(self, tokens: int) -> Tensor | None:
        """The positions of the image tokens that this step keeps, equal for all pictures. None: all tokens."""
        if not (self.training and self.token_dropout):
            return None
        return torch.randperm(tokens)[: max(1, round(tokens * (1 - self.token_dropout)))].sort().values

    def _drop_channels(self, cells: Tensor) -> Tensor:
        """Dropout of the channels of EfficientNet-Lite0's cells [F, V·N, K], with a separate mask for every view.

        A dropped channel gets its mean over all pictures. Kept channels are scaled up around that mean.
        """
        if not (self.training and self.channel_dropout):
            return cells
        vision, share = self.net.model.vision_model, 1 - self.channel_dropout
        mean = vision.of_cells(vision.token_mean)
        kept = torch.rand(len(cells), vision.views, cells.shape[-1], device=cells.device) < share
        return mean + (cells - mean) * vision.of_cells(kept / share)

    def encode(self, pixels: Tensor) -> Tensor:
        """Pixels [F, 3, V·S, S] → features [F, V·N, C]. A frozen encoder records no autograd graph."""
        vision = self.net.model.vision_model
        with torch.set_grad_enabled(torch.is_grad_enabled() and trains(vision)):
            if not isinstance(vision, VisionTransformer):
                return vision.project(self._drop_channels(vision.measure(pixels)))
            x = vision.embeddings(pixels)
            for block in vision.encoder.layers:
                x = run_block(block, x)
            return vision.post_layernorm(x)


def run_block(block: nn.Module, *inputs: object) -> Tensor:
    """The packed forward pass of a block, recomputed for the backward pass where the block says so."""
    if block.recomputed and torch.is_grad_enabled():
        return checkpoint(block.packed, *inputs, use_reentrant=False)
    return block.packed(*inputs)


def first_trained(encoder: nn.Module) -> int:
    """The first stage whose weights have gradients; the number of stages when all are frozen. A ViT is one stage."""
    stages = getattr(encoder, "stages", [encoder])
    return next((n for n, stage in enumerate(stages) if trains(stage)), len(stages))


def trains(module: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in module.parameters())
