"""What scoring and training ask of a network: features of prepared pictures, and the inputs of its forward pass.

These functions neither bound memory nor choose whether gradients are recorded.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from qalign.weights.errors import CheckpointError

from .families import Family
from .processing import Pictures, SmartPictures


@dataclass(frozen=True)
class Features:
    """What the language model sees of an item's pictures: [N, D], and the same shape for each of its deep layers."""

    rows: Tensor
    deep: list[Tensor] = field(default_factory=list)


class Seen(Protocol):
    """A token sequence with pictures: the kinds of its tokens (1 for pictures), and the patches of each picture."""

    @property
    def types(self) -> Sequence[int]: ...
    @property
    def grids(self) -> Sequence[tuple[int, int, int]]: ...
    @property
    def features(self) -> Features: ...


class _Encoded:
    """Vision features in the form that a whole model takes instead of pictures."""

    def __init__(self, pooler_output: Tensor) -> None:
        self.pooler_output = pooler_output


@dataclass(frozen=True)
class Network:
    """A network of transformers with its device and the dtype of its pixels. `width` is D of its hidden states."""

    model: Any
    family: Family
    device: torch.device
    dtype: torch.dtype
    width: int

    def encode(self, items: Sequence[Pictures], preparing: Any) -> list[Features]:
        """The features of each item's pictures, in one pass for smart pictures. Items without pictures get no rows."""
        if self.family.pictures == "smart":
            return self._encode_smart(items, preparing)
        return [self._encode_native(item) for item in items]

    def _encode_smart(self, items: Sequence[Pictures], preparing: SmartPictures) -> list[Features]:
        grids = [grid for item in items for grid in item.grids]
        if not grids:
            return [self._nothing() for _ in items]
        patches = [preparing.patches(frame.to(self.device)) for item in items for frame in item.frames]
        found = self.model.model.get_image_features(
            torch.cat(patches).to(self.dtype), torch.tensor(grids, device=self.device), return_dict=True
        )
        pictures = list(found.pooler_output)
        deep = [list(layer) for layer in getattr(found, "deepstack_features", None) or []]
        features, at = [], 0
        for item in items:
            end = at + len(item.grids)
            if end == at:
                features.append(self._nothing(len(deep)))
                continue
            features.append(Features(torch.cat(pictures[at:end]), [torch.cat(layer[at:end]) for layer in deep]))
            at = end
        return features

    def _encode_native(self, item: Pictures) -> Features:
        if not item.tensors:
            return self._nothing()
        tensors = {
            name: value.to(self.device, self.dtype if value.is_floating_point() else value.dtype)
            for name, value in item.tensors.items()
        }
        found = self.model.model.get_image_features(**tensors, return_dict=True).pooler_output
        rows = torch.cat(list(found)) if isinstance(found, list | tuple) else found
        return Features(rows.reshape(-1, rows.shape[-1]))

    def _nothing(self, deep: int = 0) -> Features:
        none = torch.empty(0, self.width, dtype=self.dtype, device=self.device)
        return Features(none, [none] * deep)

    def hidden(self, sequences: Sequence[Seen], ids: Tensor) -> Tensor:
        """Tokens [B, T] on the CPU, padded at their ends → last hidden states [B, T, D] of the language model.

        The pictures of each sequence are in their places.
        """
        return self._whole(sequences, ids) if self.family.types else self._text(sequences, ids)

    def _text(self, sequences: Sequence[Seen], ids: Tensor) -> Tensor:
        """The forward pass of the whole model does the same, but it waits for the device and imports more of torch."""
        model = self.model.model
        embedded = model.get_input_embeddings()(ids.to(self.device))
        rows, deep = _together(sequences)
        options: dict[str, Any] = {}
        if len(rows):
            seen = ids == self.model.config.image_token_id
            places = seen.flatten().nonzero().flatten()
            if len(places) != len(rows):
                raise CheckpointError(
                    f"The processor makes {len(places)} tokens for pictures with {len(rows)} features; "
                    "the processor's settings do not fit the model."
                )
            flat = embedded.reshape(-1, embedded.shape[-1])
            embedded = flat.index_copy(0, places.to(self.device), rows.to(flat.dtype)).view(embedded.shape)
            if deep:
                options |= {"visual_pos_masks": seen.to(self.device), "deepstack_visual_embeds": deep}
        if self.family.rope:
            grids = [grid for sequence in sequences for grid in sequence.grids]
            positions, _ = model.get_rope_index(
                ids,
                mm_token_type_ids=torch.tensor(_types(sequences, ids.shape[1])),
                image_grid_thw=torch.tensor(grids) if grids else None,
            )
            options["position_ids"] = positions.to(self.device)
        text = getattr(model, self.family.text)
        return text(inputs_embeds=embedded, use_cache=False, **options).last_hidden_state

    def _whole(self, sequences: Sequence[Seen], ids: Tensor) -> Tensor:
        """The same for a family whose mask depends on the kinds of tokens, by the forward pass of the whole model."""
        rows, _ = _together(sequences)
        options: dict[str, Any] = {}
        if len(rows):
            options["mm_encoder_outputs"] = {"image": _Encoded(rows.unsqueeze(0))}
        types = torch.tensor(_types(sequences, ids.shape[1]), device=self.device)
        found = self.model.model(input_ids=ids.to(self.device), token_type_ids=types, use_cache=False, **options)
        return found.last_hidden_state


def padded(sequences: Sequence[Sequence[int]]) -> Tensor:
    """Token ids [B, T] of sequences that are padded at their ends. Attention is causal and needs no mask.

    The padding repeats the last token, which is text, so that it adds no place for a picture.
    """
    longest = max(map(len, sequences))
    return torch.tensor([[*ids, *[ids[-1]] * (longest - len(ids))] for ids in sequences])


def _together(sequences: Sequence[Seen]) -> tuple[Tensor, list[Tensor]]:
    """The features of all sequences in order, and those of each deep layer."""
    layers = zip(*(sequence.features.deep for sequence in sequences), strict=True)
    return torch.cat([sequence.features.rows for sequence in sequences]), [torch.cat(layer) for layer in layers]


def _types(sequences: Sequence[Seen], longest: int) -> list[list[int]]:
    """The kinds of tokens of each sequence, with padding as text."""
    return [[*sequence.types, *[0] * (longest - len(sequence.types))] for sequence in sequences]
