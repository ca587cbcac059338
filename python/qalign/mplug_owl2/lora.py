"""Merges published LoRA directories into their base: W += alpha/r · B·A (docs/mplug-owl2.md#lora).

PEFT is not used, because importing it takes seconds and loads transformers. Other variants are refused by name.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from qalign.weights.errors import LoraError
from qalign.weights.lora_config import lora_files, read_lora_config, variant_of_tensor
from qalign.weights.tensors import misfit, put_tensor, read_tensors, refuse_non_finite, tensor_slots

from .model import MPLUGOwl2


@dataclass(frozen=True)
class Adapter:
    """A LoRA that fits its base: tensors that replace those of the base, and the factors A and B by key of the base."""

    replaced: dict[str, Tensor]
    halves: dict[str, dict[str, Tensor]]
    scale: float

    @torch.no_grad()
    def merged(self, key: str, value: Tensor) -> Tensor:
        """A tensor of the base → the merged tensor. Products are summed in fp32 at every precision."""
        if key in self.replaced:
            value = self.replaced[key].to(value.device, value.dtype, copy=True)
        if key not in self.halves:
            return value
        down, up = (self.halves[key][half].to(value.device, torch.float32) for half in "AB")
        return value.copy_(value.float().addmm_(up, down, alpha=self.scale))


def read_adapter(state: dict[str, Tensor], directory: Path) -> Adapter:
    """Read a LoRA directory for a base with the shapes of `state`. Raises a LoraError that names all misfits."""
    config = read_lora_config(directory)
    file, *others = lora_files(directory)
    replaced: dict[str, Tensor] = {}
    for other in others:
        replaced |= _replacements(state, other)
    return Adapter(replaced, _halves(state, file, config["r"]), config["lora_alpha"] / config["r"])


def apply_lora(model: MPLUGOwl2, directory: Path) -> None:
    """Merge a LoRA directory into its loaded base. Raises LoraError, and NonFinite for NaN or infinity."""
    state, slots = model.state_dict(), tensor_slots(model)
    adapter = read_adapter(state, directory)
    finite = {}
    for key in adapter.replaced | adapter.halves:
        value = adapter.merged(key, state[key])
        finite[key] = torch.isfinite(value).all()
        if value is not state[key]:
            put_tensor(slots, key, value)
    refuse_non_finite(finite, str(directory))


def _replacements(state: dict[str, Tensor], file: Path) -> dict[str, Tensor]:
    found, wrong = {}, []
    for stored_key, stored in read_tensors(file):
        key = _base_key(stored_key)
        if key not in state or misfit(stored, state[key]):
            wrong.append(f"{stored_key} {list(stored.shape)}")
        else:
            found[key] = stored
    if wrong:
        raise LoraError(
            f"{file} does not fit the base, which has no such tensors, or with another shape or type: "
            f"{', '.join(sorted(wrong))}. Name the base model that the LoRA was trained on."
        )
    return found


def _base_key(key: str) -> str:
    """`base_model.model.model.x` → `model.x`: strip `base_model.`, then one `model.`."""
    key = key.removeprefix("base_model.")
    return key.removeprefix("model.") if key.startswith(("model.model.", "model.lm_head.")) else key


def _halves(state: dict[str, Tensor], file: Path, rank: int) -> dict[str, dict[str, Tensor]]:
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
    return halves
