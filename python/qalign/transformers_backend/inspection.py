"""Describes a model of transformers from its configuration and file headers, without reading weights."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from qalign.weights.codes import CODES
from qalign.weights.damage import refuse_damage, safetensors_header
from qalign.weights.errors import CheckpointError
from qalign.weights.tensors import DTYPES

from .library import silence, without_network
from .processor import open_processor
from .quantised import weight_bytes
from .source import ModelFolder, find_model


def inspect_model(
    model: str,
    *,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    offline: bool = False,
    chat: Mapping[str, Any] | None = None,
    on_progress: Callable[[str, int, int, str], None] = lambda stage, done, total, unit: None,
) -> dict[str, Any]:
    """A folder or hub id → values that JSON can hold. Missing files are downloaded.

    `parameters` counts the stored values, `memory_bytes` is the memory of the weights for each precision, and `files`
    lists names and bytes. With `chat`, which has the keys of ChatSettings, the processor is read by transformers, and
    `preparation` and `image_size` are those of a loaded model. Raises the errors of `find_model`.
    """
    folder = find_model(
        model,
        revision=revision,
        cache_dir=Path(cache_dir) if cache_dir else None,
        offline=offline,
        on_progress=on_progress,
    )
    shapes = {key: shape for file in folder.weights.files for key, shape in _shapes(file).items()}
    parameters = sum(math.prod(shape) for shape in shapes.values())
    return {
        "path": str(folder.path),
        "kind": "full",
        "family": folder.config["model_type"],
        "files": [{"name": file.name, "bytes": file.stat().st_size} for file in folder.weights.files],
        "tensors": len(shapes),
        "parameters": parameters,
        "memory_bytes": {
            **{name: parameters * torch.finfo(dtype).bits // 8 for name, dtype in DTYPES.items()},
            **{kind: weight_bytes(shapes, kind) for kind in CODES},
        },
        "config": folder.config,
        "views": ["whole"],
        **({} if chat is None else _prepared(folder, chat)),
    }


def _prepared(folder: ModelFolder, chat: Mapping[str, Any]) -> dict[str, Any]:
    """Who resizes the pictures of a model, and to which sizes."""
    with without_network():
        silence()
        preparing = open_processor(folder, chat).preparing
    return {"preparation": preparing.preparation, "image_size": preparing.image_size}


def _shapes(file: Path) -> dict[str, list[int]]:
    """Key → shape of every tensor of a safetensors file."""
    refuse_damage(file, CheckpointError)
    try:
        return {key: value["shape"] for key, value in safetensors_header(file)[0].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file} has no readable safetensors header: {error}.") from error
