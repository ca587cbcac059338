"""The blocks of the encoder and the language model with fused operators. `data/packing.py` has their plain forms."""

from torch import Tensor

from qalign.mplug_owl2.language import DecoderLayer
from qalign.mplug_owl2.vision import Block

from ..data import packing
from ..data.packing import Packing, permuted
from .gates import fused_quick_gelu, gated
from .norms import normed
from .products import products
from .turning import turned


def fused_decoder_layer(layer: DecoderLayer, x: Tensor, packed: Packing, cos: Tensor, sin: Tensor) -> Tensor:
    """`packing.decoder_layer`: rows [ΣT, D] in block order, tables [ΣT, 1, d] in sequence order."""
    attention, mlp, texts = layer.self_attn, layer.mlp, len(packed.text_ids)
    order, inverse, heads = packed.order, packed.inverse, attention.heads
    x, h = normed(layer.input_layernorm, x, texts)
    query, key, value = products(h, texts, [attention.q_proj, attention.k_proj, attention.v_proj])
    rows = [turned(part, order, inverse, cos[:, 0], sin[:, 0]) for part in (query, key)]
    rows.append(permuted(value, order, inverse))
    attended = packing.attend(*(part.unflatten(1, (heads, -1)) for part in rows), packed.groups)
    x = x + attention.o_proj(permuted(attended, inverse, order))
    x, h = normed(layer.post_attention_layernorm, x, texts)
    return x + mlp.down_proj(gated(*products(h, texts, [mlp.gate_proj, mlp.up_proj])))


def fused_vision_block(block: Block, x: Tensor) -> Tensor:
    """`packing.vision_block` for tokens [F, N, C]."""
    return packing.vision_block(block, x, fused_quick_gelu)
