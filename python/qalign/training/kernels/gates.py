"""The activations of the two MLPs, with their gradients."""

import torch
from torch import Tensor
from torch.nn.functional import silu

from qalign.mplug_owl2.engine.kernels.register import define, programs
from qalign.mplug_owl2.vision import quick_gelu

SLOPE = 1.702  # of quick_gelu


def _launch(name: str):
    return lambda *args: getattr(programs("programs", __package__), name)(*args)


def _gate_gradient(grad: Tensor, gate: Tensor, up: Tensor) -> tuple[Tensor, Tensor]:
    wide, wide_gate = grad.float(), gate.float()
    share = wide_gate.sigmoid()
    active = (wide_gate * share).to(gate.dtype).float()
    slope = share * (1 + wide_gate * (1 - share))
    return (wide * up.float() * slope).to(gate.dtype), (wide * active).to(up.dtype)


def _gelu_gradient(grad: Tensor, x: Tensor) -> Tensor:
    wide = x.float()
    share = (SLOPE * wide).sigmoid()
    return (grad.float() * share * (1 + SLOPE * wide * (1 - share))).to(x.dtype)


# gate and up [N, I] → silu(gate) · up
_gated = define(
    "train_gated(Tensor gate, Tensor up) -> Tensor",
    lambda gate, up: silu(gate) * up,
    lambda gate, up: gate.new_empty(gate.shape),
    _launch("gated"),
)
_gated_gradient = define(
    "train_gated_gradient(Tensor grad, Tensor gate, Tensor up) -> (Tensor, Tensor)",
    _gate_gradient,
    lambda grad, gate, up: (gate.new_empty(gate.shape), up.new_empty(up.shape)),
    _launch("gated_gradient"),
)

# x of any shape → x · sigmoid(1.702 x)
_quick = define(
    "train_quick_gelu(Tensor x) -> Tensor",
    quick_gelu,
    lambda x: x.new_empty(x.shape),
    _launch("quick_gelu"),
)
_quick_gradient = define(
    "train_quick_gelu_gradient(Tensor grad, Tensor x) -> Tensor",
    _gelu_gradient,
    lambda grad, x: x.new_empty(x.shape),
    _launch("quick_gelu_gradient"),
)


class _Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx, gate: Tensor, up: Tensor) -> Tensor:
        ctx.save_for_backward(gate, up)
        return _gated(gate, up)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        return _gated_gradient(grad.contiguous(), *ctx.saved_tensors)


class _QuickGelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return _quick(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return _quick_gradient(grad.contiguous(), *ctx.saved_tensors)


def gated(gate: Tensor, up: Tensor) -> Tensor:
    """silu(gate) · up, of two contiguous tensors [N, I]."""
    return _Gated.apply(gate, up)


def fused_quick_gelu(x: Tensor) -> Tensor:
    """x · sigmoid(1.702 x), of a contiguous tensor."""
    return _QuickGelu.apply(x)
