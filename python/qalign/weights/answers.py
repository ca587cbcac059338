"""Inputs and outputs of a scorer of any model family, and the choice of its device and precision."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from .codes import CODES
from .errors import ConfigError, DeviceUnavailable, ModelError, NonFinite
from .tensors import DTYPES

PRECISIONS = (*DTYPES, *CODES)  # all that can be requested, beside auto


@dataclass(frozen=True)
class ClipRange:
    """`frames` frames from number `first` on, of a clip whose features are kept on the device."""

    clip: str
    first: int
    frames: int

    def __len__(self) -> int:
        return self.frames


@dataclass(frozen=True)
class FramePrompt:
    """A prompt about the frames [from, to) of an item, counted over all its visuals in order.

    Its image markers are replaced by the visuals that have frames in the range, reduced to those frames.
    """

    text: str
    frames: tuple[int, int]


@dataclass(frozen=True)
class ChatPrompt:
    """A message of a user, for models with a chat template, and the beginning of the answer before the level word."""

    text: str
    stem: str


@dataclass(frozen=True)
class ScoreItem:
    """`visuals[k]` replaces the k-th image marker of every prompt: uint8 [F, V·S, S, 3] on the CPU, or a ClipRange.

    Models with a chat template take uint8 [F, H, W, 3] and a ChatPrompt. For other models, a prompt that is a string is
    about all frames. Text generation takes strings only.
    """

    visuals: Sequence[Tensor | ClipRange]
    prompts: Sequence[str | FramePrompt | ChatPrompt]


@dataclass(frozen=True)
class PromptScore:
    """fp32 logits of the levels, in the requested order, and the log-sum-exp over the whole vocabulary.

    `positions` is the sequence length of prompt and visuals. Models with a chat template also give the `rendered` text
    with one token for each picture, and the token ids of each level. If those have several tokens, `logits` are sums of
    log-probabilities and `log_sum_exp` is 0.
    """

    logits: list[float]
    log_sum_exp: float
    positions: int
    rendered: str | None = None
    level_tokens: dict[str, list[int]] | None = None


@dataclass(frozen=True)
class ItemScores:
    """One score per prompt, or the item's error. A bad item never fails its batch."""

    prompts: list[PromptScore]
    error: ModelError | None = None


def item_scores(prompts: list[PromptScore], error: ModelError | None) -> ItemScores:
    """The scores of an item. Scores that are not finite become its error."""
    if error is None and not all(_finite(score) for score in prompts):
        error = NonFinite("The model produced NaN or infinity for this item; try precision bf16 or fp32.")
    return ItemScores([] if error else prompts, error)


def _finite(score: PromptScore) -> bool:
    return all(abs(value) < float("inf") for value in (*score.logits, score.log_sum_exp))


@dataclass(frozen=True)
class Generated:
    """The generated text, its number of tokens, and whether the model ended it with </s>."""

    text: str
    tokens: int
    finished: bool


@dataclass(frozen=True)
class ItemTexts:
    """One text per prompt, or the item's error."""

    prompts: list[Generated]
    error: ModelError | None = None


@dataclass(frozen=True)
class ModelInfo:
    """What a score depends on. `image_size` is in pixels, and `views` are the squares of a frame from top to bottom.
    `parameters` is the number of parameters, `revision` is the commit of the hub or "local".

    `max_positions` is the model's longest sequence, or None if its config.json does not state it. `weights_sha256` is
    the hash of the weight files and of other files that change the scores of the same weights.

    Only models with a chat template have the last four. `family` is the model_type, `preparation` says who resizes
    pictures, and `processor` is the class that prepares them. `processing_sha256` is a hash of all that turns pixels
    and texts into tokens. Their `image_size` is the side of a typical picture.
    """

    id: str
    revision: str
    weights_sha256: str
    precision: str
    device: str
    image_size: int
    parameters: int
    base: str | None = None
    max_positions: int | None = None
    views: tuple[str, ...] = ("whole",)
    level_token_ids: dict[str, int] = field(default_factory=dict)
    family: str | None = None
    preparation: dict[str, Any] | None = None
    processor: str | None = None
    processing_sha256: str | None = None


def pick_device(name: str) -> torch.device:
    """'cpu' or 'cuda:N' → the device. Raises DeviceUnavailable, with the number of CUDA devices."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceUnavailable(f"{name!r} is not a device name; use cpu or cuda:N.") from error
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise DeviceUnavailable(
                f"{name} does not exist: torch finds {count} CUDA devices on this host. Choose another device."
            )
        return torch.device("cuda", device.index or 0)
    if device.type != "cpu":
        raise DeviceUnavailable(f"{name!r} is not supported; use cpu or cuda:N.")
    return torch.device("cpu")


def pick_precision(name: str, device: torch.device) -> str:
    """The precision that `auto` selects on this device, or `name` itself. Raises ConfigError for an unknown name."""
    if name == "auto":
        return "bf16" if device.type == "cuda" else "fp32"
    if name not in PRECISIONS:
        raise ConfigError(f"precision is {name!r}; it must be one of auto, {', '.join(PRECISIONS)}.")
    return name


def compute_dtype(precision: str) -> torch.dtype:
    """The type of activations and of weights without codes. With codes it is bf16 on every device."""
    return DTYPES.get(precision, torch.bfloat16)
