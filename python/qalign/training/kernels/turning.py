"""Rows in another order, turned by their rotary positions in the same kernel."""

import torch
from torch import Tensor

from qalign.mplug_owl2.engine.kernels.register import define, programs
from qalign.mplug_owl2.language import rotate


def _reference(x: Tensor, rows: Tensor, places: Tensor | None, cos: Tensor, sin: Tensor, back: bool) -> Tensor:
    chosen = x.index_select(0, rows).unflatten(1, (-1, cos.shape[1]))
    if places is not None:
        cos, sin = cos.index_select(0, places), sin.index_select(0, places)
    return rotate(chosen, cos[:, None], (-sin if back else sin)[:, None]).flatten(1)


# Row n of the result [N, H·d] is row rows[n] of x. It is turned by row places[n] of the fp32 tables [N, d], or row n.
# `back` turns by the opposite angles. Both halves of a table are equal.
_turned = define(
    "train_turned(Tensor x, Tensor rows, Tensor? places, Tensor cos, Tensor sin, bool back) -> Tensor",
    _reference,
    lambda x, rows, places, cos, sin, back: x.new_empty(x.shape),
    lambda *args: programs("programs", __package__).turned(*args),
)


class _Turned(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, order: Tensor, inverse: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(inverse, cos, sin)
        return _turned(x, order, None, cos, sin, False)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:
        inverse, cos, sin = ctx.saved_tensors
        return _turned(grad.contiguous(), inverse, inverse, cos, sin, True), None, None, None, None


def turned(x: Tensor, order: Tensor, inverse: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x [N, H·d] in the order of the tables [N, d], turned by them. `inverse` is the inverse permutation of `order`."""
    return _Turned.apply(x, order, inverse, cos, sin)
