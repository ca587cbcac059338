"""Imports of transformers without torch's compiler and distributed tensors, which take half of its time.

transformers uses the compiler in decorators that mark functions for it, and one class in a kind of mask that no
supported family has. It uses distributed tensors only if torch.distributed is available. Nothing here is compiled or
distributed.
"""

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, TypeVar

import torch

TORCH = ("2.13.",)  # in other versions the same names can be needed elsewhere
COMPILER = "torch._dynamo"
MASKS = f"{COMPILER}._trace_wrapped_higher_order_op"
T = TypeVar("T")


class TransformGetItemToIndex:
    """The class of that name, imported at its first use."""

    def __enter__(self) -> Any:
        self._real = importlib.import_module(MASKS).TransformGetItemToIndex()
        return self._real.__enter__()

    def __exit__(self, *error: Any) -> Any:
        return self._real.__exit__(*error)


class OptimizedModule:
    """The class of compiled modules, of which there are none. accelerate, which PEFT installs, asks for it."""


def marked(function: Callable[..., T]) -> Callable[..., T]:
    """A decorator for the compiler that changes nothing without it."""
    return function


def disabled(function: Callable[..., T] | None = None, *options: Any, **named: Any) -> Any:
    """A decorator with or without arguments that keeps the compiler away."""
    return marked if function is None else function


@contextmanager
def without_compiler() -> Iterator[None]:
    """Modules that are imported inside get stand-ins for the compiler, unless it is imported already."""
    if COMPILER in sys.modules or not torch.__version__.startswith(TORCH):
        yield
        return
    compiler, masks = ModuleType(COMPILER), ModuleType(MASKS)
    compiler.__path__ = []  # a package
    compiler.assume_constant_result = compiler.allow_in_graph = marked  # type: ignore[attr-defined]
    compiler.disable = disabled  # type: ignore[attr-defined]
    compiler.eval_frame = ModuleType(f"{COMPILER}.eval_frame")  # type: ignore[attr-defined]
    compiler.eval_frame.OptimizedModule = OptimizedModule  # type: ignore[attr-defined]
    masks.TransformGetItemToIndex = TransformGetItemToIndex  # type: ignore[attr-defined]
    compiler._trace_wrapped_higher_order_op = masks  # type: ignore[attr-defined]
    sys.modules.update({COMPILER: compiler, MASKS: masks})
    torch._dynamo = compiler  # type: ignore[assignment]
    available = torch.distributed.is_available
    torch.distributed.is_available = lambda: False
    try:
        yield
    finally:
        torch.distributed.is_available = available
        for name in (MASKS, COMPILER):
            del sys.modules[name]
        del torch._dynamo  # torch imports it when it is needed
