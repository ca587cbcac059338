"""Exports a trained network of transformers: a model directory that the library and qalign load, and PEFT's adapter."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qalign.protocol import RunRecipe
from qalign.transformers_backend.library import save_network, without_network
from qalign.transformers_backend.source import CONFIG, SMALL_FILES, ModelFolder
from qalign.weights.tensors import DTYPES, write_tensors

from ..files.whole_folder import whole_folder
from ..model.adapters import PREFIX, adapter_config, adapter_tensors, merged_state
from .parts import linear_layers, merger_modules, trained_apart

COPIED = (*(name for name in SMALL_FILES if name != CONFIG), "generation_config.json")
TAUGHT = "qalign.json"


def write_chat_model(
    state: dict[str, Tensor], target: Path, *, recipe: RunRecipe, source: ModelFolder, modules: dict[str, list[str]]
) -> None:
    """Write a full state on the CPU to `target/model`, and with LoRA to `target/adapter`.

    `modules` are those of `adapted_modules`. Raises OSError and SafetensorError.
    """
    lora = recipe["lora"]
    if lora:
        with whole_folder(target / "adapter") as draft:
            apart = trained_apart(state, modules["saved"])
            write_tensors(adapter_tensors(state) | adapter_named(apart), draft / "adapter_model.safetensors")
            config = adapter_config(lora, recipe["model"], modules["targets"])
            if apart:
                config["modules_to_save"] = modules["saved"]
            (draft / "adapter_config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
        state = merged_state(state, lora["alpha"], lora["r"])
    stored = DTYPES[recipe.get("export_weights") or recipe["weights"]]
    with whole_folder(target / "model") as draft:
        state = {key: value.to(stored) if value.is_floating_point() else value for key, value in state.items()}
        with without_network():
            save_network(source.family.model, source.path, state, stored, draft)
        for name in COPIED:
            if (source.path / name).is_file():
                shutil.copyfile(source.path / name, draft / name)
        # a model of transformers counts as not taught to rate, unless it has this file (src/config/models.ts)
        (draft / TAUGHT).write_text(json.dumps({"taught": True, "base": recipe["model"]}, indent=1), encoding="utf-8")


def adapted_modules(net: Any, recipe: RunRecipe) -> dict[str, list[str]]:
    """The modules with LoRA matrices, and those that are saved whole beside them. Call it before they are added."""
    lora = recipe["lora"]
    if not lora:
        return {"targets": [], "saved": []}
    return {"targets": linear_layers(net), "saved": merger_modules(net) if lora["abstractor"] else []}


def adapter_named(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{PREFIX}{name}": value.to(torch.float32).contiguous() for name, value in state.items()}
