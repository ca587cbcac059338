"""What a model of either family offers to the loop."""

from torch import nn


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
