"""Fills a model on the meta device from a checkpoint. Each process reads the rows of its shards, tensor by tensor."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from qalign.mplug_owl2.checkpoint import IGNORED_SUFFIXES, require_fit
from qalign.mplug_owl2.lora import Adapter, read_adapter
from qalign.mplug_owl2.model import MPLUGOwl2
from qalign.weights.codes import encode
from qalign.weights.layout import find_weights
from qalign.weights.rows import Rows, open_rows
from qalign.weights.tensors import refuse_non_finite

from ..distributed import World, local
from .build import ModelSource

BASE = ".base_layer."  # PEFT's name for the layer below an adapter


class ShardedWeights:
    """Stored weights in `source.dtype` with the LoRA of `source` merged, for the tensors that are still on meta.

    Create it with the plain network on the meta device. Raises the errors of qalign.weights.
    """

    def __init__(self, net: MPLUGOwl2, source: ModelSource, world: World) -> None:
        self._source, self._world = source, world
        wanted = net.state_dict()
        with self._open() as rows:
            require_fit(wanted, rows.specs, str(source.directory))
        self._adapter = read_adapter(wanted, source.adapter) if source.adapter else None

    def fill(self, module: nn.Module, name: str, device: torch.device) -> None:
        """Fill the model, or a module whose keys in the plain network begin with `name`, on `device`.

        All processes must call this. Raises NonFinite on all of them when a tensor of any holds NaN or infinity.
        """
        missing = {key for key, value in _tensors(module).items() if value.is_meta}
        module._apply(lambda value: torch.empty_like(value, device=device) if value.is_meta else value)
        finite: dict[str, Tensor] = {}
        with torch.no_grad(), self._open() as rows:
            held = _tensors(module)  # FSDP may have put padded shards in their places
            for key in sorted(missing - {key for key in missing if key.endswith(".scales")}):
                stored_key = f"{name}{key}".removeprefix("net.").replace(BASE, ".")
                value = self._read(rows, stored_key, held[key], device)
                finite[stored_key] = torch.isfinite(value).all()
                if (scales := key.removesuffix("weight") + "scales") in missing:
                    for target, part in zip((key, scales), encode(module_kind(module, key), value), strict=True):
                        held[target].copy_(part)
                else:
                    local(held[key]).copy_(value)
        self._world.wait()  # disks are not equally fast
        refuse_non_finite(self._everywhere(finite), str(self._source.directory))

    def _open(self) -> AbstractContextManager[Rows]:
        return open_rows(find_weights(self._source.directory), IGNORED_SUFFIXES)

    def _read(self, rows: Rows, key: str, target: Tensor, device: torch.device) -> Tensor:
        """The rows of this process on the device; all rows if the target is not sharded."""
        start, stop = own_rows(target)
        if touches(self._adapter, key):  # products of other shapes would be rounded in another way
            return self._adapter.merged(key, self._cast(rows.read(key), device, copy=True))[start:stop]
        return self._cast(rows.read(key, start, stop), device)

    def _cast(self, value: Tensor, device: torch.device, copy: bool = False) -> Tensor:
        return value.to(device, self._source.dtype if value.is_floating_point() else value.dtype, copy=copy)

    def _everywhere(self, finite: dict[str, Tensor]) -> dict[str, Tensor]:
        """Whether each tensor is finite on all processes, which fill the same keys in the same order."""
        bad = self._world.sum([float(not flag) for flag in finite.values()]) if finite else []
        return {key: torch.tensor(count == 0) for key, count in zip(finite, bad, strict=True)}


def own_rows(target: Tensor) -> tuple[int, int | None]:
    """The rows of a tensor that this process holds: FSDP splits them as `torch.chunk` does."""
    if not isinstance(target, DTensor):
        return 0, None
    each = -(-target.shape[0] // target.device_mesh.size())
    start = min(target.device_mesh.get_local_rank() * each, target.shape[0])
    return start, start + len(target.to_local())


def touches(adapter: Adapter | None, key: str) -> bool:
    return adapter is not None and (key in adapter.replaced or key in adapter.halves)


def module_kind(module: nn.Module, key: str) -> str:
    """The code of the quantised layer that owns a key."""
    kind = module.get_submodule(key.rpartition(".")[0]).kind
    assert isinstance(kind, str)
    return kind


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}
