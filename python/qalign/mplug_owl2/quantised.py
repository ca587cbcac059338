"""The quantised layers of the literal model. The engine reads their codes; `generate` runs their forward."""

import torch
from torch import nn

from qalign.weights.codes import encoded_bytes, matrix_fits
from qalign.weights.errors import ConfigError
from qalign.weights.quantised import keeps_layer, quantise_linear, require_products

from .config import VIT, ModelConfig
from .model import MPLUGOwl2


def quantisable(model: MPLUGOwl2, kind: str) -> dict[str, nn.Linear]:
    """Path → the layers that a precision quantises: the products of the ViT's blocks and of the decoder layers.

    Embedding, head, norms and abstractor always keep bf16.
    """
    found: dict[str, nn.Linear] = {}
    trunk = model.model
    for prefix, layers in (
        ("model.vision_model.encoder.layers", trunk.vision_model.encoder.layers),
        ("model.layers", trunk.layers),
    ):
        for index, layer in enumerate(layers):
            if keeps_layer(kind, index, len(layers)):
                continue
            for path, module in layer.named_modules():
                if isinstance(module, nn.Linear) and matrix_fits(kind, module.out_features, module.in_features):
                    found[f"{prefix}.{index}.{path}"] = module
    return found


def quantise_layers(model: MPLUGOwl2, kind: str) -> None:
    """Replace the layers of `quantisable` in place. Weights on the meta device are encoded when they are put."""
    for path in quantisable(model, kind):
        quantise_linear(model, path, kind)


def weight_bytes(model: MPLUGOwl2, kind: str) -> int:
    """Bytes of a meta model's weights in a quantised precision."""
    coded = quantisable(model, kind).values()
    plain = sum(value.numel() for value in model.state_dict().values()) - sum(m.weight.numel() for m in coded)
    return 2 * plain + sum(encoded_bytes(kind, m.out_features, m.in_features) for m in coded)


def require_codes(config: ModelConfig, kind: str, device: torch.device) -> None:
    """Raises ConfigError for a model without a ViT, and the error of `require_products`."""
    if config.vision.model_type != VIT:
        raise ConfigError(
            f"precision {kind} needs a model with a ViT encoder, but this one has {config.vision.model_type}. "
            "Small models gain nothing from it; use auto or fp32."
        )
    require_products(kind, device)
