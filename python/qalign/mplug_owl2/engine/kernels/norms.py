"""Norms of rows: RMS norm with a weight by modality, and layer norm of a stream that lacks a constant."""

import torch
from torch import Tensor
from torch.nn.functional import layer_norm, rms_norm

from .register import define, programs


def _rms_reference(
    x: Tensor, weights: Tensor, text_eps: float, image_eps: float, ways: Tensor, rows: Tensor | None
) -> Tensor:
    chosen = x if rows is None else x.index_select(0, rows)
    normed = rms_norm(chosen, x.shape[-1:], None, text_eps)
    if image_eps != text_eps:
        normed = torch.where(ways[:, None] != 0, rms_norm(chosen, x.shape[-1:], None, image_eps), normed)
    return normed.mul_(weights.index_select(0, ways))


# Arguments: x [R, D]; weights [2, D] for text and image; ways int32 [N], 1 for image. Result: [N, D].
# rows int32 [N] is the row of x for each row of the result. None means the same row.
rms_rows = define(
    "rms_rows(Tensor x, Tensor weights, float text_eps, float image_eps, Tensor ways, Tensor? rows) -> Tensor",
    _rms_reference,
    lambda x, weights, text_eps, image_eps, ways, rows: x.new_empty(len(ways), x.shape[1]),
    lambda *args: programs().rms_rows(*args),
)


def _shifted_reference(x: Tensor, shift: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    wide = x.float() + shift
    return layer_norm(wide, wide.shape[-1:], weight.float(), bias.float(), eps).to(x.dtype)


# x [..., C], shift fp32 [C], weight and bias [C] → the layer norm of x + shift
shifted_layer_norm = define(
    "shifted_layer_norm(Tensor x, Tensor shift, Tensor weight, Tensor bias, float eps) -> Tensor",
    _shifted_reference,
    lambda x, shift, weight, bias, eps: x.new_empty(x.shape),
    lambda *args: programs().shifted_layer_norm(*args),
)
