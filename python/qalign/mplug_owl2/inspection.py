"""Describes a checkpoint from its configuration and file headers, without reading weights."""

import math
from pathlib import Path
from typing import Any

import torch

from qalign.weights.codes import CODES
from qalign.weights.damage import read_json, refuse_damage, safetensors_header
from qalign.weights.errors import CheckpointError, ConfigError
from qalign.weights.layout import WeightFiles, find_weights
from qalign.weights.lora_config import is_lora, lora_files, read_lora_config
from qalign.weights.tensors import DTYPES, read_tensors, refuse_misplaced

from .checkpoint import IGNORED_SUFFIXES, meta_model
from .config import VIT, load_config
from .quantised import weight_bytes


def inspect_model(path: str | Path) -> dict[str, Any]:
    """A model or LoRA directory → values that JSON can hold.

    `parameters` counts the stored values, `memory_bytes` is the memory of the weights for each precision, and `files`
    lists names and bytes. Raises CheckpointError and ConfigError.
    """
    directory = Path(path)
    lora = is_lora(directory)
    weights = WeightFiles(lora_files(directory), None) if lora else find_weights(directory)
    files, shapes = weights.files, {}
    for file in files:
        found_here = tensor_shapes(file)
        refuse_misplaced(weights, file, IGNORED_SUFFIXES, found_here)
        shapes |= found_here
    parameters = sum(math.prod(shape) for shape in shapes.values())
    found: dict[str, Any] = {
        "path": str(directory),
        "kind": "lora" if lora else "full",
        "files": [{"name": file.name, "bytes": file.stat().st_size} for file in files],
        "tensors": len(shapes),
        "parameters": parameters,
        "memory_bytes": {name: parameters * torch.finfo(dtype).bits // 8 for name, dtype in DTYPES.items()},
    }
    if lora:
        adapter = read_lora_config(directory)
        return found | {"lora": {"r": adapter["r"], "alpha": adapter["lora_alpha"]}}
    config = load_config(directory)
    model = meta_model(config)
    parts = {
        "vision": model.model.vision_model,
        "abstractor": model.model.visual_abstractor,
        "language": torch.nn.ModuleList(
            [model.model.embed_tokens, model.model.layers, model.model.norm, model.lm_head]
        ),
    }
    if config.vision.model_type == VIT:
        found["memory_bytes"] |= {kind: weight_bytes(model, kind) for kind in CODES}
    return found | {
        "config": read_json(directory / "config.json", ConfigError),
        "image_size": config.image_size,
        "views": list(config.vision.views),
        "encoder": config.vision.model_type,
        "tokens_per_frame": config.tokens_per_frame,
        "parameters_by_part": {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()},
    }


def tensor_shapes(file: Path) -> dict[str, list[int]]:
    """Key → shape of every tensor in a weight file; `.bin` files are memory-mapped."""
    if file.suffix != ".safetensors":
        return {key: list(value.shape) for key, value in read_tensors(file)}
    refuse_damage(file, CheckpointError)
    try:
        return {key: value["shape"] for key, value in safetensors_header(file)[0].items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{file} has no readable safetensors header: {error}.") from error
