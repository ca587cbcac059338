"""Merges published LoRA directories into their base: W += alpha/r · B·A (docs/mplug-owl2.md#lora).

PEFT is not used, because importing it takes seconds and loads transformers. Other variants are refused by name.
"""

from pathlib import Path

import torch
from torch import Tensor

from qalign.weights.errors import LoraError
from qalign.weights.lora_config import lora_files, read_lora_config, variant_of_tensor
from qalign.weights.tensors import misfit, put_tensor, read_tensors, refuse_non_finite, tensor_slots

from .model import MPLUGOwl2


@torch.no_grad()
def apply_lora(model: MPLUGOwl2, directory: Path) -> None:
    """Merge a LoRA directory into its loaded base: first the non-LoRA tensors, then the adapters.

    Products are summed in fp32 at every model precision. Raises one LoraError that names all keys that do not fit.
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
        if key not in state or misfit(stored, state[key]):
            wrong.append(f"{stored_key} {list(stored.shape)}")
            continue
        value = stored.to(state[key].device, state[key].dtype, copy=True)
        finite[key] = torch.isfinite(value).all()
        put_tensor(slots, key, value)
    if wrong:
        raise LoraError(
            f"{file} does not fit the base, which has no such tensors, or with another shape or type: "
            f"{', '.join(sorted(wrong))}. Name the base model that the LoRA was trained on."
        )
    refuse_non_finite(finite, str(file))


def _base_key(key: str) -> str:
    """`base_model.model.model.x` → `model.x`: strip `base_model.`, then one `model.`."""
    key = key.removeprefix("base_model.")
    return key.removeprefix("model.") if key.startswith(("model.model.", "model.lm_head.")) else key


def _merge(model: MPLUGOwl2, file: Path, rank: int, scale: float) -> None:
    state = model.state_dict()
    halves: dict[str, dict[str, Tensor]] = {}
    wrong: list[str] = []
    variants: dict[str, str] = {}
    for key, value in read_tensors(file):
        if variant := variant_of_tensor(key):
            variants.setdefault(variant, key)
            continue
        target, _, half = _base_key(key).replace(".default.", ".").rpartition(".lora_")
        if half not in ("A.weight", "B.weight") or f"{target}.weight" not in state:
            wrong.append(key)
        else:
            halves.setdefault(f"{target}.weight", {})[half[0]] = value
    if variants:
        named = ", ".join(f"{key} ({variant})" for variant, key in variants.items())
        raise LoraError(
            f"{file} holds {named}, which qalign does not merge. Merge it with PEFT and load the merged checkpoint."
        )
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
