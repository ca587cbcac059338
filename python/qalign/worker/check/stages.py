"""The time of each stage, the gap that the host leaves, and the kernels that ran."""

from collections.abc import Callable
from typing import Any

import torch

from ...mplug_owl2.normalise import normalise
from ...protocol import LEVELS
from .agreement import without_graphs
from .report import Section
from .subject import Subject, level_ids, questions
from .timing import Budget, median, time_of, wait

BATCHES = {"cuda": (1, 64), "cpu": (1, 4)}
ATTENTION = ("flash", "fmha", "cudnn", "sdpa", "attention", "attn")
SHOWN = 30  # kernels in the report


@torch.inference_mode()
def stages(subject: Subject, section: Section, budget: Budget) -> None:
    device = subject.device
    sizes = BATCHES[device.type]
    for batch in sizes:
        calls, whole = stage_calls(subject, batch)
        seconds = min(1.0, max(0.02, budget.left / 12))
        total = 0.0
        for name, call in calls.items():
            ms = time_of(call, device, seconds)
            section.figure(f"batch {batch}, {name}", ms, "ms")
            total += ms
        alone = time_of(whole, device, seconds)
        section.figure(f"batch {batch}, all stages in one", alone, "ms")
        section.figure(f"batch {batch}, sum of the stages", total, "ms")
        items = subject.items(batch)
        with without_graphs(subject.scorer):  # the stages are not graphs either
            wall = median(lambda items=items: subject.scorer.score(items, LEVELS), device, seconds)
        section.figure(f"batch {batch}, gap of the host", wall - alone, "ms")
        if device.type == "cuda":
            profile_of(section, batch, whole, device)
    if device.type != "cuda":
        section.skip("kernels and attention backends", "torch.profiler lists kernels of CUDA devices")


def stage_calls(subject: Subject, batch: int) -> tuple[dict[str, Callable[[], Any]], Callable[[], Any]]:
    """The stages on inputs that are already on the device, and all of them as one call."""
    scorer = subject.scorer
    engine, ids, asked = scorer.engine, level_ids(scorer), questions(scorer.engine, batch)
    pixels = torch.cat([item.visuals[0] for item in subject.items(batch)]).to(subject.device)
    frames = normalise(pixels, engine.table, engine.dtype)
    encoded = engine.encode(frames)
    features = engine.abstract(encoded)
    calls: dict[str, Callable[[], Any]] = {
        "normalise": lambda: normalise(pixels, engine.table, engine.dtype),
        "encoder": lambda: engine.encode(frames),
        "abstractor": lambda: engine.abstract(encoded),
        "language model": lambda: engine.ask(asked, features, ids),
    }
    return calls, lambda: engine.ask(asked, engine.features(pixels), ids)


def profile_of(section: Section, batch: int, call: Callable[[], Any], device: torch.device) -> None:
    """Counts and times of the kernels of one call."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as recorded:
        call()
        wait(device)
    kernels = [event for event in recorded.key_averages() if event.device_type.name == "CUDA"]
    kernels.sort(key=lambda event: -event.self_device_time_total)
    rows = [
        {"kernel": event.key[:160], "count": event.count, "ms": round(event.self_device_time_total / 1000, 3)}
        for event in kernels
    ]
    section.figure(f"batch {batch}, kernels", sum(row["count"] for row in rows), "launches")
    section.figure(f"batch {batch}, time in kernels", sum(row["ms"] for row in rows), "ms")
    section.details[f"batch {batch}"] = {
        "kernels": rows[:SHOWN],
        "attention": [row for row in rows if any(word in row["kernel"].lower() for word in ATTENTION)],
    }
