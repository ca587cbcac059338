"""Registers kernels as operators of torch, so that each counts as one operation with its inputs and outputs."""

import importlib
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

log = logging.getLogger(__name__)
LIBRARY = torch.library.Library("qalign", "DEF")
Compute = Callable[..., Any]
FLOPS: dict[str, Callable[..., int]] = {}  # operator name → floating-point operations, from the same arguments


def define(
    schema: str,
    reference: Compute,
    meta: Compute,
    launch: Compute | None = None,
    cuda: Compute | None = None,
    flops: Callable[..., int] | None = None,
) -> Compute:
    """Register `qalign::<schema>` and return a function that calls it.

    `reference` is the literal formula. It runs on the CPU, and on CUDA where Triton cannot compile. `meta` returns
    empty tensors of the result's shapes. `launch` starts the Triton program; `cuda` is a function for CUDA that needs
    no Triton. `flops` counts floating-point operations. All take the arguments of the schema.
    """
    name = schema.partition("(")[0]

    def fused_or_reference(*args: Any) -> Any:
        return (launch if launch and triton_works(args[0].device) else reference)(*args)

    LIBRARY.define(schema)
    LIBRARY.impl(name, reference, "CPU")
    LIBRARY.impl(name, meta, "Meta")
    LIBRARY.impl(name, cuda or fused_or_reference, "CUDA")
    if flops:
        FLOPS[name] = flops
    operator = getattr(torch.ops.qalign, name).default

    def call(first: Tensor, *args: Any) -> Any:
        # Direct on the CPU, where a dispatch costs as much as a small kernel.
        return reference(first, *args) if first.device.type == "cpu" else operator(first, *args)

    return call


def programs(module: str = "programs", package: str | None = __package__) -> Any:
    """A module of Triton programs in a package. Raises ImportError without Triton."""
    return importlib.import_module(f".{module}", package)


@lru_cache(maxsize=16)
def triton_works(device: torch.device) -> bool:
    """Whether Triton compiles for this device. Logs the reason once if it does not."""
    try:
        programs().gated(torch.ones(1, 2, device=device))
        torch.cuda.synchronize(device)
    except Exception as error:  # no Triton, no C compiler, or a device that Triton does not support
        log.warning("elementwise kernels run unfused, because Triton does not work on %s: %s", device, error)
        return False
    return True
