"""AdamW (torch's or 8-bit) with a learning rate per part of the model, and the schedule."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from qalign.mplug_owl2.vision import AFTER_PRETRAINED
from qalign.protocol import RunRecipe

from ..errors import TrainingError
from .adamw_8bit import AdamW8bit


def part_of(name: str) -> str:
    """The part of a parameter, for which a recipe can set a learning rate: vision, abstractor, lora or language."""
    if ".lora_" in name:
        return "lora"
    if "visual_abstractor" in name or any(f"vision_model.{part}" in name for part in AFTER_PRETRAINED):
        return "abstractor"
    return "vision" if "vision_model" in name else "language"


def parameter_groups(
    named: Iterable[tuple[str, nn.Parameter]],
    rates: Mapping[str, float],
    decay: float,
    part_of: Callable[[str], str] = part_of,
) -> list[dict]:
    """Trainable parameters by part. `rates` has `default` and rates for some parts. Vectors have no weight decay."""
    groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
    for name, parameter in named:
        if parameter.requires_grad:
            groups.setdefault((part_of(name), parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "part": part,
            "base_lr": rates.get(part, rates["default"]),
            "lr": 0.0,
            "weight_decay": decay if matrix else 0.0,
        }
        for (part, matrix), parameters in sorted(groups.items(), key=lambda entry: entry[0])
    ]


def make_optimizer(kind: str, groups: list[dict], betas: tuple[float, float], seed: int = 0) -> torch.optim.Optimizer:
    """`adamw` is torch's optimizer, `adamw_8bit` is AdamW8bit."""
    if not groups:
        raise TrainingError(
            "CONFIG_INVALID", "Nothing to train: every part of the model is frozen. Remove a part from freeze."
        )
    if kind == "adamw":
        on_gpu = groups[0]["params"][0].device.type == "cuda"
        return torch.optim.AdamW(
            groups, betas=betas, eps=1e-8, fused=on_gpu
        )  # needs no temporaries of the model's size
    return AdamW8bit(groups, betas=betas, eps=1e-8, seed=seed)


@dataclass(frozen=True)
class Schedule:
    """The learning rate as a pure function of the step, so that a resumed run needs no scheduler state."""

    kind: str
    total_steps: int
    warmup_steps: int

    @staticmethod
    def of(recipe: RunRecipe, steps_per_epoch: int) -> "Schedule":
        total_steps = recipe["max_steps"] or steps_per_epoch * recipe["epochs"]
        return Schedule(recipe["schedule"], total_steps, math.ceil(recipe["warmup"] * total_steps))

    def set_rates(self, optimizer: torch.optim.Optimizer, step: int) -> float:
        """Set the rates for the update with 0-based index `step`. → the factor for the rate of each part."""
        factor = learning_rate_factor(self.kind, step, self.total_steps, self.warmup_steps)
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        return factor


def learning_rate_factor(kind: str, step: int, total: int, warmup: int) -> float:
    """Factor in [0, 1] for the update with 0-based index `step` of `total`.

    `cosine` rises linearly over `warmup` updates, then follows half a cosine to 0. `one_cycle` has a cosine warm-up
    that starts at 1/25. `constant` stays at 1 after the warm-up.
    """
    if step < warmup:
        rise = (step + 1) / warmup if kind != "one_cycle" else 0.04 + 0.96 * (1 - math.cos(math.pi * step / warmup)) / 2
        return rise
    if kind == "constant":
        return 1.0
    progress = (step - warmup) / max(1, total - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
