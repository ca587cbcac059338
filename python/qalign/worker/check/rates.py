"""Pictures per second by batch size, first calls, memory, and the rate of consecutive batches end to end."""

import time

import torch

from ...mplug_owl2.engine.memory import give_back
from ...mplug_owl2.engine.scorer import Scorer
from ...mplug_owl2.engine.warm_up import warm_up
from ...protocol import LEVELS
from ...weights.answers import ScoreItem
from .report import Section
from .subject import Subject, level_ids, questions
from .timing import Budget, median, once

BATCHES = (1, 64, 8, 2, 4, 16, 128)  # those with goals come first, in case time runs out
END_TO_END = 64


def rates(subject: Subject, section: Section, budget: Budget) -> None:
    started = time.monotonic()
    scorer = subject.scorer
    section.figure("creating the model", time.monotonic() - started, "s")
    section.figure("parameters", scorer.info.parameters / 1e9, "billion")
    device = subject.device
    if device.type == "cuda":
        give_back()  # as after loading a checkpoint
        section.figure("memory of the weights", torch.cuda.memory_allocated(device) / 1e9, "GB")
        section.figure("reserved after loading", torch.cuda.memory_reserved(device) / 1e9, "GB")
        warm_up(scorer, None)
    large = END_TO_END if device.type == "cuda" else 4
    for batch in BATCHES:
        if budget.left < 0:
            section.skip(f"batch {batch}", "the time of this section is used up")
            continue
        seconds = min(1.5, max(0.05, budget.left / 12))
        section.attempt(f"batch {batch}", lambda load=(batch, seconds): rate_of(subject, section, *load))
        if batch == 64 and budget.left > 0:
            seconds = min(3.0, budget.left / 4)
            section.attempt("end to end", lambda load=(large, seconds): end_to_end(subject, section, *load))
    if device.type == "cuda":
        section.figure("reserved at the end", torch.cuda.memory_reserved(device) / 1e9, "GB")
    else:
        section.skip("memory", "torch reports allocated and reserved memory only for CUDA devices")


def rate_of(subject: Subject, section: Section, batch: int, seconds: float) -> None:
    """First, second and median call at one batch size, with the peak of the allocator."""
    scorer, device = subject.scorer, subject.device
    items = subject.items(batch)
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
    first, second = (once(lambda: scorer.score(items, LEVELS), device) for _ in range(2))
    middle = median(lambda: scorer.score(items, LEVELS), device, seconds)
    section.figure(f"batch {batch}, first call", first, "ms")
    section.figure(f"batch {batch}, second call", second, "ms")
    section.figure(f"batch {batch}, median", middle, "ms")
    section.figure(f"batch {batch}", batch / middle * 1000, "img/s")
    if cuda:
        section.figure(f"batch {batch}, peak memory", torch.cuda.max_memory_allocated(device) / 1e9, "GB")


@torch.inference_mode()
def end_to_end(subject: Subject, section: Section, batch: int, seconds: float) -> None:
    """Consecutive batches from pixels on the host to logits on the host, beside the rate of the model alone."""
    scorer, device = subject.scorer, subject.device
    items = subject.items(batch)
    engine, asked, ids = scorer.engine, questions(scorer.engine, batch), level_ids(scorer)
    pixels = torch.cat([item.visuals[0] for item in items]).to(device)
    alone = median(lambda: engine.ask(asked, engine.features(pixels), ids), device, seconds / 2)
    section.figure(f"model alone, batch {batch}", batch / alone * 1000, "img/s")
    if not hasattr(scorer, "submit"):
        section.skip("consecutive batches", "the scorer of this version has no submit")
        return
    rate = batch / stream_ms(scorer, items, seconds / 2) * 1000
    section.figure(f"end to end, batch {batch}", rate, "img/s")
    section.figure("end to end of the model's own rate", rate / (batch / alone * 1000) * 100, "%")


def stream_ms(scorer: Scorer, items: list[ScoreItem], seconds: float) -> float:
    """Milliseconds per batch while batch n+1 is submitted before the answer of batch n is read."""
    pending = scorer.submit(items, LEVELS)
    done, started = 0, time.perf_counter()
    while done < 3 or time.perf_counter() - started < seconds:
        following = scorer.submit(items, LEVELS)
        pending.result()
        pending = following
        done += 1
    taken = time.perf_counter() - started
    pending.result()
    return taken / done * 1000
