"""Pictures → the tensors of a family's vision encoder and the texts of their placeholders, as its processor makes them.

`SmartPictures` gets pictures that Node has resized, and keeps them as bytes until they are on the device.
`NativePictures` gets pictures at their own size, and runs the family's image processor with Pillow.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from qalign.weights.errors import ConfigError, InvalidInput

from .families import Family

# Settings of a smart image processor that Node assumes.
SMART = {"do_resize": True, "do_rescale": True, "do_normalize": True, "do_convert_rgb": True, "resample": 3}
# Sizes of a smart image processor that qalign computes with, and their largest values.
PATCHES = {"patch_size": 256, "merge_size": 16, "temporal_patch_size": 16}
# What vision encoders take of the results of image processors.
ENCODED = ("pixel_values", "pixel_attention_mask", "image_sizes", "batch_num_images")


@dataclass(frozen=True)
class Pictures:
    """The prepared pictures of an item: the text that replaces each placeholder, and the inputs of the encoder.

    `frames` are uint8 [F, H, W, 3] of smart pictures; `tensors` are inputs of other encoders. `size` is the number of
    values that the encoder gets, and `grids` the patches of each picture as (1, rows, columns).
    """

    texts: list[str]
    size: int
    frames: Sequence[Tensor] = ()
    tensors: dict[str, Tensor] | None = None
    grids: Sequence[tuple[int, int, int]] = ()


class Preparing(Protocol):
    """Prepares the visuals of an item, uint8 [F, H, W, 3] each. Raises InvalidInput."""

    preparation: dict[str, Any]
    image_size: int

    def prepare(self, visuals: Sequence[Tensor]) -> Pictures: ...


class SmartPictures:
    """Patches of Qwen's vision encoders, from pictures whose sides are multiples of `multiple` pixels."""

    def __init__(self, processor: Any) -> None:
        images = processor.image_processor
        wrong = [f"{key} is {getattr(images, key)!r}" for key, value in SMART.items() if getattr(images, key) != value]
        if wrong:
            raise ConfigError(
                f"The image processor does not describe pictures that qalign prepares: {', '.join(wrong)}; "
                f"supported is {SMART}."
            )
        self.patch, self.merge, self.times = (_whole(images, key, most) for key, most in PATCHES.items())
        self.multiple = self.patch * self.merge
        require_normalisation(images)
        least, most = images.size.get("shortest_edge"), images.size.get("longest_edge")
        if not (isinstance(least, int) and isinstance(most, int) and 0 < least <= most):
            raise ConfigError(
                f"The least pixels of a picture are {least!r} and the most {most!r}; correct these bounds: pixels of "
                "the model file, or size.shortest_edge and size.longest_edge of preprocessor_config.json."
            )
        self.preparation = {
            "kind": "smart",
            "multiple": self.multiple,
            "min_pixels": least,
            "max_pixels": most,
        }
        self.image_size = max(1, round(most**0.5))
        self.table = pixel_table(images)
        self._placeholder = processor.image_token

    def prepare(self, visuals: Sequence[Tensor]) -> Pictures:
        frames = [frame for visual in visuals for frame in visual.split(1)]
        for frame in frames:
            height, width = frame.shape[1:3]
            if height % self.multiple or width % self.multiple:
                raise InvalidInput(
                    f"A picture has {width} x {height} pixels; this model takes sides that are multiples of "
                    f"{self.multiple}."
                )
        grids = [(1, frame.shape[1] // self.patch, frame.shape[2] // self.patch) for frame in frames]
        texts = [self._placeholder * (rows * columns // self.merge**2) for _, rows, columns in grids]
        return Pictures(texts, sum(frame.numel() for frame in frames) * self.times, frames, grids=grids)

    def patches(self, frame: Tensor) -> Tensor:
        """uint8 [1, H, W, 3] → normalised fp32 [patches, 3 · times · patch · patch], ordered by merged squares."""
        height, width = frame.shape[1:3]
        rows, columns = height // self.multiple, width // self.multiple
        channels = frame[0].permute(2, 0, 1).to(torch.int32)
        table = self.table.to(frame.device)
        offsets = torch.arange(3, dtype=torch.int32, device=frame.device).view(3, 1, 1) * 256
        values = table.view(-1).index_select(0, (channels + offsets).flatten())
        squares = values.view(3, rows, self.merge, self.patch, columns, self.merge, self.patch)
        squares = squares.permute(1, 4, 2, 5, 0, 3, 6).unsqueeze(5)
        shape = (*squares.shape[:5], self.times, *squares.shape[6:])
        return squares.expand(shape).reshape(rows * columns * self.merge**2, -1)


def _whole(images: Any, key: str, most: int) -> int:
    """A setting of an image processor that is a whole number from 1 to `most`. Raises ConfigError."""
    value = getattr(images, key, None)
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most:
        return value
    raise ConfigError(
        f"{key} of the image processor is {value!r}; it must be a whole number from 1 to {most}. "
        "Correct preprocessor_config.json."
    )


def require_normalisation(images: Any) -> None:
    """Raises ConfigError unless the image processor has three finite means and three deviations above zero."""
    for key, least in (("image_mean", -math.inf), ("image_std", 0.0)):
        values = getattr(images, key, None)
        if not (
            isinstance(values, list | tuple) and len(values) == 3 and all(_number(v) and v > least for v in values)
        ):
            what = "numbers" if least < 0 else "numbers above 0"
            raise ConfigError(
                f"{key} of the image processor is {values!r}; it must be three {what}. "
                "Correct preprocessor_config.json."
            )


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def pixel_table(images: Any) -> Tensor:
    """The normalised value of each byte in each channel, fp32 [3, 256], computed by the image processor itself."""
    import numpy as np

    ramp = np.broadcast_to(np.arange(256, dtype=np.uint8), (3, 1, 256))
    values = images.normalize(images.rescale(ramp, images.rescale_factor), images.image_mean, images.image_std)
    return torch.from_numpy(np.ascontiguousarray(np.asarray(values, dtype=np.float32).reshape(3, 256)))


class NativePictures:
    """Tiles of a family's own image processor, with Pillow."""

    preparation: dict[str, Any] = {"kind": "native"}  # noqa: RUF012 – never changed

    def __init__(self, processor: Any) -> None:
        require_normalisation(processor.image_processor)
        self._processor = processor
        merged = processor._merge_kwargs(tokenizer_init_kwargs=processor.tokenizer.init_kwargs, return_tensors="pt")
        self._options = merged["images_kwargs"]
        self.image_size = tile_size(processor.image_processor)

    def prepare(self, visuals: Sequence[Tensor]) -> Pictures:
        from PIL import Image

        pictures = [Image.fromarray(frame.numpy()) for visual in visuals for frame in visual]
        if not pictures:
            return Pictures([], 0)
        found, texts = self._processor._process_images([pictures], **self._options)
        tensors = {name: torch.as_tensor(found[name]) for name in ENCODED if name in found}
        return Pictures(list(texts), tensors["pixel_values"].numel(), tensors=tensors)


def tile_size(images: Any) -> int:
    """The side in pixels of the square that the vision encoder sees. Raises ConfigError if no setting gives it."""
    for size in (getattr(images, "max_image_size", None), images.size):
        for key in ("height", "shortest_edge", "longest_edge"):
            value = size.get(key) if size else None
            if isinstance(value, int) and value > 0:
                return value
    raise ConfigError(f"The image processor has the size {images.size}, which names no side in pixels.")


def preparing_of(family: Family, processor: Any) -> Preparing:
    """How the pictures of a family are prepared. Raises ConfigError for settings that Node does not follow."""
    return SmartPictures(processor) if family.pictures == "smart" else NativePictures(processor)
