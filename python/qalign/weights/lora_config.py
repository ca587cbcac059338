"""A LoRA directory in PEFT's layout: its files, and its adapter_config.json, of which only plain LoRA is read."""

import json
from pathlib import Path
from typing import Any

from .errors import LoraError

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
