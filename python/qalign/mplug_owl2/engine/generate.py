"""Greedy generation of text with the literal model, one full pass per token."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from qalign.weights.answers import Generated
from qalign.weights.errors import NonFinite

from ..model import MPLUGOwl2
from ..normalise import normalisation_table, normalise
from ..tokenizer import Tokenizer


@torch.inference_mode()
def generate_greedily(
    model: MPLUGOwl2,
    tokenizer: Tokenizer,
    visuals: Sequence[Tensor],
    prompt: str,
    max_new_tokens: int,
    on_step: Callable[[], None] = lambda: None,
) -> Generated:
    """Append the most probable token until </s> or `max_new_tokens`. Among equal logits the smallest id wins.

    `visuals[k]`, uint8 [F, V·S, S, 3], replaces the k-th image marker of the prompt. The visuals are encoded once.
    Every token needs a full pass over the text, because answers are short and speed is not a goal here.
    """
    device, dtype = model.lm_head.weight.device, model.lm_head.weight.dtype
    table = normalisation_table(model.config.normalisation, device)
    encoded = [model.encode_frames(normalise(visual.to(device), table, dtype)) for visual in visuals]
    x, image_rows = model.embed_sequence(tokenizer.encode(prompt), encoded)
    said: list[int] = []
    finished = False
    while len(said) < max_new_tokens and not finished:
        on_step()
        logits = model.forward_embedded(x[None], image_rows[None])[0, -1]
        if not torch.isfinite(logits).all():
            raise NonFinite("The model produced NaN or infinity for this item; try precision bf16 or fp32.")
        token = logits.argmax()
        finished = int(token) == tokenizer.end_id
        if not finished:
            said.append(int(token))
            x = torch.cat([x, model.model.embed_tokens(token[None])])
            image_rows = torch.cat([image_rows, image_rows.new_zeros(1)])
    return Generated(tokenizer.decode(said), len(said), finished)
