"""AdamW with a learning rate per part of the model, in torch or in 8 bits."""

from collections.abc import Iterable

import torch
from torch import nn

from ..errors import TrainingError
from .adamw_8bit import AdamW8bit


def part_of(name: str) -> str:
    """vision, abstractor, lora or language: the parts a recipe gives learning rates to."""
    if ".lora_" in name:
        return "lora"
    if "visual_abstractor" in name or "vision_model.projection" in name:  # neither is in a pretrained encoder
        return "abstractor"
    return "vision" if "vision_model" in name else "language"


def parameter_groups(named: Iterable[tuple[str, nn.Parameter]], rates: dict[str, float], decay: float) -> list[dict]:
    """Trainable parameters by part. `rates` holds `default` and, for some parts, their own. Vectors never decay."""
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
    """`adamw` is torch's, `adamw_8bit` our own."""
    if not groups:
        raise TrainingError("CONFIG_INVALID", "Nothing is left to train: every part of the model is frozen.")
    if kind == "adamw":
        on_gpu = groups[0]["params"][0].device.type == "cuda"
        return torch.optim.AdamW(groups, betas=betas, eps=1e-8, fused=on_gpu)  # without temporaries of the model's size
    return AdamW8bit(groups, betas=betas, eps=1e-8, seed=seed)
