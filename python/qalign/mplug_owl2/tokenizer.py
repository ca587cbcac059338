"""Prompt text → token ids by the published chunk rule (docs/mplug-owl2.md#tokenizer), with SentencePiece."""

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from sentencepiece import SentencePieceProcessor

from qalign.weights.damage import refuse_damage
from qalign.weights.errors import InvalidInput, TokenizerError

from .model import IMAGE_TOKEN

IMAGE_MARKER = "<|image|>"


class Tokenizer:
    """The LLaMA tokenizer of a checkpoint. `path` is a tokenizer.model or its directory."""

    def __init__(self, path: Path) -> None:
        file = path / "tokenizer.model" if path.is_dir() else path
        if not file.is_file():
            raise TokenizerError(f"{file} does not exist; a model directory needs its tokenizer.model.")
        refuse_damage(file, TokenizerError)
        try:
            self._pieces = SentencePieceProcessor(model_file=str(file))
        except (OSError, RuntimeError) as error:
            raise TokenizerError(f"{file} is not a SentencePiece model: {error}.") from error
        self._special = {"<s>": self._pieces.bos_id(), "</s>": self._pieces.eos_id(), "<unk>": self._pieces.unk_id()}
        self._split = re.compile("(" + "|".join(map(re.escape, self._special)) + ")")
        self.encode = lru_cache(maxsize=4096)(self._encode)

    @property
    def vocab_size(self) -> int:
        return self._pieces.vocab_size()

    def _encode(self, text: str) -> tuple[int, ...]:
        """A prompt → token ids, with IMAGE_TOKEN for each image marker.

        Every chunk between markers is tokenised separately. The first non-empty chunk keeps its BOS. Later chunks drop
        BOS but keep their dummy-prefix piece. An empty chunk produces no ids.
        """
        ids: list[int] = []
        opened = False
        for index, chunk in enumerate(text.split(IMAGE_MARKER)):
            if index:
                ids.append(IMAGE_TOKEN)
            if chunk:
                ids += [*([] if opened else [self._pieces.bos_id()]), *self._chunk(chunk)]
                opened = True
        return tuple(ids)

    def _chunk(self, text: str) -> list[int]:
        """Special tokens in the text become their ids, as in the published slow tokenizer."""
        ids: list[int] = []
        for part in self._split.split(text):
            if part in self._special:
                ids.append(self._special[part])
            elif part:
                ids += self._pieces.encode(part)
        return ids

    def word_id(self, word: str) -> int:
        """The id of a level word: its first piece after BOS. Raises InvalidInput for an empty word."""
        pieces = self._pieces.encode(word)
        if not pieces:
            raise InvalidInput(f"The level word {word!r} has no token.")
        return pieces[0]

    @property
    def end_id(self) -> int:
        """The id of </s>."""
        return self._pieces.eos_id()

    def decode(self, ids: Sequence[int]) -> str:
        """Generated ids → text, without the leading space that SentencePiece adds at the start of a word."""
        return self._pieces.decode([i for i in ids if i < self._pieces.vocab_size()]).strip()
