"""The image encoder, a literal ViT (docs/mplug-owl2.md#image-encoder), and the registry of encoders."""

from importlib import import_module

import torch
from torch import Tensor, nn

from qalign.weights.errors import ConfigError

from .config import ONE_VIEW, VIT, VisionConfig

# model_type → (module of this package, class). Modules are imported on first use, so the ViT never loads the others.
# An encoder takes VisionConfig and maps [B, 3, V·S, S] to tokens [B, V·N, encoder_hidden_size of the abstractor]. The
# V views are stacked from top to bottom. `begin`, `resume` and `project` together compute the same; training caches
# the output of `begin` while its stages are frozen. The class attribute `has_cls_token` states whether token 0 is
# outside the grid: N = grid_size² (+ 1). Only encoders with the class attribute `takes_views` accept V > 1.
ENCODERS: dict[str, tuple[str, str]] = {
    VIT: ("vision", "VisionTransformer"),
    "efficientnet_lite0": ("vision_efficientnet", "EfficientNetLite0Encoder"),
}

# The parts of an encoder that no pretrained weights hold. They are trained with the abstractor.
AFTER_PRETRAINED = ("projection", "view_embedding")


def encoder_class(config: VisionConfig) -> type[nn.Module]:
    """The class of the encoder that `config.model_type` names. Raises ConfigError if it is unknown or lacks views."""
    if config.model_type not in ENCODERS:
        known = ", ".join(sorted(ENCODERS))
        raise ConfigError(f"visual_model.model_type is {config.model_type!r}; known encoders are: {known}.")
    module, name = ENCODERS[config.model_type]
    found = getattr(import_module(f".{module}", __package__), name)
    if config.views != ONE_VIEW and not getattr(found, "takes_views", False):
        raise ConfigError(
            f"visual_model.views is {list(config.views)}, but the encoder {config.model_type} sees only the whole "
            "picture; remove views."
        )
    return found


def quick_gelu(x: Tensor) -> Tensor:
    """x·sigmoid(1.702x), the activation of CLIP."""
    return x * torch.sigmoid(1.702 * x)


def split_fused_qkv(fused: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """[B, N, 3·C] → query, key, value [B, heads, N, C/heads]. The fused rows are laid out per head: [heads, 3, d]."""
    batch, tokens, width = fused.shape
    query, key, value = fused.view(batch, tokens, heads, 3, width // (3 * heads)).permute(3, 0, 2, 1, 4)
    return query, key, value


class PatchEmbedding(nn.Module):
    def __init__(self, width: int, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.weight = nn.Parameter(torch.empty(width, 3, patch_size, patch_size))

    def forward(self, pixels: Tensor) -> Tensor:  # [B, 3, S, S] → [B, (S/p)², C], row by row
        return nn.functional.conv2d(pixels, self.weight, stride=self.patch_size).flatten(2).transpose(1, 2)


class Embeddings(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width, patches = config.hidden_size, (config.image_size // config.patch_size) ** 2
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.patch_embed = PatchEmbedding(width, config.patch_size)
        self.position_embedding = nn.Parameter(torch.empty(1, patches + 1, width))
        self.pre_layernorm = nn.LayerNorm(width, eps=config.layer_norm_eps)

    def forward(self, pixels: Tensor) -> Tensor:  # → [B, N + 1, C]
        patches = self.patch_embed(pixels)
        tokens = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        return self.pre_layernorm(tokens + self.position_embedding)


class SelfAttention(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = split_fused_qkv(self.query_key_value(x), self.heads)
        weights = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(dim=-1)  # [B, heads, N, N]
        return self.dense((weights @ value).transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(quick_gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.self_attn = SelfAttention(config)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.mlp = Mlp(config)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class BlockStack(nn.Module):
    def __init__(self, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(blocks)

    def forward(self, x: Tensor, *others: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, *others)
        return x


class VisionTransformer(nn.Module):
    """ViT: normalised pixels [B, 3, S, S] → [B, (S/patch)² + 1, C], the cls token first, after `post_layernorm`."""

    has_cls_token = True

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = BlockStack([Block(config) for _ in range(config.num_hidden_layers)])
        self.post_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.post_layernorm(self.encoder(self.embeddings(pixels)))

    def begin(self, pixels: Tensor, stop: int) -> Tensor:
        """The part that training caches while the encoder is frozen: for a ViT, the whole forward pass."""
        return self(pixels)

    def resume(self, begun: Tensor, stop: int) -> Tensor:
        return begun

    def project(self, measured: Tensor) -> Tensor:
        return measured
