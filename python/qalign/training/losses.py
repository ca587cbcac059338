"""The training objectives as sums over positions, items and pairs, so that parts of a batch add up exactly.

Sources: Q-Align (arXiv 2312.17090) for the next-token loss, DeQA-Score (arXiv 2501.11561) for soft labels and the
fidelity loss on pairs (Thurstone's model). Every function returns a sum. The caller divides it by the global count.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from qalign.protocol import LEVEL_VALUES

EPSILON = 1e-8


@dataclass(frozen=True)
class LevelView:
    """The closed set at the level word: `probs` [N, 5], `score` [N] on 1–5, and its `std` [N]. `mass` [N] is the
    probability of the five words in the whole vocabulary."""

    probs: Tensor
    score: Tensor
    std: Tensor
    mass: Tensor


def level_view(level_logits: Tensor, level_ids: Tensor) -> LevelView:
    """Logits at the level word [N, V] and the five word ids → the scorer's probabilities and score."""
    logits = level_logits.float()
    chosen = logits.index_select(1, level_ids)
    probs = chosen.softmax(-1)
    values = torch.tensor(LEVEL_VALUES, device=probs.device)
    score = probs @ values
    variance = (probs * (values - score[:, None]) ** 2).sum(-1)
    mass = (chosen.logsumexp(-1) - logits.logsumexp(-1)).exp()
    return LevelView(probs, score, variance.clamp_min(0).sqrt(), mass)


def next_token_sum(logits: Tensor, labels: Tensor) -> Tensor:
    """Σ cross-entropy, with logits [P, V] at the positions that predict the labels [P]."""
    return functional.cross_entropy(logits.float(), labels, reduction="sum")


def soft_label_sum(level_logits: Tensor, level_ids: Tensor, target: Tensor) -> Tensor:
    """Σ KL(target ‖ softmax over the whole vocabulary). `target` [N, 5]; zero entries contribute nothing."""
    log_probs = level_logits.float().log_softmax(-1).index_select(1, level_ids)
    return (torch.xlogy(target, target) - target * log_probs).sum()


def preference(gap: Tensor, spread: Tensor | float = 2.0**0.5) -> Tensor:
    """Thurstone's probability that A is better: Φ(gap / spread), where `spread` is the std of the difference."""
    return 0.5 * (1 + torch.erf(gap / spread / 2**0.5))


def fidelity(predicted: Tensor, truth: Tensor) -> Tensor:
    """1 − √(p·g + ε) − √((1−p)(1−g) + ε), one value per pair, 0 when p = g."""
    agree = (predicted * truth + EPSILON).sqrt() + ((1 - predicted) * (1 - truth) + EPSILON).sqrt()
    return 1 - agree


def binary_fidelity(predicted: Tensor, truth: Tensor) -> Tensor:
    """`fidelity` for a truth of 0 or 1, where only one of the two roots remains."""
    return 1 - (predicted * truth + (1 - predicted) * (1 - truth) + EPSILON).sqrt()


def in_level_sum(mass: Tensor, floor: float = 0.01) -> Tensor:
    """N · max(floor, mean(1 − mass)), where 1 − mass is the probability outside the five level words."""
    return (1 - mass).mean().clamp_min(floor) * len(mass)


def predicted_preference(view: LevelView, first: Tensor, second: Tensor, fixed_std: bool) -> Tensor:
    """p for the pairs (first[k], second[k]). With `fixed_std` both std are 1, so that p = ½(1 + erf(Δ/2))."""
    gap = view.score[first] - view.score[second]
    if fixed_std:
        return preference(gap)
    variance = (view.std[first] ** 2 + view.std[second] ** 2 + EPSILON).detach()
    return preference(gap, variance.sqrt())


def true_preference(mos: Tensor, std: Tensor, first: Tensor, second: Tensor, continuous: bool = True) -> Tensor:
    """g from ratings and their std in the same unit. `continuous=False` returns 1, ½ or 0."""
    gap = mos[first] - mos[second]
    if not continuous:
        return (gap.sign() + 1) / 2
    return preference(gap, (std[first] ** 2 + std[second] ** 2 + EPSILON).sqrt())
