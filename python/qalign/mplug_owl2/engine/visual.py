"""ViT and abstractor of the scoring engine, on one flat batch of frames. They are equivalent to the literal modules."""

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear, scaled_dot_product_attention, silu

from ..abstractor import CrossAttention, VisualAbstractor, join_tokens, residual_stream
from ..vision import Block, VisionTransformer, split_fused_qkv
from .matrix import fuse, fused

QUICK_GELU = 1.702


def norm(x: Tensor, module: nn.LayerNorm) -> Tensor:
    return layer_norm(x, module.normalized_shape, module.weight, module.bias, module.eps)


class BlockWeights:
    """One block of the encoder: its matrices, and the bias of fc1 scaled for SiLU."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self.query_key_value = fused(block.self_attn.query_key_value)
        self.dense = fused(block.self_attn.dense)
        self.fc1, self.fc2 = fused(block.mlp.fc1), fused(block.mlp.fc2)
        self.scaled_bias = block.mlp.fc1.bias.data * QUICK_GELU


class FastVit:
    """`VisionTransformer` with fused attention. QuickGELU is a SiLU whose scales are part of the matrix products."""

    def __init__(self, module: VisionTransformer) -> None:
        self.module = module
        self.blocks = [BlockWeights(block) for block in module.encoder.layers]

    def __call__(self, pixels: Tensor) -> Tensor:
        """[F, 3, S, S] → [F, N + 1, C]."""
        x = self._embed(pixels)
        for block in self.blocks:
            x = self._block(x, block)
        return norm(x, self.module.post_layernorm)

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
    def _block(x: Tensor, weights: BlockWeights) -> Tensor:
        block, attention, mlp = weights.block, weights.block.self_attn, weights.block.mlp
        qkv = weights.query_key_value(norm(x, block.input_layernorm), attention.query_key_value.bias)
        context = scaled_dot_product_attention(*split_fused_qkv(qkv, attention.heads))
        x = weights.dense(context.transpose(1, 2).flatten(2), attention.dense.bias).add_(x)
        rows = norm(x, block.post_attention_layernorm).flatten(0, 1)
        # x·sigmoid(1.702x) = silu(1.702x) / 1.702 needs one elementwise pass over the widest tensor instead of three.
        hidden = silu(weights.fc1.scaled(rows, weights.scaled_bias, QUICK_GELU), inplace=True)
        return weights.fc2.scaled(hidden, mlp.fc2.bias, 1 / QUICK_GELU).view_as(x).add_(x)


class FastAbstractor:
    """`VisualAbstractor` with fused attention. The positional part of the keys is computed once."""

    def __init__(self, module: VisualAbstractor) -> None:
        self.module = module
        self.layers = [self._prepare(layer.crossattention) for layer in module.encoder.layers]

    def _prepare(self, layer: CrossAttention) -> tuple[CrossAttention, Tensor, Tensor, Tensor, Tensor]:
        attention, mlp = layer.attention, layer.output.mlp
        key_value, _ = fuse(attention.key, attention.value)
        gate_up, gate_up_bias = fuse(mlp.w1, mlp.w3)
        position = torch.cat([attention.q_pos_embed, attention.k_pos_embed]).float()  # [Q + N, C]
        keys = linear(position, attention.key.weight.float(), attention.key.bias.float())
        values = attention.value.bias.float().expand_as(keys)
        return layer, key_value, torch.cat([keys, values], dim=1).to(key_value.dtype), gate_up, gate_up_bias

    def __call__(self, image: Tensor) -> Tensor:
        """[F, N, C] → [F, Q + 1, D]."""
        x = self.module.query_embeds.expand(len(image), -1, -1)
        for layer, key_value, key_value_bias, gate_up, gate_up_bias in self.layers:
            x = self._layer(x, image, layer, key_value, key_value_bias, gate_up, gate_up_bias)
        fc = self.module.visual_fc
        return self.module.close(linear(x, fc.weight, fc.bias))

    @staticmethod
    def _layer(
        x: Tensor, image: Tensor, layer: CrossAttention, weight: Tensor, bias: Tensor, gate_up: Tensor, up_bias: Tensor
    ) -> Tensor:
        attention, output = layer.attention, layer.output
        normed = norm(x, layer.norm1)
        fused = linear(join_tokens(normed, norm(image, layer.normk)), weight).add_(bias)
        key, value = (attention.split(part) for part in fused.chunk(2, dim=-1))
        query = attention.split(linear(normed + attention.q_pos_embed, attention.query.weight, attention.query.bias))
        context = scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        x = residual_stream(x, normed) + linear(context, output.out_proj.weight, output.out_proj.bias)
        gate, up = linear(norm(x, output.norm2), gate_up, up_bias).chunk(2, dim=-1)
        hidden = norm(silu(gate).mul_(up), output.mlp.ffn_ln)
        return linear(hidden, output.mlp.w2.weight, output.mlp.w2.bias).add_(x)
