"""Results that the device still computes, so that the next request can be enqueued before this one is read."""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

from .staging import Event

T = TypeVar("T")
U = TypeVar("U")
Rows = list[list[float]]


class Pending(Generic[T]):
    """A result that is read at most once. Without an event it is complete."""

    def __init__(self, read: Callable[[], T], done: Event | None = None) -> None:
        self._read, self._done = read, done

    def ready(self) -> bool:
        """Whether `result` returns without waiting. Raises errors of the device."""
        return self._done is None or self._done.query()

    def then(self, read: Callable[[], U]) -> "Pending[U]":
        """The result of `read`, which must read this one, at the same time."""
        return Pending(read, self._done)

    def result(self) -> T:
        """Wait for the device. Raises its errors."""
        if self._done is not None:
            self._done.synchronize()
        return self._read()


class ReadBack:
    """Copies answers to kept host buffers without waiting for the device."""

    def __init__(self, host: Callable[[int], Tensor], mark: Callable[[], Event]) -> None:
        """`host` allocates uint8 [n] that the device can write to; `mark` is the end of all enqueued work."""
        self._host, self._mark = host, mark
        self._free: list[Tensor] = []

    def begin(self, rows: Tensor) -> Pending[Rows]:
        """fp32 [n, columns] on the device → its rows."""
        size = rows.numel() * rows.element_size()
        buffer = self._free.pop() if self._free else None
        if buffer is None or len(buffer) < size:
            buffer = self._host(max(size, 4096))
        landed = buffer[:size].view(torch.float32).view(rows.shape)
        landed.copy_(rows, non_blocking=True)

        def read() -> Rows:
            values = landed.tolist()
            self._free.append(buffer)
            return values

        return Pending(read, self._mark())
