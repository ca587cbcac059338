"""Reads rows of stored tensors, so that a process of several needs only its share of a checkpoint."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .damage import refuse_damage
from .errors import CheckpointError
from .layout import WeightFiles
from .tensors import read_pickle, refuse_misplaced, require_stored

SAFE_TYPES = {
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F64": torch.float64,
    "I64": torch.int64,
}


class Rows(Protocol):
    """Tensors by key. `specs` are tensors on the meta device with the stored shapes and types."""

    specs: Mapping[str, Tensor]

    def read(self, key: str, start: int = 0, stop: int | None = None) -> Tensor:
        """Rows of a tensor on the CPU; all of a tensor without dimensions."""
        ...


class StoredRows:
    """The tensors of a checkpoint. Opening it reads only headers; `.bin` files are memory-mapped."""

    def __init__(self, weights: WeightFiles, ignored: tuple[str, ...], opened: ExitStack) -> None:
        self.specs: dict[str, Tensor] = {}
        self._files: dict[str, Any] = {}
        for file in weights.files:
            refuse_damage(file, CheckpointError)
            if file.suffix == ".safetensors":
                try:
                    source = opened.enter_context(safe_open(file, framework="pt", device="cpu"))
                except (SafetensorError, OSError) as error:
                    raise CheckpointError(f"{file} is damaged or not readable: {error}. Download it again.") from error
            else:
                source = read_pickle(file)
            keys = list(source.keys())
            refuse_misplaced(weights, file, ignored, keys)
            for key in (key for key in keys if not key.endswith(ignored)):
                self._files[key] = source
                self.specs[key] = require_stored(file, key, _spec(source, key))

    def read(self, key: str, start: int = 0, stop: int | None = None) -> Tensor:
        """Raises CheckpointError if the file cannot be read any more."""
        source = self._files[key]
        try:
            if isinstance(source, Mapping):
                value = source[key]
                return value[start:stop] if value.ndim else value
            if not self.specs[key].ndim:
                return source.get_tensor(key)
            return source.get_slice(key)[start : self.specs[key].shape[0] if stop is None else stop]
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{key} could not be read: {error}. Download the model again.") from error


@contextmanager
def open_rows(weights: WeightFiles, ignored: tuple[str, ...] = ()) -> Iterator[StoredRows]:
    """Raises CheckpointError like `stored_tensors`. Keys that end in one of `ignored` are not offered."""
    with ExitStack() as opened:
        yield StoredRows(weights, ignored, opened)


def _spec(source: Any, key: str) -> Tensor:
    if isinstance(source, Mapping):
        return torch.empty_like(source[key], device="meta")
    part = source.get_slice(key)
    # int8 stands for every type that is not supported: it is refused with the name of the key
    return torch.empty(part.get_shape(), dtype=SAFE_TYPES.get(part.get_dtype(), torch.int8), device="meta")
