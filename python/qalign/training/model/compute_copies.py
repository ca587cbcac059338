"""Weights in the dtype of the products, for one process; several processes get them from FSDP."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from torch import nn

from .trained import TrainedModel

METHODS = ("forward", "packed")  # the methods of a block that use its weights


def compute_in(model: TrainedModel, compute: torch.dtype) -> None:
    """Let each block, and the model for the rest, see its weights in `compute` while one of METHODS runs.

    The copies of a recomputed block live as long as its pass. Gradients reach the weights in the dtype of the weights.
    """
    blocks = model.sharded_blocks()
    inside = {module for block in blocks for module in block.modules()}
    for owner in (*blocks, model):
        modules = owner.modules() if owner is not model else (m for m in model.modules() if m not in inside)
        places = [
            (module, name)
            for module in modules
            for name, value in module._parameters.items()
            if value is not None and value.is_floating_point() and value.dtype != compute
        ]
        for method in METHODS:
            if places and hasattr(owner, method):
                setattr(owner, method, _with_copies(getattr(owner, method), places, compute))


def _with_copies(
    method: Callable[..., Any], places: list[tuple[nn.Module, str]], compute: torch.dtype
) -> Callable[..., Any]:
    @wraps(method)
    def call(*inputs: Any, **named: Any) -> Any:
        with _copies(places, compute):
            return method(*inputs, **named)

    return call


@contextmanager
def _copies(places: list[tuple[nn.Module, str]], compute: torch.dtype) -> Iterator[None]:
    """An attribute of the module itself hides the parameter of the same name. Tied weights share one copy."""
    made: dict[int, torch.Tensor] = {}
    for module, name in places:
        own = module._parameters[name]
        assert own is not None, "parameters are not removed during training"
        if id(own) not in made:
            made[id(own)] = own.to(compute)
        module.__dict__[name] = made[id(own)]
    try:
        yield
    finally:
        for module, name in places:
            module.__dict__.pop(name, None)
