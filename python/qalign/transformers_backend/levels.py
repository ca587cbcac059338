"""Level words → the tokens whose logits are read. What is ambiguous is refused, with what the model file can pin."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qalign.weights.errors import InvalidInput

Encode = Callable[[str], list[int]]
PINS = (
    "Pin the tokens in the model file: level_tokens with mode alone (the first token of the bare word), "
    "mode ids (given ids), or mode sequence (all tokens of a word)."
)


class LevelTokens:
    """The rule of a model: `mode` is stem (the default), alone, ids or sequence."""

    def __init__(self, settings: Mapping[str, Any] | None, vocabulary: int) -> None:
        """`vocabulary` is the number of rows of the model's head."""
        self.mode: str = settings["mode"] if settings else "stem"
        self._ids: Mapping[str, Sequence[int]] = (settings or {}).get("ids", {})
        self._vocabulary = vocabulary

    @property
    def whole_words(self) -> bool:
        """Whether a level is read by the log-probabilities of all of its tokens."""
        return self.mode == "sequence"

    def find(self, rendered: str, words: Sequence[str], encode: Encode, encode_word: Encode) -> dict[str, list[int]]:
        """The tokens of each word after a rendered text: one, or all of them in mode sequence.

        `encode` turns a text with the control tokens of the template into ids, `encode_word` a word that stands alone.
        Raises InvalidInput.
        """
        if not words:
            raise InvalidInput("No level words were given.")
        if self.mode == "ids":
            found = {word: list(self._pinned(word)[:1]) for word in words}
        elif self.mode == "alone":
            found = {word: encode_word(word)[:1] for word in words}
        else:
            found = after_stem(rendered, words, encode)
        empty = [word for word, ids in found.items() if not ids]
        if empty:
            raise InvalidInput(f"The level words {_list(empty)} have no tokens in the vocabulary of this model.")
        if not self.whole_words:
            _refuse_several(found)
        _refuse_equal(found)
        outside = [word for word, ids in found.items() if max(ids) >= self._vocabulary]
        if outside:
            raise InvalidInput(
                f"The token ids of the level words {_list(outside)} are not below {self._vocabulary}, the number of "
                "logits. Correct the ids in the model file."
            )
        return found

    def _pinned(self, word: str) -> Sequence[int]:
        if word not in self._ids:
            raise InvalidInput(
                f"The model file pins level tokens for {_list(self._ids)}, but not for {word!r}. Add its id."
            )
        return self._ids[word]


def after_stem(rendered: str, words: Sequence[str], encode: Encode) -> dict[str, list[int]]:
    """The tokens that each word adds to the text, after a space. Raises InvalidInput if a word changes earlier tokens.

    A stem that ends in white space needs no further space.
    """
    space = "" if rendered[-1:].isspace() else " "
    before = encode(rendered)
    found: dict[str, list[int]] = {}
    for word in words:
        joined = encode(f"{rendered}{space}{word}")
        if joined[: len(before)] != before:
            raise InvalidInput(
                f"The stem's last tokens change before the level word {word!r}, so its tokens are ambiguous. "
                f"End the stem without a space. {PINS}"
            )
        found[word] = joined[len(before) :]
    return found


def _refuse_several(found: Mapping[str, Sequence[int]]) -> None:
    several = [f"{word!r} ({len(ids)} tokens)" for word, ids in found.items() if len(ids) > 1]
    if several:
        raise InvalidInput(f"Level words must have one token after the stem, but not {', '.join(several)}. {PINS}")


def _refuse_equal(found: Mapping[str, Sequence[int]]) -> None:
    first: dict[tuple[int, ...], str] = {}
    for word, ids in found.items():
        other = first.setdefault(tuple(ids), word)
        if other != word:
            raise InvalidInput(f"The level words {other!r} and {word!r} have the same tokens {list(ids)}. {PINS}")


def _list(words: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(map(repr, words))
