"""The weighted losses of a recipe for one micro-batch. Each term is divided by its count in the global batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qalign.protocol import RunRecipeObjective

from .data.batch import Batch
from .data.prepared_split import Item
from .losses import (
    fidelity,
    in_level_sum,
    level_view,
    next_token_sum,
    predicted_preference,
    soft_label_sum,
    true_preference,
)

TERMS = ("next_token", "soft_label", "fidelity", "in_level", "series")


@dataclass(frozen=True)
class Pairs:
    """Index pairs of a micro-batch. `truth` [K], in [0, 1], is the true preference g of each pair."""

    first: Tensor
    second: Tensor
    truth: Tensor


def rated_pairs(items: Sequence[Item]) -> Pairs:
    """All pairs of different pictures from the same dataset, with the preference from their ratings."""
    first, second = [], []
    mos = torch.tensor([item.mos for item in items], dtype=torch.float64)
    std = torch.tensor([item.mos_std for item in items], dtype=torch.float64)
    for a, left in enumerate(items):
        for b in range(a + 1, len(items)):
            right = items[b]
            known = left.series is None and right.series is None and left.mos == left.mos and right.mos == right.mos
            if known and left.dataset == right.dataset:
                first.append(a)
                second.append(b)
    one, two = torch.tensor(first, dtype=torch.long), torch.tensor(second, dtype=torch.long)
    return Pairs(one, two, true_preference(mos, std, one, two).float())


def series_pairs(items: Sequence[Item]) -> Pairs:
    """All pairs within each distortion series, the better picture first."""
    pairs = [
        (a, b)
        for a, left in enumerate(items)
        if left.series is not None
        for b, right in enumerate(items)
        if left.series == right.series and left.order < right.order
    ]
    table = torch.tensor(pairs, dtype=torch.long).view(-1, 2)
    return Pairs(table[:, 0], table[:, 1], torch.ones(len(pairs)))


def term_counts(items: Sequence[Item], weights: RunRecipeObjective) -> list[float]:
    """The divisor of each of TERMS for one micro-batch: positions, items with a soft label, rated pairs, items, and
    pairs within series."""
    with_level = [item for item in items if item.conversation.level_at >= 0]
    soft = [i for i in with_level if i.level_probs is not None] if weights["soft_label"] else []
    unrated = sum(item.unrated for item in with_level)
    positions = sum(sum(label >= 0 for label in item.conversation.labels) for item in items) - len(soft) - unrated
    pairs = len(rated_pairs(with_level).first) if weights["fidelity"] else 0
    series = len(series_pairs(with_level).first) if weights.get("series", 0.0) else 0
    return [float(positions), float(len(soft)), float(pairs), float(len(with_level)), float(series)]


def rows_of(x: Tensor, rows: Sequence[int]) -> Tensor:
    """Some rows of x, each at most once. They are chosen on the host, so that the device is not waited for."""
    if list(rows) == list(range(len(x))):
        return x
    return x.index_select(0, torch.tensor(rows, dtype=torch.long).to(x.device, non_blocking=True))


def objective(
    logits: Tensor,
    batch: Batch,
    items: Sequence[Item],
    level_ids: Tensor,
    weights: RunRecipeObjective,
    counts: Sequence[float],
    fixed_std: bool = True,
) -> tuple[Tensor, list[Tensor]]:
    """Σ weight·term/count → (loss, unweighted terms in the order of TERMS). With soft labels the next-token term skips
    the level word of an item, as in DeQA-Score."""
    device = logits.device
    zero = logits.sum() * 0
    leveled = [k for k, item in enumerate(items) if item.conversation.level_at >= 0]
    slot = dict(zip(leveled, batch.level_slots[leveled].tolist(), strict=True))
    soft = [k for k in leveled if weights["soft_label"] and items[k].level_probs is not None]
    other = {slot[k] for k in leveled if items[k].unrated} | {slot[k] for k in soft}
    plain = [row for row in range(len(batch.labels)) if row not in other]
    terms = [zero] * len(TERMS)
    if weights["next_token"] and counts[0]:
        terms[0] = next_token_sum(rows_of(logits, plain), rows_of(batch.labels, plain)) / counts[0]
    if soft and counts[1]:
        target = torch.tensor([items[k].level_probs for k in soft], device=device)
        terms[1] = soft_label_sum(rows_of(logits, [slot[k] for k in soft]), level_ids, target) / counts[1]
    if leveled and (weights["fidelity"] or weights["in_level"] or weights.get("series", 0.0)):
        view, held = level_view(rows_of(logits, list(slot.values())), level_ids), [items[k] for k in leveled]
        for place, name, find in ((2, "fidelity", rated_pairs), (4, "series", series_pairs)):
            if weights.get(name, 0.0) and counts[place]:
                pairs = find(held)
                guess = predicted_preference(view, pairs.first.to(device), pairs.second.to(device), fixed_std)
                terms[place] = fidelity(guess, pairs.truth.to(device)).sum() / counts[place]
        if weights["in_level"]:
            terms[3] = in_level_sum(view.mass) / counts[3]
    loss = zero + sum(weights.get(name, 0.0) * term for name, term in zip(TERMS, terms, strict=True))
    return loss, [term.detach() for term in terms]
