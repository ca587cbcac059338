"""ViT and abstractor of the scoring engine, on one flat batch of frames. They are equivalent to the literal modules."""

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, scaled_dot_product_attention

from ..abstractor import CrossAttention, VisualAbstractor, join_tokens, residual_stream
from ..vision import Block, VisionTransformer, split_fused_qkv
from .kernels.coded import Rows, add, layer_norm_rows, silu_rows
from .kernels.gated import gated
from .kernels.norms import shifted_layer_norm
from .matrix import fuse, fused

QUICK_GELU = 1.702


def norm(x: Tensor, module: nn.LayerNorm) -> Tensor:
    return layer_norm(x, module.normalized_shape, module.weight, module.bias, module.eps)


class Norm:
    """A layer norm of a residual stream that lacks the constant `shift` [C]."""

    def __init__(self, module: nn.LayerNorm, shift: Tensor) -> None:
        self.module, self.shift = module, shift.clone()

    def __call__(self, x: Tensor) -> Tensor:
        return shifted_layer_norm(x, self.shift, self.module.weight, self.module.bias, self.module.eps)

    def rows(self, x: Tensor, delta: Tensor | None, kind: str | None) -> Rows:
        """Add `delta` to x in place. → The result for a product that reads codes of `kind`."""
        return layer_norm_rows(kind, x, delta, self.shift, self.module.weight, self.module.bias, self.module.eps)


class BlockWeights:
    """One block of the encoder: its matrices, its norms, and the bias of fc1 scaled for SiLU.

    The stream leaves out the biases of `dense` and `fc2`, so that these products add to it in place. `shift`, fp32 [C],
    is the sum of those biases of earlier blocks. The constructor adds this block's to it.
    """

    def __init__(self, block: Block, shift: Tensor) -> None:
        attention, mlp = block.self_attn, block.mlp
        self.heads, self.bias = attention.heads, attention.query_key_value.bias
        self.query_key_value = fused(attention.query_key_value)
        self.dense = fused(attention.dense)
        # x·sigmoid(1.702x) = silu(1.702x) / 1.702 needs one elementwise pass over the widest tensor instead of three.
        self.fc1, self.fc2 = fused(mlp.fc1, scale=QUICK_GELU), fused(mlp.fc2, scale=1 / QUICK_GELU)
        self.scaled_bias = mlp.fc1.bias.data * QUICK_GELU
        self.input_norm = Norm(block.input_layernorm, shift)
        shift += attention.dense.bias.data
        self.output_norm = Norm(block.post_attention_layernorm, shift)
        shift += mlp.fc2.bias.data


class FastVit:
    """`VisionTransformer` with fused attention. QuickGELU is a SiLU whose scales are part of the matrix products."""

    def __init__(self, module: VisionTransformer) -> None:
        self.module = module
        weight = module.post_layernorm.weight
        shift = torch.zeros(len(weight), device=weight.device)
        self.blocks = [BlockWeights(block, shift) for block in module.encoder.layers]
        self.last_norm = Norm(module.post_layernorm, shift)

    def __call__(self, pixels: Tensor) -> Tensor:
        """[F, 3, S, S] → [F, N + 1, C]."""
        x = self._embed(pixels)
        delta = None
        for block in self.blocks:
            delta = self._block(x, delta, block)
        return self.last_norm(add(x, delta))

    def _embed(self, pixels: Tensor) -> Tensor:
        parts = self.module.embeddings
        size = parts.patch_embed.patch_size
        frames, channels, side, _ = pixels.shape
        grid = side // size
        # A matrix product instead of a convolution: cuDNN would run fp32 convolutions in TF32.
        patches = pixels.view(frames, channels, grid, size, grid, size).permute(0, 2, 4, 1, 3, 5)
        tokens = linear(patches.reshape(frames, grid * grid, -1), parts.patch_embed.weight.flatten(1))
        position = parts.position_embedding
        first = (parts.cls_token + position[:, :1]).expand(frames, -1, -1)
        return norm(torch.cat([first, tokens.add_(position[:, 1:])], dim=1), parts.pre_layernorm)

    @staticmethod
    def _block(x: Tensor, delta: Tensor | None, block: BlockWeights) -> Tensor | None:
        """Add `delta` and the block's output to x [F, N + 1, C] in place. → What must still be added to x."""
        stream = x.view(-1, x.shape[-1])
        normed = block.input_norm.rows(x, delta, block.query_key_value.kind)
        qkv = block.query_key_value(normed, block.bias).view(*x.shape[:2], -1)
        context = scaled_dot_product_attention(*split_fused_qkv(qkv, block.heads))
        delta = block.dense.delta(stream, context.transpose(1, 2).reshape(stream.shape))
        hidden = block.fc1(block.output_norm.rows(stream, delta, block.fc1.kind), block.scaled_bias)
        return block.fc2.delta(stream, silu_rows(hidden, block.fc2.kind))


class LayerWeights:
    """One layer of the abstractor: its fused matrices, and its norms of a stream that lacks the biases so far.

    `shift` [C] are the biases that the layer's input lacks. `self.shift` are those that its output lacks.
    """

    def __init__(self, layer: CrossAttention, shift: Tensor) -> None:
        attention, output, mlp = layer.attention, layer.output, layer.output.mlp
        self.attention, self.output, self.image_norm = attention, output, layer.normk
        self.key_value, _ = fuse(attention.key, attention.value)
        self.gate_up, self.gate_up_bias = fuse(mlp.w1, mlp.w3)
        position = torch.cat([attention.q_pos_embed, attention.k_pos_embed]).float()  # [Q + N, C]
        keys = linear(position, attention.key.weight.float(), attention.key.bias.float())
        values = attention.value.bias.float().expand_as(keys)
        self.key_value_bias = torch.cat([keys, values], dim=1).to(self.key_value.dtype)
        self.input_norm = Norm(layer.norm1, shift)
        after_attention = output.out_proj.bias.data.float()  # the stream starts anew from the normalised queries
        self.output_norm = Norm(output.norm2, after_attention)
        self.shift = after_attention + mlp.w2.bias.data


class FastAbstractor:
    """`VisualAbstractor` with fused attention. The positional part of the keys is computed once."""

    def __init__(self, module: VisualAbstractor) -> None:
        self.module = module
        self.layers: list[LayerWeights] = []
        fc = module.visual_fc
        shift = torch.zeros(fc.in_features, device=fc.weight.device)
        for layer in module.encoder.layers:
            self.layers.append(LayerWeights(layer.crossattention, shift))
            shift = self.layers[-1].shift
        self.bias = (fc.bias.data.float() + fc.weight.data.float() @ shift).to(fc.bias.dtype)

    def __call__(self, image: Tensor) -> Tensor:
        """[F, N, C] → [F, Q + 1, D]."""
        x = self.module.query_embeds.expand(len(image), -1, -1)
        for layer in self.layers:
            x = self._layer(x, image, layer)
        return self.module.close(linear(x, self.module.visual_fc.weight, self.bias))

    @staticmethod
    def _layer(x: Tensor, image: Tensor, layer: LayerWeights) -> Tensor:
        attention, output = layer.attention, layer.output
        normed = layer.input_norm(x)
        tokens = join_tokens(normed, norm(image, layer.image_norm))
        both = linear(tokens, layer.key_value).add_(layer.key_value_bias)
        key, value = (attention.split(part) for part in both.chunk(2, dim=-1))
        query = attention.split(linear(normed + attention.q_pos_embed, attention.query.weight, attention.query.bias))
        context = scaled_dot_product_attention(query, key, value).transpose(1, 2)
        stream = residual_stream(x, normed).reshape(-1, normed.shape[-1])
        stream.addmm_(context.reshape(stream.shape), output.out_proj.weight.t())
        hidden = gated(linear(layer.output_norm(stream), layer.gate_up, layer.gate_up_bias))
        stream.addmm_(norm(hidden, output.mlp.ffn_ln), output.mlp.w2.weight.t())
        return stream.view_as(normed)
