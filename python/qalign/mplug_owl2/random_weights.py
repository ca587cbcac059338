"""Models with random weights, created directly on their device, for measuring speed and memory. Not for scores."""

import torch

from qalign.weights.errors import ConfigError

from .abstractor import Attention, grid_positions, sincos_1d
from .checkpoint import meta_model
from .config import ModelConfig, parse_config
from .language import RMSNorm
from .model import MPLUGOwl2

PUBLISHED = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "rms_norm_eps": 1e-5,
    "visual_config": {
        "visual_model": {
            "hidden_size": 1024,
            "intermediate_size": 4096,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "image_size": 448,
            "patch_size": 14,
        },
        "visual_abstractor": {
            "num_learnable_queries": 64,
            "hidden_size": 1024,
            "num_hidden_layers": 6,
            "num_attention_heads": 16,
            "intermediate_size": 2816,
            "encoder_hidden_size": 1024,
            "grid_size": 32,
        },
    },
}
TINY = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "rms_norm_eps": 1e-5,
    "visual_config": {
        "visual_model": {
            "hidden_size": 48,
            "intermediate_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "image_size": 56,
            "patch_size": 14,
        },
        "visual_abstractor": {
            "num_learnable_queries": 8,
            "hidden_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 72,
            "encoder_hidden_size": 48,
            "grid_size": 4,
        },
    },
}
ARCHITECTURES = {"mplug_owl2_7b": PUBLISHED, "tiny": TINY}


def architecture(name: str) -> ModelConfig:
    """The configuration of a named architecture. Raises ConfigError for an unknown name."""
    if name not in ARCHITECTURES:
        raise ConfigError(f"{name!r} is not an architecture; use one of: {', '.join(ARCHITECTURES)}.")
    return parse_config(ARCHITECTURES[name], name)


@torch.no_grad()
def random_model(config: ModelConfig, device: torch.device | str, dtype: torch.dtype, seed: int = 0) -> MPLUGOwl2:
    """A model on `device` with weights from N(0, 0.02²), norms 1, biases 0 and the published position buffers."""
    torch.manual_seed(seed)
    model = meta_model(config).to(dtype).to_empty(device=device)
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            parameter.zero_()
        else:
            parameter.normal_(0, 0.02)
    for module in model.modules():
        if isinstance(module, (torch.nn.LayerNorm, RMSNorm)):
            module.weight.fill_(1)
        elif isinstance(module, Attention):
            queries, width = module.q_pos_embed.shape
            grid, views = config.abstractor.grid_size, config.abstractor.views
            has_cls_token = len(module.k_pos_embed) == views * (grid * grid + 1)
            module.q_pos_embed.copy_(sincos_1d(torch.arange(queries), width))
            module.k_pos_embed.copy_(grid_positions(grid, width, has_cls_token, views))
    return model.eval()
