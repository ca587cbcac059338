"""What a scorer of any family is asked and what it answers, and the device and precision that it computes with."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from .errors import ConfigError, DeviceUnavailable, ModelError
from .tensors import DTYPES


@dataclass(frozen=True)
class ClipRange:
    """`frames` frames of a clip whose features are kept, from its frame number `first` on."""

    clip: str
    first: int
    frames: int

    def __len__(self) -> int:
        return self.frames


@dataclass(frozen=True)
class ScoreItem:
    """`visuals[k]` stands where the k-th image marker of every prompt is: uint8 [F, S, S, 3] on the CPU, or a range."""

    visuals: Sequence[Tensor | ClipRange]
    prompts: list[str]


@dataclass(frozen=True)
class PromptScore:
    """fp32 logits of the levels, in the order asked, and the log-sum-exp over the whole vocabulary.

    `positions` is what prompt and visuals took of the sequence.
    """

    logits: list[float]
    log_sum_exp: float
    positions: int


@dataclass(frozen=True)
class ItemScores:
    """One score per prompt, or the error of this item alone: a bad item never fails its batch."""

    prompts: list[PromptScore]
    error: ModelError | None = None


@dataclass(frozen=True)
class Generated:
    """The text after the prompt, how many tokens it took, and whether the model ended it by itself."""

    text: str
    tokens: int
    finished: bool


@dataclass(frozen=True)
class ItemTexts:
    """One text per prompt, or the error of this item alone."""

    prompts: list[Generated]
    error: ModelError | None = None


@dataclass(frozen=True)
class ModelInfo:
    """What a score depends on. `image_size` in pixels, `parameters` a count, `revision` the hub's commit or "local".

    `max_positions` is the longest sequence that the model was made for, None where its config.json does not say.
    `weights_sha256` is over the weight files, and over other files that change the scores of the same weights.
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
    level_token_ids: dict[str, int] = field(default_factory=dict)


def pick_device(name: str) -> torch.device:
    """'cpu' or 'cuda:N' → the device. Raises DeviceUnavailable, saying how many CUDA devices there are."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceUnavailable(f"{name!r} is not a device name; use cpu or cuda:N.") from error
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise DeviceUnavailable(f"{name} does not exist: this host has {count} CUDA devices that torch can use.")
        return torch.device("cuda", device.index or 0)
    if device.type != "cpu":
        raise DeviceUnavailable(f"{name!r} is not supported; use cpu or cuda:N.")
    return torch.device("cpu")


def pick_precision(name: str, device: torch.device) -> str:
    """The precision that `auto` means on this device, or `name` itself. Raises ConfigError for an unknown one."""
    if name == "auto":
        return "bf16" if device.type == "cuda" else "fp32"
    if name not in DTYPES:
        raise ConfigError(f"precision is {name!r}; use auto, {', '.join(DTYPES)}.")
    return name
