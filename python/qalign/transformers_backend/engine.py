"""The passes of a loaded model: pictures → vision features, and token sequences → logits at their last positions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from .families import Family
from .network import Features, Network, padded
from .processing import Pictures

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


class Engine:
    """Computes passes with bounded memory. Not thread-safe. `on_step` runs between passes and can raise to stop."""

    def __init__(self, model: Any, family: Family, preparing: Any, *, alone: bool = False) -> None:
        """With `alone`, each item and each question has its own pass, so that its bits do not depend on others."""
        self.model, self.family, self.preparing = model, family, preparing
        self.head: Tensor = model.get_output_embeddings().weight
        self.bias: Tensor | None = getattr(model.get_output_embeddings(), "bias", None)
        self.vocabulary = len(model.get_input_embeddings().weight)
        self.device, self.dtype = self.head.device, self.head.dtype
        self._network = Network(model, family, self.device, self.dtype, self.head.shape[1])
        self.limits = CUDA if self.device.type == "cuda" else CPU
        self.alone = alone
        self.on_step: Callable[[], None] = lambda: None

    @torch.inference_mode()
    def encode(self, items: Sequence[Pictures]) -> list[Features]:
        """The features of each item's pictures. Items without pictures get no rows."""
        found: list[Features] = []
        for part in self._item_chunks(items):
            self.on_step()
            found += self._network.encode(part, self.preparing)
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
        hidden = self._network.hidden(questions, padded([question.ids for question in questions]))
        places = [
            number * longest + len(question.ids) - len(question.wanted) + read
            for number, question in enumerate(questions)
            for read in range(len(question.wanted))
        ]
        chosen = hidden.reshape(-1, hidden.shape[-1]).index_select(0, torch.tensor(places, device=self.device))
        return self._read(questions, self._logits(chosen))

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
