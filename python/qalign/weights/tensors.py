"""Weight files → tensors, one at a time, and tensors → their places in a module. Any family's files, no model."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from .errors import CheckpointError, NonFinite

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")
INDEX_FILES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")


def weight_files(directory: Path) -> list[Path]:
    """The weight files of a checkpoint, sorted by name. Raises CheckpointError when any is missing, or all are."""
    for name in INDEX_FILES:
        if (directory / name).is_file():
            return _files_of_index(directory, directory / name)
    for name in SINGLE_FILES:
        if (directory / name).is_file():
            return [directory / name]
    raise CheckpointError(f"{directory} holds no weights: none of {', '.join((*SINGLE_FILES, *INDEX_FILES))} is there.")


def _files_of_index(directory: Path, index: Path) -> list[Path]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{index} is not a usable index of weight files: {error!r}.") from error
    outside = [name for name in names if not isinstance(name, str) or Path(name).name != name]
    if outside:
        raise CheckpointError(f"{index} names files outside its directory: {', '.join(map(repr, outside))}.")
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        raise CheckpointError(f"{directory} lacks {len(missing)} of {len(names)} weight files: {', '.join(missing)}.")
    return [directory / name for name in names]


def read_tensors(file: Path, device: torch.device | str = "cpu") -> Iterator[tuple[str, Tensor]]:
    """The tensors of one file, one at a time. `.bin` files are memory-mapped and read with weights_only=True."""
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="pt", device=str(device)) as tensors:
                for key in tensors.keys():  # noqa: SIM118 – not a dict
                    yield key, tensors.get_tensor(key)
        else:
            yield from _read_pickle(file)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} is damaged or not readable: {error}. Download it again.") from error


def _read_pickle(file: Path) -> Iterator[tuple[str, Tensor]]:
    try:
        values = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError, ValueError, … for broken files
        raise CheckpointError(
            f"{file} is refused: it is damaged or holds more than tensors ({_line(error)})."
        ) from error
    if not isinstance(values, Mapping):
        raise CheckpointError(f"{file} holds a {type(values).__name__}, not a mapping from key to tensor.")
    for key, value in values.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"{file}: {key} is a {type(value).__name__}, not a tensor.")
        yield key, value


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def stored_tensors(files: list[Path], device: torch.device | str) -> Iterator[tuple[str, Tensor]]:
    for file in files:
        yield from read_tensors(file, device)


def tensor_slots(model: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """Key of the state dict → the module that owns the tensor and its name there."""
    return {
        f"{path}.{name}" if path else name: (module, name)
        for path, module in model.named_modules()
        for name in (*module._parameters, *module._buffers)
    }


def put_tensor(slots: dict[str, tuple[nn.Module, str]], key: str, value: Tensor) -> None:
    module, name = slots[key]
    if name in module._buffers:
        module._buffers[name] = value
    else:
        module._parameters[name] = nn.Parameter(value)


def refuse_non_finite(finite: dict[str, Tensor], where: str) -> None:
    """One synchronisation for all tensors. Raises NonFinite, naming the tensors that are not finite."""
    if not finite:
        return
    flags = torch.stack([flag.to(torch.bool) for flag in finite.values()]).tolist()
    bad = [key for key, good in zip(finite, flags, strict=True) if not good]
    if bad:
        raise NonFinite(f"{where}: NaN or infinity in {len(bad)} tensors after the cast: {_some(bad)}.")


def _some(keys: list[str], most: int = 10) -> str:
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")
