"""The parts of an image-text model: which are trained, and where LoRA puts its matrices."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn

from qalign.protocol import RunRecipeLora

from ..errors import TrainingError
from ..model.adapters import inject_adapters

# Names below the network in memory, of all supported families.
MERGERS = (
    *("model.visual.merger.", "model.visual.deepstack_merger_list."),
    *("model.multi_modal_projector.", "model.connector.", "model.image_newline"),
)
VISION = ("model.visual.", "model.vision_tower.", "model.vision_model.")
LANGUAGE = ("model.language_model.", "model.text_model.", "lm_head.")
PARTS = ("vision", "merger", "language")
# Of the decoder layers: embedding and head are outside of them.
DECODER = re.compile(r"model\.(language_model|text_model)\.layers\.\d+\.")


def part_of(name: str) -> str:
    """The part of a parameter, for which a recipe can set a learning rate: vision, merger, language or lora.

    `name` can begin with the names of wrappers. Raises TrainingError for a name of none of them.
    """
    if ".lora_" in name:
        return "lora"
    name = name.removeprefix("net.")
    for part, prefixes in (("merger", MERGERS), ("vision", VISION), ("language", LANGUAGE)):
        if name.startswith(prefixes):
            return part
    raise TrainingError("MODEL_INVALID", f"The weight {name} belongs to no part that can be trained; report this name.")


def require_parts(names: Sequence[str]) -> None:
    """Raises TrainingError for a part that these models do not have."""
    for name in names:
        if name not in PARTS:
            raise TrainingError(
                "CONFIG_INVALID",
                f"Models of transformers have no part {name}; the parts are {', '.join(PARTS)}. Use merger for what "
                "stands between the vision encoder and the language model.",
            )


def choose_parts(net: nn.Module, frozen: Sequence[str]) -> None:
    """Record gradients of all parameters, except those of the `frozen` parts."""
    require_parts(frozen)
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(part_of(name) not in frozen)


def add_adapters(net: nn.Module, settings: RunRecipeLora, dtype: torch.dtype | None = None) -> None:
    """Add rank-`r` adapters to all linear layers of the decoder, and freeze all else except the merger's modules.

    Adapters and merger are in fp32. Without `abstractor`, the merger is frozen too. `dtype` is that of the weights, if
    they are cast later.
    """
    if settings["quantise_base"]:
        raise TrainingError(
            "CONFIG_INVALID", "lora.quantise_base is only for mPLUG-Owl2; set it to null for a model of transformers."
        )
    merger = [f"{name}." for name in merger_modules(net)] if settings["abstractor"] else []
    net.requires_grad_(False)
    inject_adapters(net, settings, linear_layers(net), dtype)
    for name, parameter in net.named_parameters():  # PEFT freezes all but its matrices
        if name.startswith(tuple(merger)):
            parameter.requires_grad_(True)
        if parameter.requires_grad:
            parameter.data = parameter.data.float()  # they are small, and bf16 would round most updates away


def linear_layers(net: nn.Module) -> list[str]:
    """The names of the linear layers of the decoder, sorted."""
    return sorted(name for name, module in net.named_modules() if isinstance(module, nn.Linear) and DECODER.match(name))


def merger_modules(net: nn.Module) -> list[str]:
    """The names of the merger's modules. A list of modules is named by its entries, as PEFT saves them."""
    return sorted(_merger_modules(net))


def _merger_modules(net: Any) -> Iterator[str]:
    for prefix in MERGERS:
        name = prefix.rstrip(".")
        try:
            module = net.get_submodule(name)
        except AttributeError:
            continue
        if isinstance(module, nn.ModuleList):
            yield from (f"{name}.{index}" for index in range(len(module)))
        elif isinstance(module, nn.Module) and any(True for _ in module.parameters()):
            yield name


def trained_apart(state: dict[str, torch.Tensor], modules: Sequence[str]) -> dict[str, torch.Tensor]:
    """The tensors of a state that belong to the given modules."""
    prefixes = tuple(f"{name}." for name in modules)
    return {name: value for name, value in state.items() if prefixes and name.startswith(prefixes)}
