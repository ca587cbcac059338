"""Reads the files and the adapter_config.json of a LoRA directory in PEFT's layout. Only plain LoRA is supported.

The list of fields is an allow list: a field that could change W + alpha/r · B·A is refused by name. The list covers
PEFT 0.2 to 0.21.
"""

import math
from pathlib import Path
from typing import Any

from .damage import damage, read_json
from .errors import LoraError
from .layout import holds_checkpoint

CONFIG = "adapter_config.json"
ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")
NON_LORA = "non_lora_trainables.bin"
# Files of other training codes with tensors that replace those of the base. Ignoring them would change the scores.
OTHER_NON_LORA = ("non_lora*", "mm_projector*")

# Fields that do not affect the merged weights, at any value.
FREE = frozenset(
    {
        # the origin of the adapter and its loading
        *("task_type", "base_model_name_or_path", "revision", "auto_mapping", "inference_mode", "peft_version"),
        *("runtime_config", "merge_weights", "megatron_core"),  # megatron_core: only with megatron_config
        # only for training
        "lora_dropout",
        # the modules with adapters, which the tensor names also give
        *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
        "eva_config",  # EVA starts with B = 0, so the base is unchanged
        "qalora_group_size",  # only with use_qalora
        "ensure_weight_tying",  # only for tied embeddings, which no supported base has
    }
)
NOTHING = (None, False, "", [], {})
PATTERNS = (None, {})  # no rank or alpha per module
LISTS = (None, [], {})
# In these fields, PEFT reads an empty object as a variant with default settings.
VARIANT = (None, False)
NEUTRAL: dict[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    # These initialise A and B without changing the base. Others (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA, …) subtract the
    # initial B·A from the base.
    "init_lora_weights": (None, True, False, "gaussian", "eva", "orthogonal", "mica"),
    "fan_in_fan_out": (None, False),
    "use_rslora": (None, False),
    "use_dora": VARIANT,
    "use_qalora": VARIANT,
    "use_bdlora": VARIANT,
    "alora_invocation_tokens": LISTS,
    "arrow_config": VARIANT,
    "kasa_config": VARIANT,
    "velora_config": VARIANT,
    "monteclora_config": VARIANT,
    "lora_bias": (None, False),
    "enable_lora": LISTS,
    "rank_pattern": PATTERNS,
    "alpha_pattern": PATTERNS,
    "loftq_config": PATTERNS,
    "corda_config": PATTERNS,
    "lora_ga_config": PATTERNS,
    "megatron_config": PATTERNS,
    "modules_to_save": LISTS,
    "layer_replication": LISTS,
    "target_parameters": LISTS,
    "trainable_token_indices": LISTS,
}
VARIANT_NAMES = {
    "use_dora": "DoRA",
    "use_rslora": "rank-stabilised LoRA",
    "use_qalora": "QA-LoRA",
    "use_bdlora": "block-diagonal LoRA",
    "alora_invocation_tokens": "aLoRA, whose adapters act only after these tokens",
    "arrow_config": "Arrow routing between several adapters",
    "kasa_config": "KaSA",
    "velora_config": "VeLoRA",
    "monteclora_config": "MonteCLoRA",
}
INITIALISATIONS = {"loftq_config": "LoftQ", "corda_config": "CorDA", "lora_ga_config": "LoRA-GA"}
# Parts of tensor names that occur only in a variant.
VARIANT_TENSORS = {
    "lora_magnitude_vector": "DoRA",
    "lora_embedding_": "an adapter of an embedding",
    "lora_A.bias": "lora_bias",
    "lora_B.bias": "lora_bias",
    "lora_diag": "KaSA",
    "lora_velora": "VeLoRA",
    "lora_monteclora": "MonteCLoRA",
    "lora_E": "AdaLoRA",
    "ranknum": "AdaLoRA",
    "vera_lambda": "VeRA",
    "hada_": "LoHa",
    "lokr_": "LoKr",
    "trainable_tokens": "trainable_token_indices",
    "modules_to_save": "modules_to_save",
}


def is_lora(directory: Path) -> bool:
    """Whether a directory holds a LoRA. A leftover adapter_config.json beside a whole checkpoint does not count."""
    if not (directory / CONFIG).is_file():
        return False
    return any((directory / name).is_file() for name in ADAPTERS) or not holds_checkpoint(directory)


def lora_files(directory: Path) -> list[Path]:
    """The weight files of a LoRA directory. Raises LoraError when the adapter is missing or damaged."""
    there = [directory / name for name in ADAPTERS if (directory / name).is_file()]
    wrong = {file: damage(file) for file in there}
    adapters = [file for file in there if wrong[file] is None]
    if not adapters:
        found = "; ".join(f"{file.name} {wrong[file]}" for file in there)
        raise LoraError(f"{directory}: {found}." if found else f"{directory} holds neither {' nor '.join(ADAPTERS)}.")
    unread = sorted(f.name for kind in OTHER_NON_LORA for f in directory.glob(kind) if f.name != NON_LORA)
    if unread:
        raise LoraError(f"{directory} holds {', '.join(unread)}, which qalign does not read; it reads {NON_LORA}.")
    others = [directory / NON_LORA] if (directory / NON_LORA).is_file() else []
    return [adapters[0], *others]


def read_lora_config(directory: Path) -> dict[str, Any]:
    """Read adapter_config.json. Raises LoraError that names all fields which are not plain LoRA."""
    file = directory / CONFIG
    try:
        config = read_json(file, LoraError)
    except FileNotFoundError as error:
        raise LoraError(f"{file} does not exist.") from error
    if not isinstance(config, dict) or "r" not in config or "lora_alpha" not in config:
        raise LoraError(f"{file} is not a LoRA configuration: it has no r and lora_alpha.")
    wrong = [_refusal(name, value) for name, value in config.items() if not is_neutral(name, value)]
    if wrong:
        raise LoraError(f"{file}: {' '.join(wrong)}")
    rank, alpha = config["r"], config["lora_alpha"]
    if type(rank) is not int or rank < 1 or type(alpha) not in (int, float) or not math.isfinite(alpha):
        raise LoraError(
            f"{file}: r is {rank!r} and lora_alpha is {alpha!r}; both must be finite numbers, and r at least 1."
        )
    return config


def is_neutral(name: str, value: object) -> bool:
    """Whether a field has no effect on the merged weights. Unknown fields must have an empty value."""
    if name in FREE or name in ("r", "lora_alpha"):
        return True
    if name == "init_lora_weights" and isinstance(value, str):
        value = value.lower()
    allowed = NEUTRAL.get(name, NOTHING)
    return any(type(value) is type(one) and value == one for one in allowed)


def _refusal(name: str, value: object) -> str:
    shown = f"{name} is {value!r:.80}"
    if name == "peft_type":
        return f"{shown}; only LORA is supported. Merge the adapter with its own tool and load the merged checkpoint."
    if name == "init_lora_weights":
        return (
            f"{shown}, which may need a modified base. Save the adapter again with PEFT's"
            " path_initial_model_for_weight_conversion, or merge it with PEFT and load the merged checkpoint."
        )
    if name in INITIALISATIONS:
        return (
            f"{shown} for {INITIALISATIONS[name]}, which changes the base. Set it to null if the adapter was saved with"
            " path_initial_model_for_weight_conversion, or merge it with PEFT and load the merged checkpoint."
        )
    if name in ("alora_invocation_tokens", "arrow_config"):  # PEFT also cannot merge these
        return f"{shown}: {VARIANT_NAMES[name]}, which cannot be merged into a base. Train it as plain LoRA."
    if name in NEUTRAL:
        what = f": {VARIANT_NAMES[name]}" if name in VARIANT_NAMES else ""
        return f"{shown}{what}, which qalign does not merge. Merge it with PEFT and load the merged checkpoint."
    return (
        f"{shown}; qalign does not know this field, which may change the weights."
        " Merge the adapter with the tool that created it and load the merged checkpoint."
    )


def variant_of_tensor(key: str) -> str | None:
    """The LoRA variant that a tensor's name belongs to, or None for plain LoRA and unknown names."""
    return next((variant for part, variant in VARIANT_TENSORS.items() if part in key), None)
