"""CUDA graphs for small batches, where launching a thousand kernels takes longer than running them."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .engine import Engine, Question
from .layout import Layout
from .staging import Staging

BUCKETS = (1, 2, 4, 8)  # items; a smaller batch leaves the remaining slots of its bucket unused
FRAMES = 8  # above this, kernels run long enough to hide their launches
KEPT = 12
SEEN = 1024
Key = tuple[tuple[Layout, ...], int, int]  # layouts of one item, items, address of the level ids
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Captured:
    graph: "torch.cuda.CUDAGraph"
    frames: Tensor  # uint8 [F, S, S, 3], the input
    answer: Tensor  # fp32 [questions, levels + 1]
    held: list  # keeps prefix keys and values and tables alive, which the graph reads


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
    """Replays a whole scoring pass, from bytes to logits, per layouts and bucket. It does nothing on a CPU."""

    def __init__(self, engine: Engine, staging: Staging) -> None:
        self.engine, self._staging = engine, staging
        self.enabled = engine.device.type == "cuda"
        # one stream for all captures: cuBLAS keeps a workspace (32 MB on an H100) for every stream it has used
        self.stream = torch.cuda.Stream(engine.device) if self.enabled else None
        # one memory pool for all graphs: replays and the copies of their answers run in order on one stream
        self.pool = torch.cuda.graph_pool_handle() if self.enabled else None
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
        if key not in self.captured and not self._prepare(key, level_ids):
            return None
        self.captured.move_to_end(key)
        held = self.captured[key]
        self._staging.put(visuals, held.frames[: sum(map(len, visuals))])
        held.graph.replay()
        return held.answer[: len(questions)]

    def _prepare(self, key: Key, level_ids: Tensor) -> bool:
        """Capture at the second use, because many shapes occur only once. A shape that failed is not tried again."""
        if key in self.failed:
            return False
        if key not in self.seen:
            if len(self.seen) >= SEEN:
                self.seen.clear()
                self.failed.clear()
            self.seen.add(key)
            return False
        try:
            self.captured[key] = self._capture(key, level_ids)
        except RuntimeError as error:  # out of memory too
            self.failed.add(key)
            log.warning("this shape runs without a CUDA graph, because its capture failed: %s", error)
            torch.cuda.empty_cache()  # what the capture held is free for the eager pass
            return False
        if len(self.captured) > KEPT:
            self.captured.popitem(last=False)
        return True

    def _capture(self, key: Key, level_ids: Tensor) -> Captured:
        engine = self.engine
        layouts, bucket, _ = key
        size = engine.config.image_size
        frames = torch.zeros(bucket * layouts[0].frames, size, size, 3, dtype=torch.uint8, device=engine.device)
        questions = item_questions(layouts, bucket)
        passes = engine.chunks(questions)
        order = torch.tensor([index for chunk in passes for index in chunk], device=engine.device).argsort()

        def compute() -> Tensor:
            features = engine.features(frames)
            rows = [engine.ask([questions[index] for index in chunk], features, level_ids) for chunk in passes]
            return torch.cat(rows).index_select(0, order)

        side = self.stream
        side.wait_stream(torch.cuda.current_stream(engine.device))
        with torch.cuda.stream(side):  # creates prefix, tables and cuBLAS workspaces outside the capture
            for _ in range(2):
                compute()
        torch.cuda.current_stream(engine.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(engine.device), torch.cuda.graph(graph, pool=self.pool, stream=side):
            answer = compute()
        plans = [engine.plan([questions[index] for index in chunk]) for chunk in passes]
        return Captured(graph, frames, answer, [*plans, order, level_ids])
