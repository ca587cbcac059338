"""One rated picture or clip → token ids of the model's own chat template, with the level word as in scoring."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qalign.protocol import LEVELS
from qalign.transformers_backend.chat import MARKER, Chat, encode_text, encode_word, with_pictures
from qalign.transformers_backend.levels import LevelTokens
from qalign.weights.answers import ChatPrompt
from qalign.weights.errors import ModelError

from ..errors import TrainingError


@dataclass(frozen=True)
class ChatConversation:
    """`ids` are all tokens, with those of the pictures. `labels` are the supervised ones at the end of `ids`.

    `level_at` is the index of the level word in `ids`, or -1 when the answer has no level word (score as text). Its
    score is then the last word of the answer, and `lead` are the ids before it.
    """

    ids: Sequence[int]
    labels: Sequence[int]
    level_at: int
    lead: Sequence[int] = ()


@dataclass(frozen=True)
class _Text:
    """An answer in parts: `stem` is not supervised and `said` is, up to the level word; `rest` follows it."""

    head: str
    stem: str
    said: str
    level: str | None
    rest: str

    @property
    def supervised_from(self) -> str:
        return self.head + self.stem

    @property
    def begun(self) -> str:
        """The text that ends before the level word."""
        return self.head + self.stem + self.said


class Conversations:
    """Builds conversations and remembers them: many pictures have the same size, question and level."""

    def __init__(self, chat: Chat, processor: Any, levels: LevelTokens) -> None:
        self._chat, self._processor, self._levels = chat, processor, levels
        self._ending = chat.ending()
        self._built: dict[tuple[object, ...], ChatConversation] = {}
        self._found: dict[str, dict[str, list[int]]] = {}

    def of(self, row: Mapping[str, Any], pictures: Sequence[str]) -> ChatConversation:
        """`row` is a row of the prepared split, `pictures` the texts of its pictures.

        Raises TrainingError if the level word is not in the answer, or if its tokens are ambiguous.
        """
        text, stem = row.get("prompt"), row.get("stem")
        if text is None:
            text, stem = asked(row["question"]), None
        key = (text, stem, row["answer"], row.get("level"), *pictures)
        if key not in self._built:
            try:
                self._built[key] = self._build(text, stem, row["answer"].strip(), row.get("level"), pictures)
            except ModelError as error:
                raise TrainingError("TRAINING_DATA_INVALID", f"The record {row['id']}: {error}") from error
        return self._built[key]

    def level_ids(self) -> dict[str, int]:
        """The token of each level, equal in all conversations with a level. Raises TrainingError if they differ."""
        kinds = {tuple(sorted((word, ids[0]) for word, ids in found.items())) for found in self._found.values()}
        if len(kinds) > 1:
            raise TrainingError(
                "TRAINING_DATA_INVALID",
                "The level words have different tokens after different stems. Use prompts with similar stems.",
            )
        return dict(kinds.pop()) if kinds else {}

    def _build(
        self, text: str, stem: str | None, answer: str, level: str | None, pictures: Sequence[str]
    ) -> ChatConversation:
        parts = split_answer(self._chat.render(ChatPrompt(text, ""), [len(pictures)]), stem, answer, level)
        start = self._encode(parts.supervised_from, pictures)
        if level is None:
            spaced = parts.supervised_from + _space(parts.supervised_from, stem)
            words = answer.split()
            lead = self._encode((spaced + " ".join(words[:-1])).rstrip(), pictures)
            ids = self._encode(spaced + answer + self._ending, pictures)
            first = _supervised_from(ids, start, stem, answer)
            return ChatConversation(array("i", ids), array("i", ids[first:]), -1, array("i", lead))
        before = self._encode(parts.begun, pictures)
        first = _supervised_from(before, start, stem, answer)
        token = self._tokens(parts.begun)[level][0]
        natural = self._encode(
            parts.begun + _space(parts.begun, parts.begun) + level + parts.rest + self._ending, pictures
        )
        known = [*before, token]
        ids = natural if natural[: len(known)] == known else [*known, *self._alone(parts.rest + self._ending)]
        return ChatConversation(array("i", ids), array("i", ids[first:]), len(before))

    def _tokens(self, begun: str) -> dict[str, list[int]]:
        """The tokens of the level words after a text, by the rule of scoring."""
        if begun not in self._found:
            self._found[begun] = self._levels.find(begun, LEVELS, lambda text: self._encode(text, None), self._alone)
        return self._found[begun]

    def _encode(self, text: str, pictures: Sequence[str] | None) -> list[int]:
        if pictures is not None:
            text = with_pictures(text, self._processor.image_token, pictures)
        return encode_text(self._processor.tokenizer, text)

    def _alone(self, text: str) -> list[int]:
        return encode_word(self._processor.tokenizer, text)


def asked(question: str) -> str:
    """The question of a record as a message: the picture first, as in scoring. Other markers are removed."""
    return f"{MARKER}{question.replace(MARKER, '').strip()}"


def split_answer(head: str, stem: str | None, answer: str, level: str | None) -> _Text:
    """With a `stem` the answer begins with the level word. Otherwise the whole answer is supervised."""
    if level is None:
        return _Text(head, stem or "", "", None, "")
    at = answer.rfind(level)
    if at < 0 or (stem is not None and at > 0):
        raise TrainingError("TRAINING_DATA_INVALID", f"The level word {level!r} is not in the answer {answer!r}.")
    return _Text(head, stem or "", answer[:at].rstrip(), level, answer[at + len(level) :])


def _space(text: str, stem: str | None) -> str:
    """What separates a text from the next word: nothing at the beginning of an answer and after white space."""
    return "" if stem is None or text[-1:].isspace() else " "


def _supervised_from(ids: Sequence[int], start: Sequence[int], stem: str | None, answer: str) -> int:
    """The index of the first supervised token: the one after `start`.

    Without a stem, a token that joins the last white space of the prompt with the answer is supervised. Raises
    TrainingError if the tokenizer joins more.
    """
    kept = len(start) - (0 if list(ids[: len(start)]) == list(start) else 1)
    if (stem is not None and kept < len(start)) or list(ids[:kept]) != list(start[:kept]):
        raise TrainingError(
            "TRAINING_DATA_INVALID",
            f"The tokenizer joins the answer {answer!r} with its prompt; change the stem or the answer.",
        )
    return kept
