"""Counts the floating-point operations of an update, for its share of the device's peak (MFU)."""

import torch

from qalign.mplug_owl2.config import VIT, ModelConfig
from qalign.mplug_owl2.model import MPLUGOwl2

from .supervised import trains

# Dense bf16 peaks in FLOP/s by the driver's device name, from the vendors' data sheets. The first match applies.
PEAKS = (
    ("B200", 2250e12),
    ("H200", 989e12),
    ("H100 PCIe", 756e12),
    ("H100", 989e12),
    ("A100", 312e12),
    ("L40S", 362e12),
    ("RTX 4090", 165e12),
    ("RTX 3090", 71e12),
)


def device_peak(device: torch.device, compute: torch.dtype) -> float | None:
    """Peak FLOP/s in bf16. None where it is unknown: CPUs, other precisions, other devices."""
    if device.type != "cuda" or compute != torch.bfloat16:
        return None
    name = torch.cuda.get_device_name(device)
    return next((peak for part, peak in PEAKS if part in name), None)


class FlopCounter:
    """Counts the products of one item in the forward and backward pass. Recomputation is not counted.

    A trained part costs three forward passes. A frozen part that gradients pass through costs two, any other part one.
    """

    def __init__(self, net: MPLUGOwl2, cached_features: bool) -> None:
        config, trunk = net.config, net.model
        vision, abstractor = trains(trunk.vision_model), trains(trunk.visual_abstractor)
        layers = [trunk.embed_tokens, *trunk.layers, net.lm_head]
        language = any(p.requires_grad and ".lora_" not in n for m in layers for n, p in m.named_parameters())
        adapters = any(p.requires_grad and ".lora_" in n for m in layers for n, p in m.named_parameters())
        passed = vision or abstractor or adapters
        self._config = config
        encoder = 0.0 if cached_features else vision_flops(config) * (3 if vision else 1)
        self._frame = encoder + abstractor_flops(config) * (3 if abstractor else 2 if vision else 1)
        self._language = 3 if language else 2 if passed else 1

    def of(self, frames: int, positions: int, supervised: int) -> float:
        """FLOPs of one item with `frames` frames, `positions` positions and `supervised` rows in the head."""
        return frames * self._frame + self._language * language_flops(self._config, positions, supervised)


def vision_flops(config: ModelConfig) -> float:
    """FLOPs of one frame, forward. 0 for encoders other than the ViT, which have no MFU."""
    vision = config.vision
    if vision.model_type != VIT:
        return 0.0
    width, inner, patch = vision.hidden_size, vision.intermediate_size, vision.patch_size
    tokens = (vision.image_size // patch) ** 2 + 1
    layer = 2 * tokens * (4 * width**2 + 2 * width * inner) + 4 * tokens**2 * width
    return vision.num_hidden_layers * layer + 2 * tokens * 3 * patch**2 * width


def abstractor_flops(config: ModelConfig) -> float:
    """FLOPs of one frame, forward, including `visual_fc`."""
    part, width = config.abstractor, config.abstractor.hidden_size
    queries, image = part.num_learnable_queries, part.views * (part.grid_size**2 + 1)
    seen = queries + image
    layer = 2 * queries * 2 * width**2 + 2 * seen * 2 * part.encoder_hidden_size * width + 4 * queries * seen * width
    layer += 2 * queries * 3 * width * part.intermediate_size
    return part.num_hidden_layers * layer + 2 * queries * width * config.hidden_size


def language_flops(config: ModelConfig, positions: int, supervised: int) -> float:
    """FLOPs of one sequence, forward. Causal attention computes half of T², the head only the supervised rows."""
    width, inner = config.hidden_size, config.intermediate_size
    layer = 2 * positions * (4 * width**2 + 3 * width * inner) + 2 * positions**2 * width
    return config.num_hidden_layers * layer + 2 * supervised * width * config.vocab_size
