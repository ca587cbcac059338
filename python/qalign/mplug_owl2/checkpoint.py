"""A local checkpoint directory → a model on its device, tensor by tensor, so that host memory stays near one shard."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from qalign.weights.errors import CheckpointError, NonFinite

from .config import ModelConfig
from .model import MPLUGOwl2

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
# Published checkpoints carry these beside their weights; they are computed here and never read.
IGNORED_SUFFIXES = ("rotary_emb.inv_freq",)
SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")
INDEX_FILES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")

Progress = Callable[[int, int], None]  # tensors done, tensors in all


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


def meta_model(config: ModelConfig) -> MPLUGOwl2:
    """The model without memory: every parameter and buffer on the meta device."""
    with torch.device("meta"):
        return MPLUGOwl2(config)


def load_checkpoint(
    directory: Path,
    config: ModelConfig,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    on_progress: Progress = lambda done, total: None,
) -> MPLUGOwl2:
    """Load a checkpoint directory onto `device` in `dtype`.

    Stored buffers are used as they are, cast like the weights. Raises CheckpointError, one for all missing, unexpected
    and misshapen keys, and NonFinite when a tensor holds NaN or infinity.
    """
    model = meta_model(config)
    assign_tensors(model, stored_tensors(weight_files(directory), device), device, dtype, str(directory), on_progress)
    return model.eval()


def stored_tensors(files: list[Path], device: torch.device | str) -> Iterator[tuple[str, Tensor]]:
    for file in files:
        yield from read_tensors(file, device)


def assign_tensors(
    model: nn.Module,
    tensors: Iterator[tuple[str, Tensor]],
    device: torch.device | str,
    dtype: torch.dtype,
    where: str,
    on_progress: Progress = lambda done, total: None,
) -> None:
    """Put every stored tensor in its place in a meta model. Raises as `load_checkpoint`."""
    wanted = {key: value.shape for key, value in model.state_dict().items()}
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
        elif stored.shape != wanted[key]:
            misshapen.append(f"{key} is {list(stored.shape)}, wanted {list(wanted[key])}")
        elif not misshapen and not unexpected:  # once the checkpoint is known to be wrong, only list what else is
            kept = dtype if stored.is_floating_point() else stored.dtype  # a batch norm counts in int64
            value = stored.to(device=device, dtype=kept, copy=stored.device.type == "cpu")
            finite[key] = torch.isfinite(value).all()
            put_tensor(slots, key, value)
            on_progress(len(finite), len(wanted))
        seen.add(key)
    missing = sorted(wanted.keys() - seen)
    _refuse(where, missing, unexpected, misshapen)
    refuse_non_finite(finite, where)


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


def _refuse(where: str, missing: list[str], unexpected: list[str], misshapen: list[str]) -> None:
    parts = [
        f"{len(keys)} {what}: {', '.join(keys)}"
        for what, keys in (("missing", missing), ("unexpected", sorted(unexpected)), ("misshapen", sorted(misshapen)))
        if keys
    ]
    if parts:
        raise CheckpointError(f"{where} does not fit its config.json. Keys {'; '.join(parts)}.")


def _some(keys: list[str], most: int = 10) -> str:
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")
