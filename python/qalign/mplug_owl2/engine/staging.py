"""Kept buffers between received frames and the device: each frame is copied once on the host.

Fresh memory would cost more than the copy, because the system clears every page of it.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

SLOTS = 2  # one is filled while the device reads the other
KEPT_BYTES = 64 << 20  # 64 pictures of 512 px take 50 MB; larger buffers are freed after their use


class Event(Protocol):
    """A point in the work of a device, like torch.cuda.Event."""

    def query(self) -> bool: ...
    def synchronize(self) -> None: ...


class Lanes(Protocol):
    """The two queues of a device that work at the same time: copies of frames, and computations."""

    def host(self, size: int) -> Tensor:
        """uint8 [size] on the host, from which copies do not block."""

    def room(self, size: int) -> Tensor:
        """uint8 [size] on the device."""

    def send(self, source: Tensor, target: Tensor, after: Event) -> Event:
        """Copy in the queue of copies, after an event. → the end of the copy."""

    def hold(self, event: Event) -> None:
        """Computations that are enqueued from now on wait for `event`."""

    def mark(self) -> Event:
        """The end of all computations that are enqueued now."""


class CudaLanes:
    """The current stream of a CUDA device, and one stream for copies."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._copies = torch.cuda.Stream(device)

    def host(self, size: int) -> Tensor:
        return torch.empty(size, dtype=torch.uint8, pin_memory=True)

    def room(self, size: int) -> Tensor:
        return torch.empty(size, dtype=torch.uint8, device=self._device)

    def send(self, source: Tensor, target: Tensor, after: Any) -> Event:
        self._copies.wait_event(after)
        with torch.cuda.stream(self._copies):
            target.copy_(source, non_blocking=True)
        return self._copies.record_event(torch.cuda.Event(blocking=True))

    def hold(self, event: Any) -> None:
        torch.cuda.current_stream(self._device).wait_event(event)

    def mark(self) -> Event:
        # blocking: a thread that waits for the event sleeps instead of occupying a core
        return torch.cuda.current_stream(self._device).record_event(torch.cuda.Event(blocking=True))


@dataclass
class Slot:
    """A host buffer and its copy on the device. `copied` and `read` are the ends of their last uses."""

    host: Tensor | None = None
    room: Tensor | None = None
    copied: Event | None = None
    read: Event | None = None

    def shrink(self) -> None:
        """Free buffers that are too large to be kept."""
        if self.host is not None and len(self.host) > KEPT_BYTES:
            self.host = None
        if self.room is not None and len(self.room) > KEPT_BYTES:
            self.room = None


class Staging:
    """Brings frames to the device through `SLOTS` buffers in turn. Without lanes (on a CPU) one buffer is enough."""

    def __init__(self, lanes: Lanes | None = None) -> None:
        self._lanes = lanes
        self._slots = [Slot() for _ in range(SLOTS if lanes else 1)]
        self._turn = 0

    @contextmanager
    def frames(self, views: Sequence[Tensor]) -> Iterator[Tensor]:
        """Frames uint8 [F, …] on the device, from tensors [f, …] on the host.

        They are valid for work that is enqueued inside the `with` block; on a CPU only there.
        """
        lanes = self._lanes
        if lanes is None and len(views) == 1:
            yield views[0]
            return
        if lanes is None:
            with self._filled(views) as (_, filled):
                yield filled
            return
        with self._filled(views) as (slot, host):
            flat = host.flatten()
            if slot.room is None or len(slot.room) < len(flat):
                slot.room = lanes.room(len(flat))
                slot.read = lanes.mark()  # the memory can belong to a computation that still runs
            room = slot.room[: len(flat)]
            slot.copied = lanes.send(flat, room, slot.read)
            lanes.hold(slot.copied)
            try:
                yield room.view(host.shape)
            finally:
                slot.read = lanes.mark()

    def put(self, views: Sequence[Tensor], target: Tensor) -> None:
        """Copy frames into a tensor of the device, in the order of its computations."""
        with self._filled(views) as (slot, host):
            target.copy_(host, non_blocking=True)
            if self._lanes is not None:
                slot.copied = self._lanes.mark()

    @contextmanager
    def _filled(self, views: Sequence[Tensor]) -> Iterator[tuple[Slot, Tensor]]:
        """The next slot with its host buffer filled. Never before the last copy from this buffer has ended."""
        slot = self._slots[self._turn]
        self._turn = (self._turn + 1) % len(self._slots)
        if slot.copied is not None:
            slot.copied.synchronize()
        size = sum(view.numel() for view in views)
        if slot.host is None or len(slot.host) < size:
            slot.host = None  # freed before the larger one is allocated
            slot.host = self._lanes.host(size) if self._lanes else torch.empty(size, dtype=torch.uint8)
        host = slot.host[:size]
        torch.cat([view.flatten() for view in views], out=host)
        shape = (sum(map(len, views)), *views[0].shape[1:])
        try:
            yield slot, host.view(shape)
        finally:
            self._release(slot)

    def _release(self, slot: Slot) -> None:
        """After the use of a slot. Tests fill its free buffers here."""
        slot.shrink()


def cut(views: Sequence[Tensor], most: int) -> list[list[Tensor]]:
    """Tensors of frames [f, …] → the same frames in order, in chunks of `most` frames; the last can be smaller."""
    chunks: list[list[Tensor]] = []
    room = 0
    for view in views:
        at = 0
        while at < len(view):
            if not room:
                chunks.append([])
                room = most
            part = view[at : at + room]
            chunks[-1].append(part)
            at += len(part)
            room -= len(part)
    return chunks
