"""Loads a network from a model directory, and exports a trained network in the published layout."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from qalign.mplug_owl2.checkpoint import load_checkpoint
from qalign.mplug_owl2.config import load_config
from qalign.mplug_owl2.lora import apply_lora
from qalign.mplug_owl2.model import MPLUGOwl2
from qalign.mplug_owl2.vision import AFTER_PRETRAINED
from qalign.weights.tensors import write_tensors

from ..errors import TrainingError
from .encoder_weights import read_encoder_weights
from .whole_folder import whole_folder

COPIED = (
    "config.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "preprocessor_config.json",
)
SHARD_BYTES = 5 * 10**9


def load_network(directory: Path, dtype: torch.dtype = torch.float32, adapter: Path | None = None) -> MPLUGOwl2:
    """Load the checkpoint as a trainable network in `dtype` on the CPU, and merge the LoRA directory `adapter` into it.

    Raises the errors of qalign.weights.
    """
    net = load_checkpoint(directory, load_config(directory, adapter), dtype=dtype)
    if adapter is not None:
        apply_lora(net, adapter)
    return net


def initialise_network(directory: Path, seed: int, encoder_weights: Path | None) -> MPLUGOwl2:
    """A network of `directory`'s config.json with seeded random weights (normal, std 0.02; norms 1; biases 0).

    `encoder_weights` is a file with the vision encoder's weights, whose keys are those below `model.vision_model.` (see
    read_encoder_weights). It can omit the parts after a pretrained encoder: the projection, the view
    embedding and the scale of its tokens.
    """
    generator = torch.Generator().manual_seed(seed)
    net = MPLUGOwl2(load_config(directory))
    with torch.no_grad():
        for name, value in net.named_parameters():
            if name.endswith("bias"):
                value.zero_()
            elif value.ndim == 1:
                value.fill_(1)
            else:
                value.normal_(0, 0.02, generator=generator)
    if encoder_weights is not None:
        given = read_encoder_weights(encoder_weights)
        missing, unexpected = net.model.vision_model.load_state_dict(given, strict=False)
        missing = [key for key in missing if not key.startswith((*AFTER_PRETRAINED, "token_"))]
        if missing or unexpected:
            raise TrainingError(
                "MODEL_INVALID",
                f"{encoder_weights} does not fit the encoder: missing {missing}, unexpected {unexpected}.",
            )
    return net


def export_network(state: Mapping[str, Tensor], source: Path, target: Path, dtype: torch.dtype | None = None) -> None:
    """Write a full state (published key names, on the CPU) to `target` in the published layout, atomically.

    Config, tokenizer and preprocessor are copied from `source`. Large states are split into shards with an index.
    `dtype`: that of the stored weights; None: unchanged.
    """
    with whole_folder(target) as draft:
        for name in COPIED:
            if (source / name).is_file():
                shutil.copyfile(source / name, draft / name)
        if dtype is not None:
            state = {key: value.to(dtype) if value.is_floating_point() else value for key, value in state.items()}
            _name_dtype(draft / "config.json", dtype)
        shards: list[dict[str, Tensor]] = [{}]
        held = 0
        for key, value in state.items():
            size = value.numel() * value.element_size()
            if shards[-1] and held + size > SHARD_BYTES:
                shards.append({})
                held = 0
            shards[-1][key] = value.contiguous()
            held += size
        if len(shards) == 1:
            write_tensors(shards[0], draft / "model.safetensors")
        else:
            weight_map: dict[str, str] = {}
            for place, shard in enumerate(shards, 1):
                name = f"model-{place:05d}-of-{len(shards):05d}.safetensors"
                write_tensors(shard, draft / name)
                weight_map.update(dict.fromkeys(shard, name))
            index = {"metadata": {"total_size": sum(t.nbytes for t in state.values())}, "weight_map": weight_map}
            (draft / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), encoding="utf-8")


def _name_dtype(config: Path, dtype: torch.dtype) -> None:
    values = json.loads(config.read_text(encoding="utf-8")) | {"torch_dtype": str(dtype).removeprefix("torch.")}
    config.write_text(f"{json.dumps(values, indent=2)}\n", encoding="utf-8")
