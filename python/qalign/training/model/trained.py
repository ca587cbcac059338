"""What a model of either family offers to the loop."""

import math

from torch import nn

ROUNDING = 1e-9  # a third of 24 blocks is 8 of them


class TrainedModel(nn.Module):
    """Its forward pass turns a batch into logits [P, V] at the supervised positions, in the order of `batch.labels`.

    `net` is the network in memory.
    """

    net: nn.Module

    def sharded_blocks(self) -> list[nn.Module]:
        """The blocks that are sharded separately."""
        raise NotImplementedError

    def part_of(self, name: str) -> str:
        """The part of a parameter, for which a recipe can set a learning rate."""
        raise NotImplementedError


def recomputed(number: int, share: float) -> bool:
    """Whether block `number` belongs to an evenly spaced share, in [0, 1], of all blocks."""
    return math.floor((number + 1) * share + ROUNDING) > math.floor(number * share + ROUNDING)
