"""LoRA with PEFT, which only the training extra installs. The scorer merges adapters without PEFT."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from qalign.protocol import RunRecipeLora
from qalign.weights.tensors import write_tensors

from ..errors import TrainingError
from ..files.whole_folder import whole_folder

PREFIX = "base_model.model."  # of PEFT's names
PUBLISHED_TARGETS = r".*layers\.\d+\.self_attn\.(q_proj|v_proj\.multiway\.1)"


def add_lora(net: nn.Module, settings: RunRecipeLora) -> None:
    """Add rank-`r` adapters to the published targets in the language model. Freeze all else except the abstractor."""
    net.requires_grad_(False)
    inject_adapters(net, settings, PUBLISHED_TARGETS)
    for name, parameter in net.named_parameters():  # PEFT freezes all but its matrices
        if settings["abstractor"] and "visual_abstractor" in name:
            parameter.requires_grad_(True)
        if parameter.requires_grad:
            parameter.data = parameter.data.float()  # they are small, and bf16 would round most updates away


def inject_adapters(
    net: nn.Module, settings: RunRecipeLora, targets: str | list[str], dtype: torch.dtype | None = None
) -> None:
    """Add rank-`r` adapters to the linear layers with these names, or whose names match. Raises TrainingError.

    Their first values are as precise as `dtype`, which the weights will get; None: as the weights.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise TrainingError(
            "TRAINING_EXTRA_MISSING",
            "LoRA needs the Python package peft. Install it in the interpreter of QALIGN_PYTHON (pip install peft),"
            " or unset QALIGN_PYTHON so that qalign creates its own environment.",
        ) from error
    config = LoraConfig(
        r=settings["r"], lora_alpha=settings["alpha"], lora_dropout=settings["dropout"], target_modules=targets
    )
    with _stand_ins(net, dtype):
        inject_adapter_in_model(config, net)


@contextmanager
def _stand_ins(net: nn.Module, dtype: torch.dtype | None) -> Iterator[None]:
    """Within the context, weights on the meta device or of another type than `dtype` are one repeated number each.

    PEFT puts adapters on the device of their layer, in its type. They get the same values as beside loaded weights.
    """
    places = [
        (tensors, weight)
        for module in net.modules()
        for tensors in (module._parameters, module._buffers)
        if (weight := tensors.get("weight")) is not None
        and (weight.is_meta or (dtype is not None and weight.is_floating_point() and weight.dtype != dtype))
    ]
    for tensors, weight in places:
        kind = dtype if dtype is not None and weight.is_floating_point() else weight.dtype
        flat = torch.zeros(1, dtype=kind).expand(weight.shape)
        tensors["weight"] = nn.Parameter(flat, False) if isinstance(weight, nn.Parameter) else flat
    try:
        yield
    finally:
        for tensors, weight in places:
            tensors["weight"] = weight


def merged_state(state: dict[str, Tensor], alpha: float, r: int) -> dict[str, Tensor]:
    """A full state with adapters → the state of the plain network: W += alpha / r · B·A."""
    plain: dict[str, Tensor] = {}
    for key, value in state.items():
        if ".lora_" in key:
            continue
        name = key.replace(".base_layer.", ".")
        stem = key.removesuffix(".base_layer.weight")
        if stem != key:
            down, up = state[f"{stem}.lora_A.default.weight"], state[f"{stem}.lora_B.default.weight"]
            value = (value.float() + alpha / r * (up.float() @ down.float())).to(value.dtype)
        plain[name] = value
    return plain


def export_adapter(state: dict[str, Tensor], settings: RunRecipeLora, base: str, source: Path, target: Path) -> None:
    """Write the published LoRA layout: adapter_config.json, adapter_model.safetensors and non_lora_trainables.bin."""
    with whole_folder(target) as draft:
        write_tensors(adapter_tensors(state), draft / "adapter_model.safetensors")
        if settings["abstractor"]:
            rest = {PREFIX + k: v.clone() for k, v in state.items() if "visual_abstractor" in k}
            torch.save(rest, draft / "non_lora_trainables.bin")  # only tensors, so weights_only=True can read it
        targets = sorted({key.split(".lora_")[0] for key in state if ".lora_" in key})
        config = adapter_config(settings, base, targets)
        (draft / "adapter_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
        shutil.copy(source / "config.json", draft / "config.json")


def adapter_tensors(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The matrices of the adapters in a full state, by PEFT's names."""
    return {PREFIX + k.replace(".default.", "."): v.contiguous() for k, v in state.items() if ".lora_" in k}


def adapter_config(settings: RunRecipeLora, base: str, targets: list[str]) -> dict[str, Any]:
    """PEFT's adapter_config.json."""
    return {
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "lora_alpha": settings["alpha"],
        "lora_dropout": settings["dropout"],
        "peft_type": "LORA",
        "r": settings["r"],
        "target_modules": targets,
        "task_type": "CAUSAL_LM",
    }
