"""Times of calls on a device. The device is waited for before each time is taken."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

Call = Callable[[], object]


@dataclass(frozen=True)
class Budget:
    """The time in which a section must end, on the monotonic clock."""

    deadline: float

    @property
    def left(self) -> float:
        return self.deadline - time.monotonic()


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def once(call: Call, device: torch.device) -> float:
    """Milliseconds of one call."""
    wait(device)
    started = time.perf_counter()
    call()
    wait(device)
    return (time.perf_counter() - started) * 1000


def median(call: Call, device: torch.device, seconds: float = 0.5, warm: int = 2, least: int = 3) -> float:
    """Median milliseconds of calls for about `seconds`, at least `least`, after `warm` calls."""
    for _ in range(warm):
        call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        times.append(once(call, device))
    return statistics.median(times)


def time_of(call: Call, device: torch.device, seconds: float) -> float:
    """Milliseconds: between two events on a CUDA device, where launches of several calls overlap; else wall time."""
    alone = median(call, device, seconds / 2)
    if device.type != "cuda":
        return alone
    runs = max(3, min(200, int(seconds * 500 / alone)))
    start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(runs):
        call()
    stop.record()
    wait(device)
    return start.elapsed_time(stop) / runs
