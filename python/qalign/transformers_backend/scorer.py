"""Scores a batch of items with a chat model: pictures, questions and stems → level logits."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor, uint8

from qalign.weights.answers import (
    ChatPrompt,
    ClipRange,
    ItemScores,
    ItemTexts,
    ModelInfo,
    PromptScore,
    ScoreItem,
    item_scores,
)
from qalign.weights.errors import CheckpointError, InvalidInput, ModelError

from .chat import Chat, encode_text, encode_word, with_pictures
from .engine import Engine, Question, Reading
from .levels import LevelTokens
from .processing import Pictures, Preparing

MOST_FRAMES = 64
T = TypeVar("T")


class Complete(Generic[T]):
    """A result that the device has already computed."""

    def __init__(self, value: T) -> None:
        self._value = value

    def ready(self) -> bool:
        return True

    def result(self) -> T:
        return self._value


@dataclass(frozen=True)
class Asked:
    """A prompt as text and tokens, and the tokens of each level."""

    rendered: str
    ids: list[int]
    levels: dict[str, list[int]]


class NoClips:
    """Clips are sent whole, so none is kept."""

    bytes = 0

    def release(self, clip: str) -> None:
        pass

    def __len__(self) -> int:
        return 0


class ChatScorer:
    """A loaded chat model. Not thread-safe: one call at a time. `on_step` is called between passes."""

    def __init__(
        self,
        engine: Engine,
        processor: Any,
        preparing: Preparing,
        chat: Chat,
        levels: LevelTokens,
        info: ModelInfo,
    ) -> None:
        self.engine, self.info = engine, info
        self.clips = NoClips()
        self._processor, self._preparing, self._chat, self._levels = processor, preparing, chat, levels
        self._busy = threading.Lock()

    @property
    def on_step(self) -> Callable[[], None]:
        return self.engine.on_step

    @on_step.setter
    def on_step(self, step: Callable[[], None]) -> None:
        self.engine.on_step = step

    def score(self, items: Sequence[ScoreItem], levels: Sequence[str]) -> list[ItemScores]:
        """Score all items as one batch, in order. Invalid items and items whose logits are not finite get an error.

        Raises torch's out-of-memory errors.
        """
        with self._busy:
            errors: dict[int, ModelError] = {}
            pictures: dict[int, Pictures] = {}
            asked: dict[int, list[Asked]] = {}
            for index, item in enumerate(items):
                self.on_step()
                try:
                    pictures[index], asked[index] = self._prepared(item, levels)
                except ModelError as error:
                    errors[index] = error
            asked = {index: asked[index] for index in pictures if index in asked}
            found = self._answers([pictures[index] for index in asked], list(asked.values()), levels)
            answers = dict(zip(asked, found, strict=True))
            return [item_scores(answers.get(index, []), errors.get(index)) for index in range(len(items))]

    def submit(self, items: Sequence[ScoreItem], levels: Sequence[str]) -> Complete[list[ItemScores]]:
        """`score`, as a result for the worker."""
        return Complete(self.score(items, levels))

    def submit_encode(self, clip: str, first: int, pixels: Tensor) -> Complete[int]:
        """Raises InvalidInput: the tokens of a clip depend on all of its frames."""
        raise InvalidInput(f"Models of transformers take clips whole, with at most {MOST_FRAMES} frames.")

    def generate(self, items: Sequence[ScoreItem], max_new_tokens: int) -> list[ItemTexts]:
        """Raises InvalidInput: the engine only scores."""
        raise InvalidInput("Models of transformers do not generate text in qalign; they only score.")

    def _prepared(self, item: ScoreItem, levels: Sequence[str]) -> tuple[Pictures, list[Asked]]:
        visuals = [_checked(visual) for visual in item.visuals]
        frames = [len(visual) for visual in visuals]
        if sum(frames) > MOST_FRAMES:
            raise InvalidInput(
                f"The item has {sum(frames)} frames; models of transformers take at most {MOST_FRAMES}. "
                "Use fewer frames (--max-frames)."
            )
        if not item.prompts:
            raise InvalidInput("The item has no prompts.")
        pictures = self._preparing.prepare(visuals)
        return pictures, [self._asked(prompt, frames, pictures, levels) for prompt in item.prompts]

    def _asked(self, prompt: object, frames: Sequence[int], pictures: Pictures, levels: Sequence[str]) -> Asked:
        if not isinstance(prompt, ChatPrompt):
            raise InvalidInput(
                "Models of transformers need the stem of the answer in every prompt, and no frame range."
            )
        rendered = self._chat.render(prompt, frames)
        ids = self._encode(with_pictures(rendered, self._processor.image_token, pictures.texts))
        longest = self.info.max_positions
        if longest is not None and len(ids) > longest:
            raise InvalidInput(
                f"A prompt has {len(ids)} positions, but the model reads at most {longest}; use fewer frames or a "
                "smaller bound of pixels."
            )
        rows = self.engine.vocabulary
        if max(ids) >= rows:
            raise CheckpointError(
                f"The tokenizer makes the token {max(ids)}, but the model has only {rows}; download its files again."
            )
        return Asked(rendered, ids, self._levels.find(rendered, levels, self._encode, self._encode_word))

    def _encode(self, text: str) -> list[int]:
        return encode_text(self._processor.tokenizer, text)

    def _encode_word(self, word: str) -> list[int]:
        return encode_word(self._processor.tokenizer, word)

    def _answers(
        self, pictures: Sequence[Pictures], asked: Sequence[Sequence[Asked]], levels: Sequence[str]
    ) -> list[list[PromptScore]]:
        features = self.engine.encode(pictures)
        questions: list[Question] = []
        for prepared, seen, prompts in zip(pictures, features, asked, strict=True):
            for prompt in prompts:
                for tail, wanted in self._readings(prompt, levels):
                    ids = [*prompt.ids, *tail]
                    types = self._processor.create_mm_token_type_ids([ids])[0]
                    questions.append(Question(ids, types, prepared.grids, seen, wanted))
        readings = iter(self.engine.ask(questions))
        return [[self._scored(prompt, levels, readings) for prompt in prompts] for prompts in asked]

    def _readings(self, prompt: Asked, levels: Sequence[str]) -> list[tuple[list[int], list[list[int]]]]:
        """The sequences of a prompt: the tokens after its own, and the tokens that are read at the last positions."""
        if not self._levels.whole_words:
            return [([], [[prompt.levels[word][0] for word in levels]])]
        return [(prompt.levels[word][:-1], [[token] for token in prompt.levels[word]]) for word in levels]

    def _scored(self, prompt: Asked, levels: Sequence[str], readings: Any) -> PromptScore:
        if self._levels.whole_words:
            sums = [sum(one.logits[0] - one.log_sum_exp for one in next(readings)) for _ in levels]
            return PromptScore(sums, 0.0, len(prompt.ids), prompt.rendered, prompt.levels)
        only: Reading = next(readings)[0]
        return PromptScore(only.logits, only.log_sum_exp, len(prompt.ids), prompt.rendered, prompt.levels)


def _checked(visual: Tensor | ClipRange) -> Tensor:
    if isinstance(visual, ClipRange):
        raise InvalidInput(f"Models of transformers take clips whole, with at most {MOST_FRAMES} frames.")
    if visual.dtype != uint8 or visual.dim() != 4 or visual.shape[3] != 3 or not visual.numel():
        raise InvalidInput(
            f"A visual is {visual.dtype} {list(visual.shape)}; the model takes uint8 [frames, height, width, 3]."
        )
    return visual
