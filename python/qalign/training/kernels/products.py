"""Several products of the same rows. Each writes its rows in place, and their gradients add up in place."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from qalign.mplug_owl2.language import Multiway

Layer = nn.Linear | Multiway


class _Products(torch.autograd.Function):
    """Weights are pairs of a text and an image matrix, or of one matrix for all rows and None."""

    @staticmethod
    def forward(ctx, x: Tensor, texts: int, *weights: Tensor | None) -> tuple[Tensor, ...]:
        ctx.save_for_backward(x, *weights)
        ctx.texts = texts
        results = []
        for weight, image in zip(weights[::2], weights[1::2], strict=True):
            result = x.new_empty(len(x), len(weight))
            for rows, matrix in _parts(len(x), texts, weight, image):
                torch.mm(x[rows], matrix.t(), out=result[rows])
            results.append(result)
        return tuple(results)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, *weights = ctx.saved_tensors
        of_x = torch.empty_like(x) if ctx.needs_input_grad[0] else None
        of_weights: list[Tensor | None] = [None] * len(weights)
        for index, grad in enumerate(grads):
            pair = weights[2 * index : 2 * index + 2]
            for place, (rows, matrix) in enumerate(_parts(len(x), ctx.texts, *pair)):
                if of_x is not None and index == 0:
                    torch.mm(grad[rows], matrix, out=of_x[rows])
                elif of_x is not None:
                    of_x[rows].addmm_(grad[rows], matrix)
                if ctx.needs_input_grad[2 + 2 * index + place]:
                    of_weights[2 * index + place] = grad[rows].t() @ x[rows]
        return of_x, None, *of_weights


def _parts(count: int, texts: int, weight: Tensor, image: Tensor | None) -> list[tuple[slice, Tensor]]:
    if image is None:
        return [(slice(0, count), weight)]
    return [(slice(0, texts), weight), (slice(texts, count), image)]


def products(x: Tensor, texts: int, layers: Sequence[Layer]) -> list[Tensor]:
    """x [N, C], of which the first `texts` rows are text → the result [N, R] of each layer, contiguous.

    Layers with adapters or codes are called one by one.
    """
    pairs = [tuple(layer.multiway) if isinstance(layer, Multiway) else (layer, None) for layer in layers]
    if all(part is None or (type(part) is nn.Linear and part.bias is None) for pair in pairs for part in pair):
        return list(_Products.apply(x, texts, *(part and part.weight for pair in pairs for part in pair)))
    rows = x.split([texts, len(x) - texts])
    return [text(x) if image is None else torch.cat([text(rows[0]), image(rows[1])]) for text, image in pairs]
