"""Finds the weight files of a directory or hub repository: those of the first complete layout.

The order is that of transformers. Leftovers of another layout do not hide a complete checkpoint.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .damage import damage, read_json
from .errors import CheckpointError

ORDER = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
INDEX_FILES = tuple(name for name in ORDER if name.endswith(".index.json"))
ABSENT = "is missing"
# Extensions of weight files, to name the files that exist when no layout does.
WEIGHT_ENDINGS = (".safetensors", ".bin", ".gguf", ".pth", ".pt", ".ckpt", ".h5", ".msgpack", ".onnx", ".npz", ".pkl")


@dataclass(frozen=True)
class Layout:
    """One layout: the file that identifies it, and its sorted weight files. `weight_map` of an index: key → file name.

    `passed_over` explains each other layout in the directory that is not used.
    """

    name: str
    files: tuple[str, ...]
    weight_map: Mapping[str, str] | None
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True)
class WeightFiles:
    """The weight files of a directory, sorted by name, and the `weight_map` of their index (None for a single file)."""

    files: list[Path]
    weight_map: Mapping[str, str] | None
    passed_over: tuple[str, ...] = ()


def find_weights(directory: Path) -> WeightFiles:
    """The first complete layout of a directory. Raises CheckpointError with the missing files of each layout, or with
    the other weight files that exist."""
    layout, reasons = _of_directory(directory)
    if layout is not None:
        return WeightFiles([directory / name for name in layout.files], layout.weight_map, layout.passed_over)
    if reasons:
        raise CheckpointError(f"{directory} has no complete weights: {'; '.join(reasons)}.")
    names = sorted(file.name for file in directory.iterdir()) if directory.is_dir() else []
    raise CheckpointError(f"{directory} holds no weights: it has none of {', '.join(ORDER)}.{other_weights(names)}")


def weight_files(directory: Path) -> list[Path]:
    """The weight files of a checkpoint, sorted by name. Raises CheckpointError like `find_weights`."""
    return find_weights(directory).files


def holds_checkpoint(directory: Path) -> bool:
    """Whether a directory has a complete layout."""
    return _of_directory(directory)[0] is not None


def _of_directory(directory: Path) -> tuple[Layout | None, list[str]]:
    def lack(name: str) -> str | None:
        try:
            return damage(directory / name) if (directory / name).is_file() else ABSENT
        except OSError as error:
            return f"is not readable ({error})"

    return pick_layout(lack, lambda name: read_weight_map(directory / name))


def pick_layout(
    lack: Callable[[str], str | None], weight_map_of: Callable[[str], Mapping[str, str]]
) -> tuple[Layout | None, list[str]]:
    """The first complete layout in ORDER, or None with a reason for each layout that is not complete.

    `lack(name)` returns None for a usable file, ABSENT for a missing file, or the damage. `weight_map_of` reads an
    index.
    """
    complete: list[Layout] = []
    reasons: list[str] = []
    for name in ORDER:
        wrong = lack(name)
        if wrong == ABSENT:
            continue
        weight_map = None
        if wrong is None and name in INDEX_FILES:
            try:
                weight_map = weight_map_of(name)
                wrong = _incomplete(lack, weight_map)
            except CheckpointError as error:
                wrong = f"is not usable ({error})"
        if wrong is None:
            files = (name,) if weight_map is None else tuple(sorted(set(weight_map.values())))
            complete.append(Layout(name, files, weight_map))
        else:
            reasons.append(f"{name} {wrong}")
    if not complete:
        return None, reasons
    first, *others = complete
    same = [f"{other.name} is also complete" for other in others if _format(other.name) == _format(first.name)]
    return Layout(first.name, first.files, first.weight_map, (*reasons, *same)), []


def _incomplete(lack: Callable[[str], str | None], weight_map: Mapping[str, str]) -> str | None:
    shards = sorted(set(weight_map.values()))
    wrong = {shard: why for shard in shards if (why := lack(shard))}
    absent = [shard for shard, why in wrong.items() if why == ABSENT]
    damaged = [f"{shard} {why}" for shard, why in wrong.items() if why != ABSENT]
    parts = [f"lacks {len(absent)} of {len(shards)} weight files: {', '.join(absent)}"] if absent else []
    return "; ".join([*parts, *damaged]) or None


def _format(name: str) -> str:
    return "safetensors" if "safetensors" in name else "bin"


def read_weight_map(index: Path) -> dict[str, str]:
    """Key → file name of an index. Raises CheckpointError for an invalid index, and for names outside its directory."""
    try:
        value: Any = read_json(index, CheckpointError)
        weight_map = value["weight_map"]
        names = set(weight_map.values())
    except (OSError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(f"{index} is not a usable index of weight files: {error!r}.") from error
    if not weight_map:
        raise CheckpointError(f"{index} is not a usable index of weight files: its weight_map is empty.")
    outside = [name for name in names if not isinstance(name, str) or Path(name).name != name]
    if outside:
        raise CheckpointError(f"{index} names files outside its directory: {', '.join(map(repr, outside))}.")
    return weight_map


def other_weights(names: Collection[str]) -> str:
    """A sentence about weight files of unsupported formats, or an empty string. `names` are the existing files."""
    found = [name for name in names if name.lower().endswith(WEIGHT_ENDINGS)]
    if not found:
        return ""
    shown = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    advice = "Save the model with transformers' save_pretrained."
    if any(name.startswith("adapter_model") for name in found):
        advice = "An adapter needs its adapter_config.json."
    elif any("-of-" in name for name in found):
        advice = "Shards of a model need their index, model.safetensors.index.json or pytorch_model.bin.index.json."
    return f" It holds {shown}, which {'is' if len(found) == 1 else 'are'} not read. {advice}"
