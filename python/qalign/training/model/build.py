"""Builds the model of a recipe: pretrained or random weights, adapters, frozen parts, dropout."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from qalign.mplug_owl2.model import MPLUGOwl2
from qalign.mplug_owl2.vision import AFTER_PRETRAINED
from qalign.protocol import RunRecipe
from qalign.weights.tensors import DTYPES

from ..errors import TrainingError
from ..files.held import place_of
from ..files.model_files import initialise_network, load_network
from .adapters import add_lora
from .quantised import quantise_base
from .supervised import SupervisedModel


@dataclass(frozen=True)
class ModelSource:
    """`directory` has config, tokenizer and weights, and `dtype` is the dtype of the weights in memory. `adapter` is
    the LoRA directory that is merged into them before training."""

    directory: Path
    adapter: Path | None
    dtype: torch.dtype


def model_source(recipe: RunRecipe) -> ModelSource:
    base = recipe["base_path"]  # a LoRA takes config, tokenizer and weights from its base
    adapter = place_of(recipe["model_path"]) if base else None
    return ModelSource(place_of(base or recipe["model_path"]), adapter, DTYPES[recipe["weights"]])


def whole_network(recipe: RunRecipe, source: ModelSource) -> MPLUGOwl2:
    """The network with its first weights, on the CPU."""
    if recipe["init"] == "random":
        weights = recipe["encoder_weights"]
        return initialise_network(source.directory, recipe["seed"], place_of(weights) if weights else None)
    return load_network(source.directory, source.dtype, source.adapter)


def build_model(recipe: RunRecipe, net: MPLUGOwl2) -> SupervisedModel:
    """A network with the adapters, frozen parts and dropout of the recipe, in training mode.

    On the meta device only adapters get values. Raises TrainingError when the recipe does not fit the model.
    """
    if recipe["lora"]:
        if recipe["lora"]["quantise_base"]:
            quantise_base(net, recipe["lora"]["quantise_base"])
        torch.manual_seed(recipe["seed"])  # every process must draw the same adapters
        add_lora(net, recipe["lora"])
    freeze(net, recipe["freeze"], recipe.get("train_stages_from"))
    channel_dropout = recipe.get("channel_dropout", 0.0)
    if channel_dropout and not hasattr(net.model.vision_model, "token_mean"):
        raise TrainingError("CONFIG_INVALID", "channel_dropout needs an efficientnet_lite0 encoder; remove it.")
    dropout = recipe["dropout"], recipe.get("token_dropout", 0.0), channel_dropout
    fused = recipe["device"] == "cuda" and recipe.get("kernels", "auto") == "auto"
    return SupervisedModel(net, recipe["recompute"], *dropout, fused=fused).train()


def freeze(net: MPLUGOwl2, parts: Sequence[str], stages_from: int | None = None) -> None:
    """Disable the gradients of `vision`, `abstractor` and/or `language`.

    An encoder's `projection` and `view_embedding` keep their gradients, because they are not pretrained. The stages of
    EfficientNet-Lite0 from `stages_from` on also keep theirs.
    """
    trunk = net.model
    modules: dict[str, list[nn.Module]] = {
        "vision": [trunk.vision_model],
        "abstractor": [trunk.visual_abstractor],
        "language": [trunk.embed_tokens, trunk.layers, trunk.norm, net.lm_head],
    }
    for part in parts:
        for module in modules[part]:
            module.requires_grad_(False)
        if part == "vision":
            for name in AFTER_PRETRAINED:
                if hasattr(trunk.vision_model, name):
                    getattr(trunk.vision_model, name).requires_grad_(True)
    if stages_from is not None:
        if not hasattr(trunk.vision_model, "stages"):
            raise TrainingError("CONFIG_INVALID", "train_stages_from needs an efficientnet_lite0 encoder; remove it.")
        for stage in trunk.vision_model.stages[stages_from:]:
            stage.requires_grad_(True)
