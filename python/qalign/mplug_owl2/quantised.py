"""Quantised linear layers of the literal model. The engine reads their codes; `generate` runs their forward."""

import logging

import torch
from torch import Tensor, nn

from qalign.weights.codes import encode, encoded_bytes, matrix_fits, product
from qalign.weights.errors import ConfigError, DeviceUnavailable

from .config import VIT, ModelConfig
from .model import MPLUGOwl2

# Least compute capability: _scaled_mm multiplies e4m3 from Ada on, _int_mm needs the int8 units of Turing.
CAPABILITY = {"fp8": (8, 9), "int8": (7, 5), "nf4": (7, 0)}
DEEP = 8  # layers; in shallower stacks every layer is quantised
log = logging.getLogger(__name__)


class QuantisedLinear(nn.Linear):
    """A linear layer whose weight is stored as codes. On the meta device it has a plain weight, until `put_weight`.

    The checkpoint's keys therefore stay those of the plain model while it loads.
    """

    codes: Tensor
    scales: Tensor

    def __init__(self, source: nn.Linear, kind: str) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features, self.kind = source.in_features, source.out_features, kind
        self.weight, self.bias = source.weight, source.bias

    def put_weight(self, weight: Tensor) -> None:
        """Encode [out, in] and drop the plain weight."""
        codes, scales = encode(self.kind, weight)
        del self._parameters["weight"]
        self.register_buffer("codes", codes)
        self.register_buffer("scales", scales)

    def forward(self, x: Tensor) -> Tensor:
        y = product(self.kind, self.codes, self.scales, x.flatten(0, -2)).view(*x.shape[:-1], self.out_features)
        return y if self.bias is None else y + self.bias


def quantisable(model: MPLUGOwl2, kind: str) -> dict[str, nn.Linear]:
    """Path → the layers that a precision quantises: the products of the ViT's blocks and of the decoder layers.

    fp8 and int8 keep the first and the last layer of a deep stack in bf16, where rounded activations move scores most.
    Embedding, head, norms and abstractor always keep bf16.
    """
    found: dict[str, nn.Linear] = {}
    trunk = model.model
    for prefix, layers in (
        ("model.vision_model.encoder.layers", trunk.vision_model.encoder.layers),
        ("model.layers", trunk.layers),
    ):
        for index, layer in enumerate(layers):
            if kind != "nf4" and len(layers) >= DEEP and index in (0, len(layers) - 1):
                continue
            for path, module in layer.named_modules():
                if isinstance(module, nn.Linear) and matrix_fits(kind, module.out_features, module.in_features):
                    found[f"{prefix}.{index}.{path}"] = module
    return found


def quantise_layers(model: MPLUGOwl2, kind: str) -> None:
    """Replace the layers of `quantisable` in place. Weights on the meta device are encoded when they are put."""
    for path, module in quantisable(model, kind).items():
        layer = QuantisedLinear(module, kind)
        if not module.weight.is_meta:
            layer.put_weight(module.weight.detach())
        parent, _, name = path.rpartition(".")
        setattr(model.get_submodule(parent), name, layer)


def weight_bytes(model: MPLUGOwl2, kind: str) -> int:
    """Bytes of a meta model's weights in a quantised precision."""
    coded = quantisable(model, kind).values()
    plain = sum(value.numel() for value in model.state_dict().values()) - sum(m.weight.numel() for m in coded)
    return 2 * plain + sum(encoded_bytes(kind, m.out_features, m.in_features) for m in coded)


def require_codes(config: ModelConfig, kind: str, device: torch.device) -> None:
    """Raises ConfigError for a model without a ViT, DeviceUnavailable for a GPU without the products of the code."""
    if config.vision.model_type != VIT:
        raise ConfigError(
            f"precision {kind} needs a model with a ViT encoder, but this one has {config.vision.model_type}. "
            "Small models gain nothing from it; use auto or fp32."
        )
    if device.type == "cpu":
        log.warning("precision %s is made for GPUs; on a CPU it saves memory, but fp32 is faster", kind)
        return
    capability = torch.cuda.get_device_capability(device)
    if capability < CAPABILITY[kind]:
        wanted, has = (".".join(map(str, version)) for version in (CAPABILITY[kind], capability))
        raise DeviceUnavailable(
            f"precision {kind} needs a GPU of compute capability {wanted} or higher; "
            f"{torch.cuda.get_device_name(device)} has {has}. Use int8, nf4 or bf16."
        )
