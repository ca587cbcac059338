"""The source of every position of a prompt, computed once from its ids, so that no tensor is searched for markers."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from qalign.weights.errors import InvalidInput

from ..model import IMAGE_TOKEN

TEXT, IMAGE = 0, 1


@dataclass(frozen=True)
class Layout:
    """The positions of one prompt with visuals of given lengths.

    `prefix` is the text before the first picture. It is the same for every item, so its keys and values are computed
    once. `segments` describe the rest: (kind, start, stop), rows of the item's text block or of its image block.
    """

    prefix: tuple[int, ...]
    text: tuple[int, ...]  # ids of the text rows after the prefix
    segments: tuple[tuple[int, int, int], ...]
    image_rows: int
    frames: int

    @property
    def rows(self) -> int:
        """Positions computed for each item: all except the prefix."""
        return self.image_rows + len(self.text)

    @property
    def length(self) -> int:
        """Positions of the whole sequence."""
        return len(self.prefix) + self.rows

    @property
    def last(self) -> tuple[int, int]:
        """The kind of the last position and its row in that block."""
        kind, _, stop = self.segments[-1]
        return kind, stop - 1


@lru_cache(maxsize=4096)
def plan_layout(ids: tuple[int, ...], frames: tuple[int, ...], tokens_per_frame: int) -> Layout:
    """Token ids with one IMAGE_TOKEN per visual, and the frame count of each visual → Layout. Raises InvalidInput."""
    markers = ids.count(IMAGE_TOKEN)
    if markers != len(frames):
        raise InvalidInput(f"The prompt has {markers} image markers and the item has {len(frames)} visuals.")
    if not ids:
        raise InvalidInput("The prompt is empty.")
    start = ids.index(IMAGE_TOKEN) if markers else len(ids) - 1
    text: list[int] = []
    segments: list[tuple[int, int, int]] = []
    image_rows, visual = 0, 0
    for token in ids[start:]:
        if token == IMAGE_TOKEN:
            count = frames[visual] * tokens_per_frame
            _extend(segments, IMAGE, image_rows, count)
            image_rows, visual = image_rows + count, visual + 1
        else:
            _extend(segments, TEXT, len(text), 1)
            text.append(token)
    return Layout(ids[:start], tuple(text), tuple(segments), image_rows, sum(frames))


def prefix_layout(ids: Sequence[int]) -> Layout:
    """The layout of a constant prefix alone."""
    return Layout((), tuple(ids), ((TEXT, 0, len(ids)),), 0, 0)


def _extend(segments: list[tuple[int, int, int]], kind: int, start: int, count: int) -> None:
    if segments and segments[-1][0] == kind and segments[-1][2] == start:
        segments[-1] = (kind, segments[-1][1], start + count)
    else:
        segments.append((kind, start, start + count))
