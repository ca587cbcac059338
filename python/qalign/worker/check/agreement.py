"""How far scores differ: from the literal model in fp32, between batches, between runs, and in deterministic mode."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ...mplug_owl2.checkpoint import meta_model
from ...mplug_owl2.config import ModelConfig
from ...mplug_owl2.engine.memory import free_bytes, give_back
from ...mplug_owl2.engine.scorer import Scorer
from ...mplug_owl2.normalise import normalise
from ...weights.answers import ScoreItem
from .report import Section
from .subject import PROMPTS, Subject, level_ids, logits, scores, shallower
from .timing import Budget

DEPTHS = (64, 16, 8, 4, 2)
BYTES = 8  # per parameter: the engine in bf16, and the literal model in bf16 and then in fp32
COMPARED = 8  # pictures


def agreement(subject: Subject, section: Section, budget: Budget) -> None:
    company(subject, section)
    if budget.left < 0:
        section.skip("literal model in fp32", "the time of this section is used up")
        return
    literal(subject, section)


def company(subject: Subject, section: Section) -> None:
    """The same pictures alone, among others, replayed as a graph, and again."""
    scorer = subject.scorer
    items = subject.items(64 if subject.device.type == "cuda" else 16)
    few = items[:COMPARED]

    def alone() -> Tensor:
        return torch.cat([logits(scorer, [item]) for item in few])

    with without_graphs(scorer):
        base = alone()
        differ(section, "alone, again", base, alone())
        differ(section, "in a batch of 3, to alone", base[:3], logits(scorer, items[:3]))
        differ(section, f"in a batch of {len(items)}, to alone", base, logits(scorer, items)[:COMPARED])
        again = [logits(scorer, items) for _ in range(2)]
        section.figure(f"batch of {len(items)} twice, equal bits", float(torch.equal(*again)), "1 if equal")
    if subject.device.type == "cuda":
        for _ in range(3):
            replayed = alone()
        differ(section, "alone in a graph, to alone", base, replayed)
        section.details["graphs"] = len(scorer._graphs.captured)
    else:
        section.skip("graphs", "graphs need a CUDA device")
    deterministic(scorer, section, items)


def deterministic(scorer: Scorer, section: Section, items: list[ScoreItem]) -> None:
    """In deterministic mode an item has the same bits in every batch."""
    was, scorer.deterministic = scorer.deterministic, True
    try:
        base = torch.cat([logits(scorer, [item]) for item in items[:COMPARED]])
        for size in (3, len(items)):
            found = logits(scorer, items[:size])[:COMPARED]
            equal = torch.equal(found, base[: len(found)])
            section.figure(f"deterministic, in a batch of {size}, equal bits", float(equal), "1 if equal")
    finally:
        scorer.deterministic = was


@contextmanager
def without_graphs(scorer: Scorer) -> Iterator[None]:
    """Runs the plain path, so that graphs are compared with it."""
    was, scorer._graphs.enabled = scorer._graphs.enabled, False
    try:
        yield
    finally:
        scorer._graphs.enabled = was


@torch.inference_mode()
def literal(subject: Subject, section: Section) -> None:
    """The engine in its precision beside the literal model in fp32 with the same weights."""
    config = fitting(subject.config, subject.device)
    if config is None:
        section.skip("literal model in fp32", "no depth of the model fits into the free memory beside the engine")
        return
    section.details["literal layers"] = [config.vision.num_hidden_layers, config.num_hidden_layers]
    scorer = subject.build(config, subject.precision, seed=1)
    items = subject.items(4)
    found = logits(scorer, items)
    ids, engine = level_ids(scorer), scorer.engine
    pixels = torch.cat([item.visuals[0] for item in items]).to(subject.device)
    model = subject.model(config, "fp32", seed=1)
    frames = normalise(pixels, engine.table, torch.float32)
    wide = torch.cat([model([PROMPTS[0]], [[1]], frame[None])[:, -1].float()[:, ids].cpu() for frame in frames])
    differ(section, f"{subject.precision} engine, to the literal model in fp32", wide, found)
    del model, scorer, engine
    give_back()


def fitting(config: ModelConfig, device: torch.device) -> ModelConfig | None:
    """The deepest version of the model that fits into the free memory three times."""
    available = free_bytes(device)
    for depth in DEPTHS:
        smaller = shallower(config, depth)
        needed = BYTES * sum(value.numel() for value in meta_model(smaller).parameters()) + (2 << 30)
        if available is None or needed < available:
            return smaller
    return None


def differ(section: Section, name: str, expected: Tensor, found: Tensor) -> None:
    section.figure(f"{name}: logit", float((found - expected).abs().max()), "largest difference")
    section.figure(f"{name}: score", float((scores(found) - scores(expected)).abs().max()), "largest difference")
