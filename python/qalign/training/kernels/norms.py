"""RMS norm with a weight by modality, and its gradient, which adds that of the residual stream in the same kernel."""

import torch
from torch import Tensor

from qalign.mplug_owl2.engine.kernels.register import define, programs
from qalign.mplug_owl2.language import Multiway

ROWS = 16  # of a program of the gradient: it adds up the gradient of one weight over them


def _launch(name: str):
    return lambda *args: getattr(programs("programs", __package__), name)(*args)


def _scaled(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """x / rms in fp32, and 1 / rms of each row."""
    wide = x.float()
    scale = torch.rsqrt(wide.square().mean(-1, keepdim=True) + eps)
    return wide * scale, scale


def _reference(x: Tensor, text: Tensor, image: Tensor, texts: int, eps: float) -> Tensor:
    unit = _scaled(x, eps)[0].to(x.dtype)
    return torch.cat([text * unit[:texts], image * unit[texts:]])


def _gradient_reference(
    grad: Tensor, residual: Tensor | None, x: Tensor, text: Tensor, image: Tensor, texts: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    unit, scale = _scaled(x, eps)
    wide = grad.float()
    weighted = torch.cat([wide[:texts] * text.float(), wide[texts:] * image.float()])
    gradient = scale * (weighted - unit * (weighted * unit).mean(-1, keepdim=True))
    if residual is not None:
        gradient = gradient + residual.float()
    of_weight = wide * unit.to(x.dtype).float()
    sums = of_weight[:texts].sum(0).to(text.dtype), of_weight[texts:].sum(0).to(image.dtype)
    return gradient.to(x.dtype), *sums


# x [N, D], of which the first `texts` rows are text; weights text and image [D] → the norm [N, D]
_norm = define(
    "train_rms(Tensor x, Tensor text, Tensor image, int texts, float eps) -> Tensor",
    _reference,
    lambda x, text, image, texts, eps: x.new_empty(x.shape),
    _launch("rms"),
)

# The gradient of the norm, and that of x from elsewhere or None → the gradients of x, text and image
_norm_gradient = define(
    "train_rms_gradient(Tensor grad, Tensor? residual, Tensor x, Tensor text, Tensor image, int texts, float eps) "
    "-> (Tensor, Tensor, Tensor)",
    _gradient_reference,
    lambda grad, residual, x, text, image, texts, eps: (
        x.new_empty(x.shape),
        text.new_empty(text.shape),
        image.new_empty(image.shape),
    ),
    _launch("rms_gradient"),
)


class _Normed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, text: Tensor, image: Tensor, texts: int, eps: float) -> tuple[Tensor, Tensor]:
        ctx.save_for_backward(x, text, image)
        ctx.texts, ctx.eps = texts, eps
        ctx.set_materialize_grads(False)
        return x.view_as(x), _norm(x, text, image, texts, eps)

    @staticmethod
    def backward(ctx, residual: Tensor | None, grad: Tensor | None) -> tuple[Tensor | None, ...]:
        if grad is None:
            return residual, None, None, None, None
        x, text, image = ctx.saved_tensors
        return *_norm_gradient(grad.contiguous(), residual, x, text, image, ctx.texts, ctx.eps), None, None


def normed(pair: Multiway, x: Tensor, texts: int) -> tuple[Tensor, Tensor]:
    """x [N, D], of which the first `texts` rows are text → x for the residual stream, and its norm."""
    text, image = pair.multiway
    return _Normed.apply(x, text.weight, image.weight, texts, text.eps)
