"""Captures a scoring pass as a CUDA graph."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from .engine import Engine, Question
from .memory import give_back


class Graph(Protocol):
    """Recorded work, like torch.cuda.CUDAGraph."""

    def replay(self) -> None: ...


@dataclass(frozen=True)
class Captured:
    graph: Graph
    frames: Tensor  # uint8 [F, V·S, S, 3], the input
    answer: Tensor  # fp32 [questions, levels + 1]
    held: list  # keeps prefix keys and values and tables alive, which the graph reads


class Capturer(Protocol):
    def __call__(self, questions: Sequence[Question], level_ids: Tensor) -> Captured:
        """A pass over these questions, whose frames begin at 0. Raises RuntimeError when the capture fails."""

    def recover(self) -> None:
        """Return the memory of a failed capture. Raises the error of a device that no longer works."""


@contextmanager
def without_collection() -> Iterator[None]:
    """Prevent the collector from deleting a graph of a freed model, which CUDA refuses while it captures."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class CudaCapturer:
    """Captures with one stream and one pool of memory for all graphs.

    cuBLAS keeps a workspace (32 MB on an H100) for every stream that it has used. Graphs can share memory, because
    replays and the copies of their answers run in order on one stream.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._stream = torch.cuda.Stream(engine.device)
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, questions: Sequence[Question], level_ids: Tensor) -> Captured:
        engine, side = self._engine, self._stream
        count = max(question.first_frame + question.layout.frames for question in questions)
        frames = torch.zeros(count, *engine.config.frame_shape, dtype=torch.uint8, device=engine.device)
        passes = engine.chunks(questions)
        order = torch.tensor([index for chunk in passes for index in chunk], device=engine.device).argsort()

        def compute() -> Tensor:
            features = engine.features(frames)
            rows = [engine.ask([questions[index] for index in chunk], features, level_ids) for chunk in passes]
            return torch.cat(rows).index_select(0, order)

        side.wait_stream(torch.cuda.current_stream(engine.device))
        with torch.cuda.stream(side):  # creates prefix, tables and cuBLAS workspaces outside the capture
            for _ in range(2):
                compute()
        torch.cuda.current_stream(engine.device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        current = torch.cuda.current_stream(engine.device)
        # `current` is restored here too, because a capture that torch cannot end leaves its own stream current
        with without_collection(), torch.cuda.stream(current), torch.cuda.graph(graph, pool=self._pool, stream=side):
            answer = compute()
        plans = [engine.plan([questions[index] for index in chunk]) for chunk in passes]
        return Captured(graph, frames, answer, [*plans, order, level_ids])

    def recover(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()  # torch can hold the old one as still in use
        give_back()
        torch.cuda.synchronize(self._engine.device)
