"""Reads the pixels and labels that TypeScript prepared: `manifest.json`, `<split>.jsonl`, `<split>.pixels`.

The pixel file is flat uint8 [F, V·P, P, 3] and memory-mapped, so training neither decodes pictures nor holds the
dataset in memory. Crops, flips and normalisation happen here. All other preprocessing is already done.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qalign.mplug_owl2.config import ONE_VIEW
from qalign.mplug_owl2.tokenizer import Tokenizer

from ..errors import TrainingError
from .conversation import Conversation, build_conversation, training_prompt

DISTORTIONS = "distortions"  # dataset name of the series that TypeScript adds


@dataclass(frozen=True)
class Item:
    """One record. `order` is the position in its `series` of falling quality (0 is best), or -1 outside a series. For
    an answer without a level word, `lead` are the ids before its last word, the written score."""

    id: str
    conversation: Conversation
    first_frame: int
    frames: int
    dataset: str
    mos: float
    mos_std: float
    level_probs: tuple[float, ...] | None
    series: str | None
    order: int
    lead: tuple[int, ...]

    @property
    def family(self) -> str | None:
        """The family of a prepared series of distortions, which is named PICTURE#FAMILY. None for other items."""
        return self.series.rpartition("#")[2] if self.series is not None and self.dataset == DISTORTIONS else None

    @property
    def unrated(self) -> bool:
        """Whether the item has no rating, only a position in a series. Its level word is then not supervised."""
        return self.series is not None and self.mos != self.mos and self.level_probs is None


class PreparedSplit:
    """A split on disk. `size` is the side of its prepared views in pixels, `views` are those of a frame."""

    def __init__(self, folder: Path, split: str, tokenizer: Tokenizer) -> None:
        self.folder, self.name = folder, split
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        entry = manifest["splits"][split]
        self.sha256: str = entry["sha256"]
        self.size: int = entry["size"]
        self.views = tuple(entry.get("views", ONE_VIEW))
        self.items = [_item(json.loads(line), tokenizer) for line in (folder / f"{split}.jsonl").open(encoding="utf-8")]
        frames = max((item.first_frame + item.frames for item in self.items), default=0)  # items can share frames
        file = folder / f"{split}.pixels"
        shape = (frames, len(self.views) * self.size, self.size, 3)
        expected = math.prod(shape)
        if not file.is_file() or file.stat().st_size != expected:
            raise TrainingError(
                "TRAINING_DATA_INVALID",
                f"{file} does not have the {expected} bytes that its manifest states; prepare the data again.",
            )
        self.pixels = np.memmap(file, np.uint8, "r", shape=shape) if frames else np.zeros(shape, np.uint8)

    def frames_of(self, item: Item) -> np.ndarray:
        """The item's frames, uint8 [F, V·P, P, 3], as a view of the file."""
        return self.pixels[item.first_frame : item.first_frame + item.frames]


def row_fields(row: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an item that are in its row, for every model family."""
    probs = row.get("level_probs")
    return {
        "id": row["id"],
        "first_frame": row["first_frame"],
        "frames": row["frames"],
        "dataset": row["dataset"],
        "mos": row.get("mos", float("nan")),
        "mos_std": row.get("mos_std", 0.0),
        "level_probs": tuple(probs) if probs is not None else None,
        "series": row.get("series"),
        "order": row.get("order", -1),
    }


def _item(row: dict, tokenizer: Tokenizer) -> Item:
    prompt = row["prompt"] if "prompt" in row else training_prompt(row["question"])
    conversation = build_conversation(tokenizer, prompt, row["answer"], row.get("level"))
    before = f"{prompt} {' '.join(row['answer'].split()[:-1])}".rstrip()
    return Item(
        **row_fields(row),
        conversation=conversation,
        lead=tokenizer.encode(before) if conversation.level_at < 0 else (),
    )


def augment(frames: np.ndarray, size: int, flip: bool, random: np.random.Generator | None) -> Tensor:
    """uint8 [F, V·P, P, 3] → contiguous uint8 [F, V·S, S, 3]: a crop at the prepared scale, an optional mirror image.

    With V > 1, P is S. Neither changes quality. All frames of a clip get the same crop. Without `random`: the
    unmirrored centre.
    """
    room = frames.shape[2] - size
    top, left = (room // 2, room // 2) if random is None else random.integers(0, room + 1, 2)
    cut = frames[:, top : top + frames.shape[1] - room, left : left + size]
    if random is not None and flip and random.random() < 0.5:
        cut = cut[:, :, ::-1]
    return torch.from_numpy(np.array(cut))
