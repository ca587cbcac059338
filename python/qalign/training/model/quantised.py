"""Weight-only quantisation of frozen matrices to 8 or 4 bits under LoRA adapters (QLoRA, arXiv 2305.14314).

int8 has one scale per row (absmax / 127). NF4 has blocks of 64 entries along a row. Each entry is one of sixteen
quantiles of the normal distribution, two entries per byte. This is plain torch, so it also runs on a CPU.
"""

import torch
from torch import Tensor, nn

from qalign.mplug_owl2.engine.kernels.coded import decoded_nf4
from qalign.weights.codes import decode, encode

from ..errors import TrainingError


class QuantisedLinear(nn.Linear):
    """A frozen linear layer. Codes and scales are buffers, so they are not trained, sharded or cast.

    Gradients pass through to the input. The backward pass decodes the weight again instead of storing it. In a block
    that is recomputed (`recomputed`), it uses the weight that the recomputation has decoded.
    """

    recomputed = False

    def __init__(self, source: nn.Linear, kind: str) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features, self.kind = source.in_features, source.out_features, kind
        codes, scales = encode(kind, source.weight.detach())
        self.register_buffer("weight", codes)
        self.register_buffer("scales", scales)
        self.register_parameter("bias", None)

    def decoded(self, dtype: torch.dtype) -> Tensor:
        """The decoded weight [out, in]."""
        if self.kind == "nf4":
            return decoded_nf4(self.weight, self.scales, dtype)
        return decode(self.kind, self.weight, self.scales, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return _Product.apply(x, self)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, layer: QuantisedLinear) -> Tensor:
        ctx.layer = layer
        weight = layer.decoded(x.dtype)
        if layer.recomputed:  # the checkpoint drops what the first pass saves, and keeps what it saves again
            ctx.save_for_backward(weight)
        return nn.functional.linear(x, weight)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (weight,) = ctx.saved_tensors or (ctx.layer.decoded(grad.dtype),)
        return grad @ weight, None


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
