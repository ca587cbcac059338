"""The gradient of a step: summed in fp32 over its micro-batches, clipped, and handed to the optimizer."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

from ..distributed import World, local
from .trained import TrainedModel

# What a process keeps whole between the micro-batches of a step. `gradients`: they are reduced over processes once a
# step. `all`: the weights are also gathered once a step. `nothing`: both happen for each micro-batch.
KEEP = ("nothing", "gradients", "all")


class GradientSum:
    """Sums the gradients of `micro_batches` backward passes. `keep` is one of KEEP; one process has no choice."""

    def __init__(self, model: TrainedModel, world: World, keep: str, micro_batches: int) -> None:
        self._model, self._world, self._keep, self._count = model, world, keep, micro_batches
        self._trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._sums: dict[
            int, Tensor
        ] = {}  # index of a parameter → its fp32 sum, where its shards are reduced each time
        self._passes = 0

    @contextmanager
    def micro_batch(self) -> Iterator[None]:
        """Around the forward and backward pass of one micro-batch."""
        self._passes += 1
        last = self._passes == self._count
        if self._world.size == 1:
            self._widen()
        else:
            self._set_communication(last)
        yield
        if self._world.size > 1 and self._keep == "nothing" and self._count > 1:
            self._add_shards()

    def finish(self, limit: float) -> float:
        """Scale the gradient to a norm of at most `limit`, and set it as `grad` in the dtype of the weights.

        → its norm before. The same on all processes.
        """
        for index, total in self._sums.items():
            self._trained[index].grad = None
            self._trained[index].grad_dtype = torch.float32
            self._trained[index].grad = _like(self._trained[index], total)
        self._sums, self._passes = {}, 0
        trained = [parameter for parameter in self._trained if parameter.grad is not None]
        norm = total_norm([local(parameter.grad) for parameter in trained], self._world)
        scale = (limit / (norm + 1e-6)).clamp(max=1.0)
        for parameter in trained:
            found = parameter.grad
            local(found).mul_(scale)
            if found.dtype != parameter.dtype:  # rounded once a step, and one after the other to save memory
                parameter.grad = None
                parameter.grad_dtype = parameter.dtype
                parameter.grad = found.to(parameter.dtype)
        return norm.item()

    def _widen(self) -> None:
        """Autograd then casts each gradient to fp32 before it adds it."""
        if self._count > 1 and self._passes == 1:
            for parameter in self._trained:
                parameter.grad_dtype = torch.float32

    def _set_communication(self, last: bool) -> None:
        root = self._model
        assert isinstance(root, FSDPModule), "several processes share a sharded model"
        if self._keep == "nothing":
            return
        root.set_requires_gradient_sync(last)
        if self._keep == "all":
            for block in root.sharded_blocks():
                # only during a step: an evaluation can change the weights, and would leave gathered copies behind
                block.set_reshard_after_forward(last, recurse=False)
                block.set_reshard_after_backward(last, recurse=False)

    def _add_shards(self) -> None:
        for index, parameter in enumerate(self._trained):
            if parameter.grad is None or parameter.dtype == torch.float32:
                continue
            shard = local(parameter.grad)
            if index in self._sums:
                self._sums[index].add_(shard)
            else:
                self._sums[index] = shard.float()
            parameter.grad = None


def total_norm(gradients: list[Tensor], world: World) -> Tensor:
    """The Euclidean norm of the gradients of all processes, fp32 on the device. No term is rounded to bf16."""
    norms = [torch.linalg.vector_norm(gradient, dtype=torch.float32) for gradient in gradients]
    norm = torch.linalg.vector_norm(torch.stack(norms)) if norms else torch.zeros((), device=world.device)
    if world.size == 1:
        return norm
    squares = norm.double().square()
    dist.all_reduce(squares)
    return squares.sqrt().float()


def _like(parameter: nn.Parameter, shard: Tensor) -> Tensor:
    found = torch.empty_like(parameter, dtype=shard.dtype, requires_grad=False)
    local(found).copy_(shard)
    return found
