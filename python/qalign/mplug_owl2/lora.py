"""Published LoRA directories merged into their base by hand: W += alpha/r · B·A (docs/mplug-owl2.md#lora).

No PEFT: importing it takes seconds and pulls in transformers. Variants that compute something else are refused by name.
"""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qalign.weights.errors import LoraError

from .checkpoint import put_tensor, read_tensors, refuse_non_finite, tensor_slots
from .model import MPLUGOwl2

CONFIG = "adapter_config.json"
ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")
NON_LORA = "non_lora_trainables.bin"
# Fields of adapter_config.json that change the merged weights in a way that is not implemented here.
REFUSED = (
    "use_dora",
    "use_rslora",
    "use_qalora",
    "rank_pattern",
    "alpha_pattern",
    "modules_to_save",
    "fan_in_fan_out",
    "layer_replication",
    "megatron_config",
    "trainable_token_indices",
    "lora_bias",
    "target_parameters",
    "corda_config",
    "eva_config",
)

# Ways to start that take the adapter's first value out of the base: over the published base the merge would be wrong.
CHANGE_THE_BASE = ("pissa", "olora", "loftq", "corda")


def is_lora(directory: Path) -> bool:
    """Whether a directory holds a LoRA rather than a whole checkpoint."""
    return (directory / CONFIG).is_file()


def lora_files(directory: Path) -> list[Path]:
    """The weight files of a LoRA directory. Raises LoraError when the adapter itself is missing."""
    adapters = [directory / name for name in ADAPTERS if (directory / name).is_file()]
    if not adapters:
        raise LoraError(f"{directory} holds neither {ADAPTERS[0]} nor {ADAPTERS[1]}.")
    others = [directory / NON_LORA] if (directory / NON_LORA).is_file() else []
    return [adapters[0], *others]


def read_lora_config(directory: Path) -> dict[str, Any]:
    """adapter_config.json. Raises LoraError for anything but plain LoRA, naming the field."""
    file = directory / CONFIG
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
        rank, alpha = config["r"], config["lora_alpha"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LoraError(f"{file} is not a LoRA configuration: {error!r}.") from error
    if config.get("peft_type", "LORA") != "LORA":
        raise LoraError(f"{file}: peft_type {config['peft_type']!r} is not supported; only LORA is.")
    if config.get("bias", "none") != "none":
        raise LoraError(f"{file}: bias {config['bias']!r} is not supported; only 'none' is.")
    for field in REFUSED:
        if config.get(field):
            raise LoraError(
                f"{file}: {field} is {config[field]!r}, which qalign does not merge; merge it with PEFT first."
            )
    start = config.get("init_lora_weights")
    if isinstance(start, str) and start.lower().startswith(CHANGE_THE_BASE):
        raise LoraError(
            f"{file}: init_lora_weights is {start!r}, which belongs to a base that was changed with it; "
            "convert it with PEFT (path_initial_model_for_weight_conversion) first."
        )
    if type(rank) is not int or rank < 1 or not isinstance(alpha, (int, float)):
        raise LoraError(f"{file}: r is {rank!r} and lora_alpha is {alpha!r}; they must be numbers, r at least 1.")
    return config


@torch.no_grad()
def apply_lora(model: MPLUGOwl2, directory: Path) -> None:
    """Put a LoRA directory onto its loaded base: first the non-LoRA tensors, then the adapters.

    Products are summed in fp32, whatever the model's precision. Raises LoraError, one for all keys that do not fit.
    """
    config = read_lora_config(directory)
    adapter, *others = lora_files(directory)
    for file in others:
        _replace(model, file)
    _merge(model, adapter, config["r"], config["lora_alpha"] / config["r"])


def _replace(model: MPLUGOwl2, file: Path) -> None:
    slots = tensor_slots(model)
    state = model.state_dict()
    wrong, finite = [], {}
    for stored_key, stored in read_tensors(file):
        key = _base_key(stored_key)
        if key not in state or state[key].shape != stored.shape:
            wrong.append(f"{stored_key} {list(stored.shape)}")
            continue
        value = stored.to(state[key].device, state[key].dtype, copy=True)
        finite[key] = torch.isfinite(value).all()
        put_tensor(slots, key, value)
    if wrong:
        raise LoraError(f"{file} does not fit the base; missing there or of another shape: {', '.join(sorted(wrong))}.")
    refuse_non_finite(finite, str(file))


def _base_key(key: str) -> str:
    """`base_model.model.model.x` → `model.x`: strip `base_model.`, then one `model.`."""
    key = key.removeprefix("base_model.")
    return key.removeprefix("model.") if key.startswith(("model.model.", "model.lm_head.")) else key


def _merge(model: MPLUGOwl2, file: Path, rank: int, scale: float) -> None:
    state = model.state_dict()
    halves: dict[str, dict[str, Tensor]] = {}
    wrong: list[str] = []
    for key, value in read_tensors(file):
        target, _, half = _base_key(key).replace(".default.", ".").rpartition(".lora_")
        if half not in ("A.weight", "B.weight") or f"{target}.weight" not in state:
            wrong.append(key)
        else:
            halves.setdefault(f"{target}.weight", {})[half[0]] = value
    for key, pair in halves.items():
        shape = state[key].shape
        shapes = {half: list(value.shape) for half, value in pair.items()}
        if shapes != {"A": [rank, shape[1]], "B": [shape[0], rank]}:
            wrong.append(f"{key} with {shapes}")
    if wrong or not halves:
        raise LoraError(
            f"{file} does not fit the base or r = {rank}: {', '.join(sorted(wrong)) or 'it has no adapters'}."
        )
    finite = {}
    for key, pair in halves.items():
        weight = state[key]
        down, up = (pair[half].to(weight.device, torch.float32) for half in "AB")
        weight.copy_(weight.float().addmm_(up, down, alpha=scale))
        finite[key] = torch.isfinite(weight).all()
    refuse_non_finite(finite, str(file))
