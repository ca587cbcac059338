"""The gate of an MLP whose gate and up projections are one matrix."""

from torch import Tensor
from torch.nn.functional import silu

from .register import define, programs


def _reference(gate_up: Tensor) -> Tensor:
    gate, up = gate_up.chunk(2, dim=-1)
    return silu(gate).mul_(up)


# gate_up [..., 2·I] → silu(gate) · up [..., I]
gated = define(
    "gated(Tensor gate_up) -> Tensor",
    _reference,
    lambda gate_up: gate_up.new_empty(*gate_up.shape[:-1], gate_up.shape[-1] // 2),
    lambda gate_up: programs().gated(gate_up),
)
