"""CUDA graphs for small batches, where launching a thousand kernels takes longer than running them."""

import logging
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor

from .engine import Engine, Question
from .layout import Layout

BUCKETS = (1, 2, 4, 8)  # items; a smaller batch leaves the remaining slots of its bucket unused
FRAMES = 8  # above this, kernels run long enough to hide their launches
KEPT = 12
SEEN = 1024
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Captured:
    graph: "torch.cuda.CUDAGraph"
    frames: Tensor  # uint8 [F, S, S, 3], the input
    answer: Tensor  # fp32 [B, levels + 1]
    held: list  # keeps prefix keys and values and tables alive, which the graph reads


class GraphCache:
    """Replays a whole scoring pass, from bytes to logits, per layout and bucket. It does nothing on a CPU."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.enabled = engine.device.type == "cuda"
        # one stream for all captures: cuBLAS keeps a workspace (32 MB on an H100) for every stream it has used
        self.stream = torch.cuda.Stream(engine.device) if self.enabled else None
        self.captured: OrderedDict[tuple, Captured] = OrderedDict()
        self.seen: set[tuple] = set()

    def answer(self, questions: list[Question], visuals: list[Tensor], level_ids: Tensor) -> Tensor | None:
        """fp32 [questions, levels + 1], or None when this batch does not run as a graph."""
        if not self.enabled or not visuals or len(questions) > BUCKETS[-1]:
            return None
        layout = questions[0].layout
        one_each = all(
            question.layout == layout and question.first_frame == index * layout.frames
            for index, question in enumerate(questions)
        )
        bucket = next(size for size in BUCKETS if size >= len(questions))
        if not one_each or not layout.frames or bucket * layout.frames > FRAMES:
            return None
        key = (layout, bucket, level_ids.data_ptr())
        if key not in self.captured:
            if key not in self.seen:  # capture at the second use: many shapes occur only once
                if len(self.seen) >= SEEN:
                    self.seen.clear()
                self.seen.add(key)
                return None
            if not self._capture(key, layout, bucket, level_ids):
                return None
        self.captured.move_to_end(key)
        held = self.captured[key]
        flat = torch.cat(visuals).pin_memory()
        held.frames[: len(flat)].copy_(flat, non_blocking=True)
        held.graph.replay()
        return held.answer[: len(questions)]

    def _capture(self, key: tuple, layout: Layout, bucket: int, level_ids: Tensor) -> bool:
        engine = self.engine
        size = engine.config.image_size
        frames = torch.zeros(bucket * layout.frames, size, size, 3, dtype=torch.uint8, device=engine.device)
        questions = [Question(layout, index * layout.frames) for index in range(bucket)]

        def compute() -> Tensor:
            return engine.ask(questions, engine.features(frames), level_ids)

        try:
            side = self.stream
            side.wait_stream(torch.cuda.current_stream(engine.device))
            with torch.cuda.stream(side):  # creates prefix, tables and cuBLAS workspaces outside the capture
                for _ in range(2):
                    compute()
            torch.cuda.current_stream(engine.device).wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.device(engine.device), torch.cuda.graph(graph, stream=side):
                answer = compute()
        except RuntimeError as error:
            self.enabled = False
            self.captured.clear()
            log.warning("CUDA graphs are off; scoring continues without them: %s", error)
            return False
        group, text = engine.language.group(layout, bucket)
        self.captured[key] = Captured(graph, frames, answer, [group, text, level_ids])
        if len(self.captured) > KEPT:
            self.captured.popitem(last=False)
        return True
