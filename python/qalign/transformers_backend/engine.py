"""The passes of a loaded model: pictures → vision features, and token sequences → logits at their last positions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from qalign.weights.errors import CheckpointError

from .families import Family
from .processing import Pictures, SmartPictures

HEAD_ROWS = 4096  # of the vocabulary, converted to fp32 at a time on a CPU


@dataclass(frozen=True)
class Limits:
    """Of one pass: values of pictures, and positions of all sequences with their padding."""

    values: int
    positions: int


CPU = Limits(values=16_000_000, positions=4096)
CUDA = Limits(values=256_000_000, positions=32_768)
SLACK = 0.25  # a pass can have this share of padding


@dataclass(frozen=True)
class Features:
    """What the language model sees of an item's pictures: [N, D], and the same shape for each of its deep layers."""

    rows: Tensor
    deep: list[Tensor] = field(default_factory=list)


@dataclass(frozen=True)
class Question:
    """A token sequence with pictures. `wanted[k]` are the tokens whose logits are read at position length - reads + k.

    `types` are the kinds of tokens (1 for pictures), and `grids` the patches of each picture.
    """

    ids: Sequence[int]
    types: Sequence[int]
    grids: Sequence[tuple[int, int, int]]
    features: Features
    wanted: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Reading:
    """fp32 logits of the wanted tokens at one position, and the log-sum-exp of the whole vocabulary there."""

    logits: list[float]
    log_sum_exp: float


class _Encoded:
    """Vision features in the form that a whole model takes instead of pictures."""

    def __init__(self, pooler_output: Tensor) -> None:
        self.pooler_output = pooler_output


class Engine:
    """Computes passes with bounded memory. Not thread-safe. `on_step` runs between passes and can raise to stop."""

    def __init__(self, model: Any, family: Family, preparing: Any, *, alone: bool = False) -> None:
        """With `alone`, each item and each question has its own pass, so that its bits do not depend on others."""
        self.model, self.family, self.preparing = model, family, preparing
        self.head: Tensor = model.get_output_embeddings().weight
        self.bias: Tensor | None = getattr(model.get_output_embeddings(), "bias", None)
        self.device, self.dtype = self.head.device, self.head.dtype
        self.limits = CUDA if self.device.type == "cuda" else CPU
        self.alone = alone
        self.on_step: Callable[[], None] = lambda: None

    @torch.inference_mode()
    def encode(self, items: Sequence[Pictures]) -> list[Features]:
        """The features of each item's pictures. Items without pictures get no rows."""
        found: list[Features] = []
        for part in self._item_chunks(items):
            self.on_step()
            found += self._encode_smart(part) if self.family.pictures == "smart" else map(self._encode_native, part)
        return found

    @torch.inference_mode()
    def ask(self, questions: Sequence[Question]) -> list[list[Reading]]:
        """The readings of each question, in order."""
        found: list[list[Reading]] = [[]] * len(questions)
        for chunk in self._question_chunks(questions):
            self.on_step()
            for index, readings in zip(chunk, self._pass([questions[index] for index in chunk]), strict=True):
                found[index] = readings
        return found

    def _item_chunks(self, items: Sequence[Pictures]) -> Iterator[list[Pictures]]:
        chunk: list[Pictures] = []
        size = 0
        for item in items:
            if chunk and (self.alone or size + item.size > self.limits.values):
                yield chunk
                chunk, size = [], 0
            chunk.append(item)
            size += item.size
        if chunk:
            yield chunk

    def _encode_smart(self, items: Sequence[Pictures]) -> list[Features]:
        grids = [grid for item in items for grid in item.grids]
        if not grids:
            return [self._nothing() for _ in items]
        preparing: SmartPictures = self.preparing
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
        none = torch.empty(0, self.head.shape[1], dtype=self.dtype, device=self.device)
        return Features(none, [none] * deep)

    def _question_chunks(self, questions: Sequence[Question]) -> Iterator[list[int]]:
        """Indices of questions of similar lengths, the longest first, so that padding is rare and bounded."""
        order = sorted(range(len(questions)), key=lambda index: -len(questions[index].ids))
        chunk: list[int] = []
        longest = padding = 0
        for index in order:
            length = len(questions[index].ids)
            more = longest - length if chunk else 0
            whole = longest * (len(chunk) + 1)
            full = self.alone or whole > self.limits.positions or padding + more > SLACK * whole
            if chunk and full:
                yield chunk
                chunk, padding, more = [], 0, 0
            if not chunk:
                longest = length
            chunk.append(index)
            padding += more
        if chunk:
            yield chunk

    def _pass(self, questions: Sequence[Question]) -> list[list[Reading]]:
        """One pass over sequences that are padded at their ends. No mask is needed: attention is causal."""
        longest = max(len(question.ids) for question in questions)
        # the last token is text, so that padding adds no place for a picture
        rows = [[*question.ids, *[question.ids[-1]] * (longest - len(question.ids))] for question in questions]
        ids = torch.tensor(rows)
        hidden = self._whole(questions, ids) if self.family.types else self._text(questions, ids)
        places = [
            number * longest + len(question.ids) - len(question.wanted) + read
            for number, question in enumerate(questions)
            for read in range(len(question.wanted))
        ]
        chosen = hidden.reshape(-1, hidden.shape[-1]).index_select(0, torch.tensor(places, device=self.device))
        return self._read(questions, self._logits(chosen))

    def _text(self, questions: Sequence[Question], ids: Tensor) -> Tensor:
        """Tokens [B, T] on the CPU → last hidden states [B, T, D] of the language model, with pictures in their places.

        The forward pass of the whole model does the same, but it waits for the device and imports more of torch.
        """
        model = self.model.model
        embedded = model.get_input_embeddings()(ids.to(self.device))
        rows, deep = _together(questions)
        options: dict[str, Any] = {}
        if len(rows):
            seen = ids == self.model.config.image_token_id
            places = seen.flatten().nonzero().flatten()
            if len(places) != len(rows):
                raise CheckpointError(
                    f"The processor makes {len(places)} tokens for pictures with {len(rows)} features; "
                    "the processor's settings do not fit the model."
                )
            embedded.view(-1, embedded.shape[-1]).index_copy_(0, places.to(self.device), rows)
            if deep:
                options |= {"visual_pos_masks": seen.to(self.device), "deepstack_visual_embeds": deep}
        if self.family.rope:
            grids = [grid for question in questions for grid in question.grids]
            positions, _ = model.get_rope_index(
                ids,
                mm_token_type_ids=torch.tensor(_types(questions, ids.shape[1])),
                image_grid_thw=torch.tensor(grids) if grids else None,
            )
            options["position_ids"] = positions.to(self.device)
        text = getattr(model, self.family.text)
        return text(inputs_embeds=embedded, use_cache=False, **options).last_hidden_state

    def _whole(self, questions: Sequence[Question], ids: Tensor) -> Tensor:
        """The same for a family whose mask depends on the kinds of tokens, by the forward pass of the whole model."""
        rows, _ = _together(questions)
        options: dict[str, Any] = {}
        if len(rows):
            options["mm_encoder_outputs"] = {"image": _Encoded(rows.unsqueeze(0))}
        types = torch.tensor(_types(questions, ids.shape[1]), device=self.device)
        found = self.model.model(input_ids=ids.to(self.device), token_type_ids=types, use_cache=False, **options)
        return found.last_hidden_state

    def _logits(self, rows: Tensor) -> Tensor:
        """Hidden states [n, D] → fp32 logits [n, V], summed in fp32."""
        if rows.dtype == torch.float32:
            return linear(rows, self.head, self.bias)
        if rows.device.type == "cuda":
            found = torch.mm(rows, self.head.t(), out_dtype=torch.float32)
        else:
            found = torch.cat([linear(rows.float(), part.float()) for part in self.head.split(HEAD_ROWS)], dim=1)
        return found if self.bias is None else found + self.bias.float()

    def _read(self, questions: Sequence[Question], logits: Tensor) -> list[list[Reading]]:
        wanted = [list(tokens) for question in questions for tokens in question.wanted]
        width = max(map(len, wanted))
        columns = torch.tensor([[*tokens, *[0] * (width - len(tokens))] for tokens in wanted], device=self.device)
        sums = torch.logsumexp(logits, dim=1, keepdim=True)
        values = torch.cat([sums, logits.gather(1, columns)], dim=1).tolist()
        readings = iter([Reading(row[1 : len(tokens) + 1], row[0]) for row, tokens in zip(values, wanted, strict=True)])
        return [[next(readings) for _ in question.wanted] for question in questions]


def _together(questions: Sequence[Question]) -> tuple[Tensor, list[Tensor]]:
    """The features of all questions in order, and those of each deep layer."""
    layers = zip(*(question.features.deep for question in questions), strict=True)
    return torch.cat([question.features.rows for question in questions]), [torch.cat(layer) for layer in layers]


def _types(questions: Sequence[Question], longest: int) -> list[list[int]]:
    """The kinds of tokens of each question, with padding as text."""
    return [[*question.types, *[0] * (longest - len(question.types))] for question in questions]
