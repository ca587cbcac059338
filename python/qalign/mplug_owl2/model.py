"""The literal mPLUG-Owl2 with the published key names: the reference for tests of the engine, and the trained model."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from qalign.weights.errors import InvalidInput

from .abstractor import VisualAbstractor
from .config import ModelConfig
from .language import DecoderLayer, RMSNorm, rotary_tables
from .vision import encoder_class

IMAGE_TOKEN = -200  # marks one picture or one whole video in a list of token ids; it is never embedded


def expand_ids(ids: Sequence[int], frames: Sequence[int], tokens_per_frame: int) -> list[int]:
    """Repeat every IMAGE_TOKEN once for each position of its visual.

    `frames[k]` is the number of frames of the k-th visual. The result has one entry per position of the sequence, so
    labels made from it align with the model's logits. Raises InvalidInput if the numbers of markers and visuals differ.
    """
    if sum(token == IMAGE_TOKEN for token in ids) != len(frames):
        markers = sum(token == IMAGE_TOKEN for token in ids)
        raise InvalidInput(f"The prompt has {markers} image markers and the item has {len(frames)} visuals.")
    counts = iter(frames)
    positions: list[int] = []
    for token in ids:
        positions += [token] * (next(counts) * tokens_per_frame) if token == IMAGE_TOKEN else [token]
    return positions


class Trunk(nn.Module):
    """Everything under the key prefix `model.`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        encoder = encoder_class(config.vision)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList([DecoderLayer(config) for _ in range(config.num_hidden_layers)])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.vision_model = encoder(config.vision)
        has_cls_token = getattr(encoder, "has_cls_token", True)
        self.visual_abstractor = VisualAbstractor(config.abstractor, config.hidden_size, has_cls_token)


class MPLUGOwl2(nn.Module):
    """The whole model. Shapes: F frames of H = V·S rows (V views of side S), Q + 1 tokens per frame.

    T positions, D width, and logits for each id of the vocabulary.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Trunk(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def encode_frames(self, pixels: Tensor) -> Tensor:
        """Normalised pixels [F, 3, H, S] → [F, Q + 1, D]."""
        return self.model.visual_abstractor(self.model.vision_model(pixels))

    def embed_sequence(self, ids: Sequence[int], visuals: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """One prompt and its visuals, each [F_k, Q + 1, D] → embeddings [T, D] and image rows bool [T]."""
        frames = [len(visual) for visual in visuals]
        device = self.lm_head.weight.device
        positions = expand_ids(ids, frames, self.config.tokens_per_frame)
        text = self.model.embed_tokens(
            torch.tensor([i for i in ids if i != IMAGE_TOKEN], dtype=torch.long, device=device)
        )
        parts, taken, remaining = [], 0, iter(visuals)
        for token in ids:
            if token == IMAGE_TOKEN:
                parts.append(next(remaining).flatten(0, 1))
            else:
                parts.append(text[taken : taken + 1])
                taken += 1
        return torch.cat(parts), torch.tensor([token == IMAGE_TOKEN for token in positions], device=device)

    def forward_embedded(
        self, x: Tensor, image_rows: Tensor, on_hidden: Callable[[Tensor], None] = lambda hidden: None
    ) -> Tensor:
        """Embedded sequences [B, T, D], padded on the right, and image rows bool [B, T] → logits [B, T, V].

        Attention is causal, so padding on the right does not affect real positions. `on_hidden` receives the input of
        every layer and the normalised output of the last layer, each [B, T, D].
        """
        cos, sin = rotary_tables(x.shape[1], self.config.head_dim, self.config.rope_theta, x.device)
        for layer in self.model.layers:
            on_hidden(x)
            x = layer(x, image_rows, cos, sin)
        x = self.model.norm(x)
        on_hidden(x)
        return self.lm_head(x)

    def forward(self, ids: Sequence[Sequence[int]], frames: Sequence[Sequence[int]], pixels: Tensor) -> Tensor:
        """A batch of prompts with their visuals → logits [B, T of the longest, V].

        `ids[b]` holds one IMAGE_TOKEN per visual, and `frames[b][k]` is the number of frames of that visual. `pixels`
        [ΣF, 3, H, S] are all frames in the same order. Shorter rows are padded on the right: row b ends at
        len(expand_ids(ids[b], frames[b], Q + 1)).
        """
        counts = [count for item in frames for count in item]
        if sum(counts) != len(pixels):
            raise InvalidInput(f"The items declare {sum(counts)} frames, but {len(pixels)} were given.")
        encoded = iter(self.encode_frames(pixels).split(counts)) if counts else iter(())
        rows = [self.embed_sequence(i, [next(encoded) for _ in f]) for i, f in zip(ids, frames, strict=True)]
        x = nn.utils.rnn.pad_sequence([embeds for embeds, _ in rows], batch_first=True)
        image_rows = nn.utils.rnn.pad_sequence([image for _, image in rows], batch_first=True)
        return self.forward_embedded(x, image_rows)
