"""Weight-only quantisation of frozen matrices to 8 or 4 bits under LoRA adapters (QLoRA, arXiv 2305.14314).

int8 has one scale per row (absmax / 127). NF4 has blocks of 64 entries along a row. Each entry is one of sixteen
quantiles of the normal distribution, two entries per byte. This is plain torch, so it also runs on a CPU.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..errors import TrainingError

NF4_BLOCK = 64
# QLoRA, appendix E: quantiles of N(0, 1), scaled to [-1, 1], with an exact zero
NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
)  # fmt: skip


class QuantisedLinear(nn.Linear):
    """A frozen linear layer. Codes and scales are buffers, so they are not trained, sharded or cast.

    Gradients pass through to the input. The backward pass decodes the weight again instead of storing it.
    """

    def __init__(self, source: nn.Linear, kind: str) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features, self.kind = source.in_features, source.out_features, kind
        codes, scales = (encode_int8 if kind == "int8" else encode_nf4)(source.weight.detach())
        self.register_buffer("weight", codes)
        self.register_buffer("scales", scales)
        self.register_parameter("bias", None)

    def decoded(self, dtype: torch.dtype) -> Tensor:
        """The decoded weight [out, in]."""
        return (decode_int8 if self.kind == "int8" else decode_nf4)(self.weight, self.scales).to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        return _Product.apply(x, self)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, layer: QuantisedLinear) -> Tensor:
        ctx.layer = layer
        return functional.linear(x, layer.decoded(x.dtype))

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        return grad @ ctx.layer.decoded(grad.dtype), None


def quantise_base(net: nn.Module, kind: str) -> None:
    """Quantise every matrix of the decoder layers in place. Embedding, head, norms, encoder and abstractor are kept."""
    for layer in net.model.layers:
        for path, module in list(layer.named_modules()):
            if not isinstance(module, nn.Linear):
                continue
            if kind == "nf4" and module.in_features % 2:
                raise TrainingError(
                    "CONFIG_INVALID", f"{path} has width {module.in_features}, which nf4 cannot pack; use int8."
                )
            parent, _, name = path.rpartition(".")
            setattr(layer.get_submodule(parent), name, QuantisedLinear(module, kind))


def encode_int8(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[R, C] → int8 [R, C] and scales [R, 1]."""
    wide = weight.float()
    scale = wide.abs().amax(1, keepdim=True) / 127
    return (wide / scale.clamp_min(1e-38)).round().to(torch.int8), scale


def decode_int8(codes: Tensor, scales: Tensor) -> Tensor:
    return codes.float() * scales


def encode_nf4(weight: Tensor) -> tuple[Tensor, Tensor]:
    """[R, C] → two codes per byte, uint8 [R, C / 2], and scales [R, blocks]. C must be even."""
    wide = weight.float()
    padded = functional.pad(wide, (0, -wide.shape[1] % NF4_BLOCK)).unflatten(1, (-1, NF4_BLOCK))
    scale = padded.abs().amax(-1)
    unit = (padded / scale.clamp_min(1e-38)[..., None]).flatten(1)[:, : wide.shape[1]]
    table = torch.tensor(NF4, device=weight.device)
    middles = (table[1:] + table[:-1]) / 2
    code = torch.bucketize(unit.contiguous(), middles).to(torch.uint8)
    return code[:, ::2] << 4 | code[:, 1::2], scale


def decode_nf4(codes: Tensor, scales: Tensor) -> Tensor:
    table = torch.tensor(NF4, device=codes.device)
    pairs = torch.stack([codes >> 4, codes & 15], dim=-1).flatten(1)
    unit = table[pairs.int()]
    return unit * scales.repeat_interleave(NF4_BLOCK, dim=1)[:, : unit.shape[1]]
