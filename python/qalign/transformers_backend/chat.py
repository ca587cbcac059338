"""A question and its stem → the text of the model's own chat template, with one placeholder for each picture."""

from collections.abc import Mapping, Sequence
from typing import Any

from qalign.weights.answers import ChatPrompt
from qalign.weights.errors import ConfigError, InvalidInput

from .library import refusing

MARKER = "<|image|>"  # in the messages of the bridge, for every family
THINKING = "enable_thinking"
SAID = "qalign-answer"  # stands for an answer


class Chat:
    """Renders questions with a chat template of Jinja."""

    def __init__(
        self,
        tokenizer: Any,
        template: str | None,
        placeholder: str,
        system: str | None = None,
        thinking: bool | str = False,
    ) -> None:
        """`placeholder` is the text that the template writes for a picture.

        With `thinking` False, the template gets enable_thinking false; with "default", it does not get this option.
        Raises ConfigError without a template.
        """
        if not isinstance(template, str) or not template:
            raise ConfigError(
                "The model has no chat template (chat_template.jinja, chat_template.json or a key of "
                "tokenizer_config.json), so it cannot be asked. Use a checkpoint that was tuned for chats."
            )
        self.template = template
        self._tokenizer, self._placeholder, self._system = tokenizer, placeholder, system
        self._options = {THINKING: False} if thinking is False and THINKING in template else {}
        added = (str(token) for token in tokenizer.added_tokens_decoder.values() if token.special)
        self._control = sorted({placeholder, *tokenizer.all_special_tokens, *added} - {""})

    def render(self, prompt: ChatPrompt, frames: Sequence[int]) -> str:
        """The text of system, user and the begun answer. `frames` are the pictures of each visual, in order.

        Raises InvalidInput if markers and visuals differ, or a text contains a control token. Raises ConfigError if the
        template does not take messages of text and pictures.
        """
        parts = prompt.text.split(MARKER)
        if len(parts) != len(frames) + 1:
            raise InvalidInput(f"A prompt has {len(parts) - 1} image markers, but the item has {len(frames)} visuals.")
        self._refuse_control(prompt.text.replace(MARKER, ""))
        self._refuse_control(prompt.stem)
        messages = [{"role": "user", "content": _content(parts, frames)}]
        if self._system is not None:
            messages.insert(0, {"role": "system", "content": [{"type": "text", "text": self._system}]})
        rendered = self._apply(messages) + prompt.stem
        found, wanted = rendered.count(self._placeholder), sum(frames)
        if found != wanted:
            raise InvalidInput(
                f"The chat template made {found} placeholders {self._placeholder!r} for {wanted} pictures; "
                "the texts must not contain it."
            )
        return rendered

    def _refuse_control(self, text: str) -> None:
        """A control token in a text would change turns or pictures of the chat."""
        found = next((token for token in self._control if token in text), None)
        if found is not None:
            raise InvalidInput(f"The prompt contains {found!r}, which is a control token of the model; remove it.")
        if not text.isascii() and any("\ud800" <= sign <= "\udfff" for sign in text):
            raise InvalidInput("The prompt contains half of a surrogate pair, which is not text; remove it.")

    def ending(self) -> str:
        """What the template writes after an answer, without white space: for training. Raises ConfigError."""
        said = [{"type": "text", "text": SAID}]
        asked = [{"type": "text", "text": "?"}]
        text = self._apply([{"role": "user", "content": asked}, {"role": "assistant", "content": said}], begin=False)
        if text.count(SAID) != 1:
            raise ConfigError("The chat template of the model does not write answers, so it cannot be taught.")
        found = text.rpartition(SAID)[2].strip() or self._tokenizer.eos_token
        if not found:
            raise ConfigError("The chat template and the tokenizer of the model name no end of an answer.")
        return str(found)

    def _apply(self, messages: list[dict[str, Any]], begin: bool = True) -> str:
        remedy = "Correct chat_template.jinja, or use a checkpoint that was tuned for chats with pictures."
        with refusing("The chat template of the model refuses the question", remedy):
            text = self._tokenizer.apply_chat_template(
                messages, chat_template=self.template, tokenize=False, add_generation_prompt=begin, **self._options
            )
            return str(text)


def chat_of(processor: Any, settings: Mapping[str, Any]) -> Chat:
    """The chat of a processor of the library: its own template, or that of its tokenizer.

    `settings` has the keys of ChatSettings. Raises ConfigError.
    """
    template = processor.chat_template or processor.tokenizer.chat_template
    system, thinking = settings.get("system"), settings.get("thinking", False)
    return Chat(processor.tokenizer, template, processor.image_token, system, thinking)


def with_pictures(rendered: str, placeholder: str, texts: Sequence[str]) -> str:
    """Replace the placeholder of each picture by the text of its tokens."""
    first, *others = rendered.split(placeholder)
    return "".join([first, *(text + part for text, part in zip(texts, others, strict=True))])


def encode_text(tokenizer: Any, text: str) -> list[int]:
    """A rendered text → ids. A text that begins with the token of the beginning gets no second one."""
    begins = tokenizer.bos_token is not None and text.startswith(tokenizer.bos_token)
    return list(tokenizer(text, add_special_tokens=not begins)["input_ids"])


def encode_word(tokenizer: Any, word: str) -> list[int]:
    """A text that stands alone → ids."""
    return list(tokenizer(word, add_special_tokens=False)["input_ids"])


def _content(parts: Sequence[str], frames: Sequence[int]) -> list[dict[str, str]]:
    """Texts and pictures of a message, in order. A clip is one visual and becomes consecutive pictures."""
    content: list[dict[str, str]] = []
    for index, part in enumerate(parts):
        if part:
            content.append({"type": "text", "text": part})
        if index < len(frames):
            content += [{"type": "image"} for _ in range(frames[index])]
    return content
