"""Reads weight files of any model family tensor by tensor, and assigns tensors to a module."""

import stat
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from .damage import refuse_damage
from .errors import CheckpointError, NonFinite
from .layout import WeightFiles

# Supported types of weights, and int64 for counters. Other types hold quantised weights, which need scales.
STORED = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64)
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def read_tensors(file: Path, device: torch.device | str = "cpu") -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of one file. `.bin` files are memory-mapped and read with weights_only=True.

    Raises CheckpointError for a file that is damaged or holds more than tensors, and for a type that is not in STORED.
    """
    yield from _open_tensors(file, device, lambda keys: None)


def write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a .safetensors file with the permissions of the umask; safetensors allows only the owner to read."""
    path.touch()
    mode = stat.S_IMODE(path.stat().st_mode)
    save_file(tensors, path, metadata={"format": "pt"})
    path.chmod(mode)


def _open_tensors(
    file: Path, device: torch.device | str, check_keys: Callable[[Collection[str]], None]
) -> Iterator[tuple[str, Tensor]]:
    refuse_damage(file, CheckpointError)
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, framework="pt", device=str(device)) as tensors:
                keys = tensors.keys()
                check_keys(keys)
                for key in keys:
                    yield key, require_stored(file, key, tensors.get_tensor(key))
        else:
            values = read_pickle(file)
            check_keys(values.keys())
            for key, value in values.items():
                yield key, require_stored(file, key, value)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{file} is damaged or not readable: {error}. Download it again.") from error


def require_stored(file: Path, key: str, value: Tensor) -> Tensor:
    """Raises CheckpointError for a type that is not in STORED."""
    if value.dtype in STORED:
        return value
    kinds = ", ".join(str(kind).removeprefix("torch.") for kind in STORED)
    raise CheckpointError(
        f"{file}: {key} is stored as {str(value.dtype).removeprefix('torch.')}, as quantised weights are. "
        f"Only {kinds} are supported. Save the model unquantised."
    )


def read_pickle(file: Path) -> Mapping[str, Tensor]:
    """The tensors of a `.bin` file, memory-mapped. Raises CheckpointError for a file that holds more than tensors."""
    try:
        values = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError, ValueError, … for broken files
        raise CheckpointError(
            f"{file} is refused: it is damaged or holds more than tensors ({_line(error)})."
        ) from error
    if not isinstance(values, Mapping):
        raise CheckpointError(f"{file} holds a {type(values).__name__}, not a mapping from key to tensor.")
    for key, value in values.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"{file}: {key} is a {type(value).__name__}, not a tensor.")
    return values


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def stored_tensors(
    weights: WeightFiles, device: torch.device | str, ignored: tuple[str, ...] = ()
) -> Iterator[tuple[str, Tensor]]:
    """Yield the tensors of a checkpoint, file by file. Raises CheckpointError when a file and the index differ.

    Keys that end in one of `ignored` can be in any file, or in none.
    """
    for file in weights.files:
        yield from _open_tensors(file, device, partial(refuse_misplaced, weights, file, ignored))


def refuse_misplaced(weights: WeightFiles, file: Path, ignored: tuple[str, ...], keys: Collection[str]) -> None:
    """Raises CheckpointError when a file has other tensors than its index states."""
    weight_map = weights.weight_map
    if weight_map is None:
        return
    here = {key for key in keys if not key.endswith(ignored)}
    mapped = {key for key, name in weight_map.items() if name == file.name and not key.endswith(ignored)}
    elsewhere = sorted(f"{key} (by the index in {weight_map[key]})" for key in here - mapped if key in weight_map)
    unknown = sorted(key for key in here - mapped if key not in weight_map)
    parts = [
        f"{what} {_some(keys)}"
        for what, keys in (
            ("it lacks", sorted(mapped - here)),
            ("it holds", elsewhere),
            ("it holds tensors that are not in the index:", unknown),
        )
        if keys
    ]
    if parts:
        raise CheckpointError(
            f"{file} is not the file that its index describes: {'; '.join(parts)}. "
            "The index or the file is from another checkpoint; download both again."
        )


def tensor_slots(model: nn.Module) -> dict[str, tuple[nn.Module, str]]:
    """Key of the state dict → the module that owns the tensor, and the tensor's name in that module."""
    return {
        f"{path}.{name}" if path else name: (module, name)
        for path, module in model.named_modules()
        for name in (*module._parameters, *module._buffers)
    }


def misfit(stored: Tensor, wanted: Tensor) -> str | None:
    """How a stored tensor differs from the module's tensor: in shape, or in floating point versus integer type."""
    if stored.shape != wanted.shape:
        return f"is {list(stored.shape)}, expected {list(wanted.shape)}"
    if stored.is_floating_point() != wanted.is_floating_point():
        return f"is {stored.dtype}, expected {wanted.dtype}".replace("torch.", "")
    return None


def put_tensor(slots: dict[str, tuple[nn.Module, str]], key: str, value: Tensor) -> None:
    module, name = slots[key]
    put_weight = getattr(module, "put_weight", None) if name == "weight" else None
    if put_weight is not None:  # a layer that stores codes
        put_weight(value)
    elif name in module._buffers:
        module._buffers[name] = value
    else:
        module._parameters[name] = nn.Parameter(value)


def refuse_non_finite(finite: dict[str, Tensor], where: str) -> None:
    """Check all tensors with one synchronisation. Raises NonFinite with the names of tensors that are not finite."""
    if not finite:
        return
    flags = torch.stack([flag.to(torch.bool) for flag in finite.values()]).tolist()
    bad = [key for key, good in zip(finite, flags, strict=True) if not good]
    if bad:
        raise NonFinite(f"{where}: NaN or infinity in {len(bad)} tensors after the cast: {_some(bad)}.")


def _some(keys: list[str], most: int = 10) -> str:
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")
