"""A LoRA directory in PEFT's layout: its files, and its adapter_config.json, of which only plain LoRA is read.

The list of fields is an allow list: what is not known to leave W + alpha/r · B·A as it is, is refused by name.
Known are the fields of PEFT 0.2 to 0.21.
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
# Files of other training codes with tensors that replace those of the base. Without them the scores would be others.
OTHER_NON_LORA = ("non_lora*", "mm_projector*")

# Fields that mean nothing for the merged weights, whatever their value.
FREE = frozenset(
    {
        # where the adapter comes from and how it is loaded
        *("task_type", "base_model_name_or_path", "revision", "auto_mapping", "inference_mode", "peft_version"),
        *("runtime_config", "merge_weights", "megatron_core"),  # megatron_core: only with megatron_config
        # used in training alone
        "lora_dropout",
        # which modules have adapters: the tensors of the file say it
        *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern"),
        "eva_config",  # EVA takes A from activations and starts with B = 0: the base stays as it is
        "qalora_group_size",  # only with use_qalora
        "ensure_weight_tying",  # only for tied embeddings, which no base here has
    }
)
NOTHING = (None, False, "", [], {})
PATTERNS = (None, {})  # a rank or an alpha for each module
LISTS = (None, [], {})
# PEFT takes an empty object in these for a variant with its default settings.
VARIANT = (None, False)
NEUTRAL: dict[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    # Of these, A and B are made without changing the base. The others (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA, …)
    # subtract the first B·A from it.
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
# Parts of tensor names that only a variant has.
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
    """Whether a directory holds a LoRA. A leftover adapter_config.json beside a whole checkpoint means nothing."""
    if not (directory / CONFIG).is_file():
        return False
    return any((directory / name).is_file() for name in ADAPTERS) or not holds_checkpoint(directory)


def lora_files(directory: Path) -> list[Path]:
    """The weight files of a LoRA directory. Raises LoraError when the adapter itself is missing or damaged."""
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
    """adapter_config.json. Raises LoraError for anything but plain LoRA, naming all fields that are not."""
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
            f"{file}: r is {rank!r} and lora_alpha is {alpha!r}; they must be finite numbers, r at least 1."
        )
    return config


def is_neutral(name: str, value: object) -> bool:
    """Whether a field leaves the merged weights as r and lora_alpha make them. Unknown fields must say nothing."""
    if name in FREE or name in ("r", "lora_alpha"):
        return True
    if name == "init_lora_weights" and isinstance(value, str):
        value = value.lower()
    allowed = NEUTRAL.get(name, NOTHING)
    return any(type(value) is type(one) and value == one for one in allowed)


def _refusal(name: str, value: object) -> str:
    shown = f"{name} is {value!r:.80}"
    if name == "peft_type":
        return f"{shown}; only LORA is merged. Merge the adapter with its own tool and load the merged checkpoint."
    if name == "init_lora_weights":
        return (
            f"{shown}, which may belong to a base that was changed with it. Save the adapter again with PEFT's"
            " path_initial_model_for_weight_conversion, or merge it with PEFT and load the merged checkpoint."
        )
    if name in INITIALISATIONS:
        return (
            f"{shown}, of {INITIALISATIONS[name]}, which changes the base. Set it to null if the adapter was saved with"
            " path_initial_model_for_weight_conversion, or merge it with PEFT and load the merged checkpoint."
        )
    if name in ("alora_invocation_tokens", "arrow_config"):  # PEFT cannot merge these either
        return f"{shown}: {VARIANT_NAMES[name]}, which cannot be merged into a base. Train it as plain LoRA."
    if name in NEUTRAL:
        what = f": {VARIANT_NAMES[name]}" if name in VARIANT_NAMES else ""
        return f"{shown}{what}, which qalign does not merge. Merge it with PEFT and load the merged checkpoint."
    return (
        f"{shown}; qalign does not know this field, and it may change the weights."
        " Merge the adapter with the tool that made it and load the merged checkpoint."
    )


def variant_of_tensor(key: str) -> str | None:
    """The variant of LoRA that a tensor's name belongs to, or None for names of plain LoRA and of nothing known."""
    return next((variant for part, variant in VARIANT_TENSORS.items() if part in key), None)
