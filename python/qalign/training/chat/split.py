"""Reads pictures of any size that TypeScript prepared: `manifest.json`, `<split>.jsonl`, `<split>.pixels`.

The pixel file is flat uint8 and memory-mapped. Each row has the `offset` of its frames in bytes, and their `height` and
`width`: the frames are uint8 [F, H, W, 3]. Rows can share frames.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.prepared_split import Item, row_fields
from ..errors import TrainingError
from .conversation import Conversations

LAYOUT = "rectangles"


@dataclass(frozen=True)
class ChatItem(Item):
    """A record whose frames begin at byte `offset` and have `height` x `width` pixels."""

    offset: int
    height: int
    width: int


class ChatSplit:
    """A split on disk, whose pictures have their own sizes."""

    def __init__(
        self,
        folder: Path,
        split: str,
        preparation: Mapping[str, Any],
        conversations: Conversations,
        texts_of: Callable[[int, int, int], Sequence[str]],
    ) -> None:
        """`texts_of(frames, height, width)` are the texts that replace the placeholders of an item's pictures.

        Raises TrainingError if the pixels are missing, or were prepared for another processor.
        """
        self.folder, self.name = folder, split
        entry = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["splits"][split]
        if entry.get("layout") != LAYOUT or entry.get("preparation") != dict(preparation):
            raise TrainingError(
                "TRAINING_DATA_INVALID",
                f"The pictures of {folder} were prepared as {entry.get('preparation') or 'squares'}, but the model "
                f"takes {dict(preparation)}; start a new run.",
            )
        self.sha256: str = entry["sha256"]
        lines = (folder / f"{split}.jsonl").open(encoding="utf-8")
        self.items = [_item(json.loads(line), conversations, texts_of) for line in lines]
        file = folder / f"{split}.pixels"
        expected = max((item.offset + _bytes(item) for item in self.items), default=0)
        if not file.is_file() or file.stat().st_size < expected:
            raise TrainingError(
                "TRAINING_DATA_INVALID",
                f"{file} does not have the {expected} bytes that its rows need; prepare the data again.",
            )
        self.pixels = np.memmap(file, np.uint8, "r") if expected else np.zeros(0, np.uint8)

    def frames_of(self, item: ChatItem) -> np.ndarray:
        """The item's frames, uint8 [F, H, W, 3], as a view of the file."""
        flat = self.pixels[item.offset : item.offset + _bytes(item)]
        return flat.reshape(item.frames, item.height, item.width, 3)


def _bytes(item: ChatItem) -> int:
    return item.frames * item.height * item.width * 3


def _item(
    row: dict[str, Any], conversations: Conversations, texts_of: Callable[[int, int, int], Sequence[str]]
) -> ChatItem:
    conversation = conversations.of(row, texts_of(row["frames"], row["height"], row["width"]))
    return ChatItem(
        **row_fields(row),
        conversation=conversation,
        lead=conversation.lead,
        offset=row["offset"],
        height=row["height"],
        width=row["width"],
    )
