"""CUDA graphs for small batches, where launching a thousand kernels takes longer than running them."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence

from torch import Tensor

from .capture import Captured, Capturer
from .engine import Question
from .layout import Layout

BUCKETS = (1, 2, 4, 8)  # items; a smaller batch leaves the remaining slots of its bucket unused
FRAMES = 8  # above this, kernels run long enough to hide their launches
KEPT = 16
SEEN = 1024
Key = tuple[tuple[Layout, ...], int, int]  # layouts of one item, items, address of the level ids
log = logging.getLogger(__name__)


def shared_layouts(questions: Sequence[Question]) -> tuple[Layout, ...] | None:
    """The layouts of one item, if every item has the same ones and items follow each other; None otherwise.

    A prompt about a part of an item's frames never shares a graph.
    """
    count = sum(question.first_frame == questions[0].first_frame for question in questions)
    layouts = tuple(question.layout for question in questions[:count])
    frames = layouts[0].frames
    if not frames or len(questions) % count or any(layout.frames != frames for layout in layouts):
        return None
    if not all(question.whole for question in questions):
        return None
    for index, question in enumerate(questions):
        if question.layout != layouts[index % count] or question.first_frame != index // count * frames:
            return None
    return layouts


def item_questions(layouts: tuple[Layout, ...], items: int) -> list[Question]:
    """The questions of `items` items in their order: the inverse of `shared_layouts`."""
    return [Question(layout, item * layout.frames) for item in range(items) for layout in layouts]


class GraphCache:
    """Replays a whole scoring pass, from bytes to logits, per layouts and bucket. Without `capture` it does nothing."""

    def __init__(self, capture: Capturer | None, put: Callable[[Sequence[Tensor], Tensor], None]) -> None:
        """`put` copies frames to a tensor of the device, in the order of its computations."""
        self._capture, self._put = capture, put
        self.enabled = capture is not None
        self.captured: OrderedDict[Key, Captured] = OrderedDict()
        self.seen: set[Key] = set()
        self.failed: set[Key] = set()

    def answer(self, questions: list[Question], visuals: list[Tensor], level_ids: Tensor) -> Tensor | None:
        """fp32 [questions, levels + 1], or None when this batch does not run as a graph.

        The next call overwrites the answer, so its copy must be enqueued before.
        """
        if not self.enabled or not visuals:
            return None
        layouts = shared_layouts(questions)
        items = len(questions) // len(layouts) if layouts else 0
        if not layouts or items > BUCKETS[-1]:
            return None
        bucket = next(size for size in BUCKETS if size >= items)
        if bucket * layouts[0].frames > FRAMES:
            return None
        key = (layouts, bucket, level_ids.data_ptr())
        if key not in self.captured and not (self._again(key) and self.prepare(layouts, bucket, level_ids)):
            return None
        self.captured.move_to_end(key)
        held = self.captured[key]
        self._put(visuals, held.frames[: sum(map(len, visuals))])
        held.graph.replay()
        return held.answer[: len(questions)]

    def prepare(self, layouts: tuple[Layout, ...], bucket: int, level_ids: Tensor) -> bool:
        """Capture a shape that has no graph. → whether it has one now. A shape that failed is not tried again.

        Raises errors of a device that no longer works.
        """
        key = (layouts, bucket, level_ids.data_ptr())
        if self._capture is None or key in self.failed:
            return False
        if key in self.captured:
            return True
        try:
            self.captured[key] = self._capture(item_questions(layouts, bucket), level_ids)
        except RuntimeError as error:  # out of memory too
            self.failed.add(key)
            log.warning(
                "a batch of %d items with %d prompts each runs without a CUDA graph, because its capture failed: %s",
                *(bucket, len(layouts), str(error)),
            )
        if key in self.failed:  # after the handler, whose traceback holds the memory of the capture
            self._capture.recover()
            return False
        if len(self.captured) > KEPT:
            self.captured.popitem(last=False)
        return True

    def _again(self, key: Key) -> bool:
        """Whether this shape was used before. Many shapes occur only once, and a capture takes as long as three."""
        if key in self.seen:
            return True
        if len(self.seen) >= SEEN:
            self.seen.clear()
            self.failed.clear()
        self.seen.add(key)
        return False
