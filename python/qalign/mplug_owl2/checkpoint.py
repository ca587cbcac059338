"""Loads a local checkpoint directory tensor by tensor, so that host memory stays near the size of one shard."""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from qalign.weights.errors import CheckpointError
from qalign.weights.layout import find_weights
from qalign.weights.tensors import misfit, put_tensor, refuse_non_finite, stored_tensors, tensor_slots

from .config import ModelConfig
from .lora import read_adapter
from .model import MPLUGOwl2
from .quantised import quantise_layers

# Published checkpoints store these tensors beside their weights. This code computes them and never reads them.
IGNORED_SUFFIXES = ("rotary_emb.inv_freq",)

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]  # tensors loaded, tensors in total


class WithoutInit(TorchFunctionMode):
    """Skips the initial values of modules: on the meta device, `normal_` imports torch._dynamo, which takes 1 s."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


def meta_model(config: ModelConfig) -> MPLUGOwl2:
    """The model with every parameter and buffer on the meta device, which allocates no memory."""
    with torch.device("meta"), WithoutInit():
        return MPLUGOwl2(config)


def load_checkpoint(
    directory: Path,
    config: ModelConfig,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    codes: str | None = None,
    adapter: Path | None = None,
    on_progress: Progress = lambda done, total: None,
) -> MPLUGOwl2:
    """Load a checkpoint directory onto `device` in `dtype`, and merge the LoRA directory `adapter` into it.

    With `codes`, the matrices of `quantisable` are encoded one by one as they are read and merged.

    Stored buffers are used and cast like the weights. Raises CheckpointError when no layout is complete or a shard
    contradicts its index; one CheckpointError lists all missing, unexpected and misshapen keys. Raises NonFinite when
    a tensor holds NaN or infinity.
    """
    model = meta_model(config)
    merge = read_adapter(model.state_dict(), adapter).merged if adapter else lambda key, value: value
    if codes:
        quantise_layers(model, codes)
    weights = find_weights(directory)
    if weights.passed_over:
        read, passed_over = ", ".join(file.name for file in weights.files), "; ".join(weights.passed_over)
        log.warning("%s: the weights are read from %s. Not read: %s.", directory, read, passed_over)
    stored = stored_tensors(weights, device, IGNORED_SUFFIXES)
    assign_tensors(model, stored, device, dtype, str(directory), on_progress, merge)
    return model.eval()


def assign_tensors(
    model: nn.Module,
    tensors: Iterator[tuple[str, Tensor]],
    device: torch.device | str,
    dtype: torch.dtype,
    where: str,
    on_progress: Progress = lambda done, total: None,
    change: Callable[[str, Tensor], Tensor] = lambda key, value: value,
) -> None:
    """Assign every stored tensor, as `change` returns it, to its key in a meta model.

    Raises the same errors as `load_checkpoint`.
    """
    wanted = model.state_dict()
    slots = tensor_slots(model)
    unexpected: list[str] = []
    misshapen: list[str] = []
    finite: dict[str, Tensor] = {}
    seen: set[str] = set()
    for key, stored in tensors:
        if key.endswith(IGNORED_SUFFIXES):
            continue
        if key not in wanted:
            unexpected.append(key)
        elif wrong := misfit(stored, wanted[key]):
            misshapen.append(f"{key} {wrong}")
        elif not misshapen and not unexpected:  # after the first wrong key, load nothing and only collect the others
            kept = dtype if stored.is_floating_point() else stored.dtype  # the counter of a batch norm is int64
            value = stored.to(device=device, dtype=kept, copy=stored.device.type == "cpu")
            value = change(key, value)
            finite[key] = torch.isfinite(value).all()
            put_tensor(slots, key, value)
            on_progress(len(finite), len(wanted))
        seen.add(key)
    missing = sorted(wanted.keys() - seen)
    _refuse(where, missing, unexpected, misshapen)
    refuse_non_finite(finite, where)


def require_fit(wanted: Mapping[str, Tensor], stored: Mapping[str, Tensor], where: str) -> None:
    """Raises one CheckpointError for all keys that are missing, unexpected or misshapen. Meta tensors are enough."""
    misshapen = [
        f"{key} {wrong}" for key in wanted.keys() & stored.keys() if (wrong := misfit(stored[key], wanted[key]))
    ]
    _refuse(where, sorted(wanted.keys() - stored.keys()), list(stored.keys() - wanted.keys()), misshapen)


def _refuse(where: str, missing: list[str], unexpected: list[str], misshapen: list[str]) -> None:
    parts = [
        f"{len(keys)} {what}: {', '.join(keys)}"
        for what, keys in (("missing", missing), ("unexpected", sorted(unexpected)), ("misshapen", sorted(misshapen)))
        if keys
    ]
    if parts:
        raise CheckpointError(f"{where} does not fit its config.json. Keys {'; '.join(parts)}.")
