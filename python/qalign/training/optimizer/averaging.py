"""An exponential average of the trained weights, held in fp32 beside them (Polyak averaging)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """The average of the weights after each step, with factor `decay` per step. As in Adam it starts at zero and is
    divided by 1 − decay**updates, so the initial weights are not included. Every process averages its own shards."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay, self.updates = decay, 0
        self._model = model
        trained = ((n, p) for n, p in model.named_parameters() if p.requires_grad)
        self.held = {n: torch.zeros_like(p, dtype=torch.float32, requires_grad=False) for n, p in trained}

    @torch.no_grad()
    def update(self) -> None:
        for name, parameter in self._model.named_parameters():
            if name in self.held:
                _local(self.held[name]).lerp_(_local(parameter).float(), 1 - self.decay)
        self.updates += 1

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the context, the model has the averaged weights. Afterwards it has its own weights again."""
        named = dict(self._model.named_parameters())
        own = {name: _local(named[name]).detach().clone() for name in self.held}
        if self.updates:
            self._copy(named, self.held, 1 / (1 - self.decay**self.updates))
        try:
            yield
        finally:
            self._copy(named, own)

    @torch.no_grad()
    def _copy(self, named: dict[str, nn.Parameter], source: dict[str, Tensor], factor: float = 1.0) -> None:
        for name, value in source.items():
            _local(named[name]).copy_(_local(value) * factor)


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor
