"""Every precision of the loader: rate, memory, and how far scores move from bf16 (fp32 on a CPU)."""

from importlib import import_module, util

import torch
from torch import Tensor

from ...mplug_owl2.engine.memory import give_back
from ...mplug_owl2.engine.scorer import Scorer
from ...protocol import LEVELS
from ...weights.errors import ModelError
from ...weights.tensors import DTYPES
from .report import Section
from .subject import Lengths, Subject, logits, scores
from .timing import Budget, median

BATCH = {"cuda": 64, "cpu": 4}
WANTED = ("bf16", "fp16", "fp8", "int8", "nf4")
QUANTISED = "qalign.mplug_owl2.quantised"  # a version without it has no precisions with codes


def precisions(subject: Subject, section: Section, budget: Budget) -> None:
    """The model's own precision is the reference, and the first one measured."""
    subject.drop()
    give_back()
    reference: Tensor | None = None
    for name in (subject.precision, *(name for name in WANTED if name != subject.precision)):
        reason = unavailable(name, subject) or (budget.left < 0 and "the time of this section is used up")
        if reason:
            section.skip(name, reason)
            continue
        found: list[Tensor] = []
        section.attempt(name, lambda name=name, found=found: found.append(measure(subject, section, name, budget)))
        give_back()
        if found and reference is None:
            reference = found[0]
        elif found and reference is not None:
            moved = (scores(found[0]) - scores(reference)).abs()
            section.figure(f"{name}, score moved from {subject.precision}, mean", float(moved.mean()), "score")
            section.figure(f"{name}, score moved from {subject.precision}, most", float(moved.max()), "score")


def unavailable(name: str, subject: Subject) -> str | None:
    """Why this version or this device cannot run a precision, or None."""
    if name in DTYPES:
        return None
    if util.find_spec(QUANTISED) is None:
        return "the loader of this version does not have this precision"
    try:
        import_module(QUANTISED).require_codes(subject.config, name, subject.device)
    except ModelError as error:
        return str(error)
    return None


def build(subject: Subject, name: str) -> Scorer:
    """A scorer in any precision, with the same random weights before quantisation."""
    if name in DTYPES:
        return subject.build(subject.config, name)
    model = subject.model(subject.config, "bf16")
    info = subject.info(model, name)
    import_module(QUANTISED).quantise_layers(model, name)
    give_back()
    return Scorer(model, Lengths(), info)


def measure(subject: Subject, section: Section, name: str, budget: Budget) -> Tensor:
    """Rate and memory of one precision. → level logits of the same random pictures for every precision."""
    device = subject.device
    scorer = build(subject, name)
    batch = BATCH[device.type]
    items = subject.items(batch, seed=2)
    found = logits(scorer, items)
    if device.type == "cuda":
        give_back()
        section.figure(f"{name}, memory of the weights", torch.cuda.memory_allocated(device) / 1e9, "GB")
        torch.cuda.reset_peak_memory_stats(device)
    seconds = min(2.0, max(0.05, budget.left / 12))
    ms = median(lambda: scorer.score(items, LEVELS), device, seconds)
    section.figure(f"{name}, batch {batch}", batch / ms * 1000, "img/s")
    one = median(lambda: scorer.score(items[:1], LEVELS), device, seconds / 2)
    section.figure(f"{name}, batch 1", one, "ms")
    if device.type == "cuda":
        section.figure(f"{name}, peak memory", torch.cuda.max_memory_allocated(device) / 1e9, "GB")
    return found
