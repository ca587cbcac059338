"""One rated picture or clip → token ids and labels, as the published training code builds them.

Specified in docs/mplug-owl2.md#training-conversation.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from qalign.mplug_owl2.tokenizer import IMAGE_MARKER, Tokenizer
from qalign.protocol import LEVELS

from ..errors import TrainingError

IGNORED = -100  # the label of a position without a loss


@dataclass(frozen=True)
class Conversation:
    """`ids` and `labels` have one entry per token; the image marker counts as one token. `level_at` is the index of the
    level word in `ids`, or -1 when the answer has no level word (score as text)."""

    ids: tuple[int, ...]
    labels: tuple[int, ...]
    level_at: int


def training_prompt(question: str) -> str:
    """The published prompt up to `ASSISTANT:`. The first image marker moves to the front of the question; all other
    markers are removed."""
    words = question.replace(IMAGE_MARKER, "").strip()
    return f"USER: {IMAGE_MARKER}\n{words} ASSISTANT:"


def build_conversation(tokenizer: Tokenizer, prompt: str, answer: str, level: str | None = None) -> Conversation:
    """An unchanged prompt of training or scoring, followed by the supervised answer.

    Raises TrainingError when the tokenizer joins prompt and answer in one piece, or when `level` is not in the answer.
    """
    head = tokenizer.encode(prompt)
    ids = tokenizer.encode(f"{prompt} {answer.strip()}</s>")
    if ids[: len(head)] != head:
        raise TrainingError(
            "TRAINING_DATA_INVALID", f"The tokenizer joins the answer {answer!r} with its prompt; change one of them."
        )
    labels = (IGNORED,) * len(head) + ids[len(head) :]
    return Conversation(ids, labels, _level_position(tokenizer, ids, len(head), level))


class Vocabulary(Protocol):
    def word_id(self, word: str) -> int: ...


def level_ids(tokenizer: Vocabulary, device: torch.device) -> Tensor:
    """The token id of each rating level [5], best first."""
    return torch.tensor([tokenizer.word_id(level) for level in LEVELS], device=device)


def _level_position(tokenizer: Tokenizer, ids: tuple[int, ...], start: int, level: str | None) -> int:
    if level is None:
        return -1
    word = tokenizer.word_id(level)
    if word not in ids[start:]:
        raise TrainingError("TRAINING_DATA_INVALID", f"The level word {level!r} is not in the answer.")
    # The last match: an answer has one level word, but in a small vocabulary other words can share its piece.
    return len(ids) - 1 - ids[::-1].index(word)
