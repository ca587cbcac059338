"""The dev split after an epoch: closed-set or written scores against the ratings."""

import re
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .data.batch import Batch, SupervisedModel, make_batch
from .data.conversation import IGNORED, Conversation
from .data.prepared_split import Item, PreparedSplit, augment
from .losses import level_view

if TYPE_CHECKING:
    from .loop import Trainer


LONGEST_NUMBER = 6  # tokens: a dummy prefix, a digit, a point, two digits, a full stop
NUMBER = re.compile(r"\d+(\.\d+)?")


def ranks(values: np.ndarray) -> np.ndarray:
    """1-based ranks, ties sharing their mean."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation; 0 when either side is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0


def evaluate(model: SupervisedModel, split: PreparedSplit, trainer: "Trainer") -> dict:
    """Every process scores its share; all get {srcc, plcc, items, score_std, level_mass}.

    Items without a rating, or without a level word where the level is asked for, do not count.
    """
    world, step = trainer.world, trainer.recipe["micro_batch"]
    score = written_scores if trainer.recipe["score_text"] else level_scores
    rated = [i for i in split.items if i.mos == i.mos and (trainer.recipe["score_text"] or i.talk.level_at >= 0)]
    count = len(rated)
    scores = torch.zeros(count, 2, dtype=torch.float64, device=world.device)
    model.eval()
    with torch.no_grad():
        for start in range(0, count, step * world.size):
            # every process runs the same number of forward passes: FSDP gathers weights in each of them
            mine = [min(start + world.rank * step + k, count - 1) for k in range(step)]
            found = score(model, split, [rated[i] for i in mine], trainer)
            fresh = {i: k for k, i in enumerate(mine) if start + world.rank * step + k < count}
            for index, k in fresh.items():
                scores[index] = found[k]
    model.train()
    torch.distributed.all_reduce(scores)
    predicted, mass = scores.cpu().numpy().T
    mos = np.array([item.mos for item in rated])
    return {
        "srcc": pearson(ranks(predicted), ranks(mos)),
        "plcc": pearson(predicted, mos),
        "items": count,
        "score_std": float(predicted.std()) if count else 0.0,
        "level_mass": float(mass.mean()) if count else 0.0,
    }


def level_scores(model: SupervisedModel, split: PreparedSplit, items: list[Item], trainer: "Trainer") -> Tensor:
    """Closed-set score on 1–5 and probability mass of the five words: [N, 2]."""
    batch = batch_of(split, items, [item.talk for item in items], trainer)
    view = level_view(model(batch)[batch.level_slots], trainer.level_ids)
    return torch.stack([view.score, view.mass], 1).double()


def written_scores(model: SupervisedModel, split: PreparedSplit, items: list[Item], trainer: "Trainer") -> Tensor:
    """What the model writes, greedily, where the answer has its score; 3 with mass 0 when it is no number."""
    said: list[tuple[int, ...]] = [()] * len(items)
    for _ in range(LONGEST_NUMBER):
        begun = [(*item.lead, *tokens) for item, tokens in zip(items, said, strict=True)]
        talks = [Conversation((*ids, 0), (*[IGNORED] * len(ids), 0), len(ids)) for ids in begun]
        batch = batch_of(split, items, talks, trainer)
        following = model(batch)[batch.level_slots].argmax(-1).tolist()
        said = [(*tokens, token) for tokens, token in zip(said, following, strict=True)]
    numbers = [NUMBER.search(trainer.tokenizer.decode(tokens)) for tokens in said]
    rows = [[min(5.0, max(1.0, float(n.group()))), 1.0] if n else [3.0, 0.0] for n in numbers]
    return torch.tensor(rows, dtype=torch.float64, device=trainer.world.device)


def batch_of(split: PreparedSplit, items: list[Item], talks: list[Conversation], trainer: "Trainer") -> Batch:
    """Items with the given conversations, centre cuts, unmirrored."""
    config, device, frames = trainer.config, trainer.world.device, [item.frames for item in items]
    if trainer.features is not None:
        cached = torch.cat([trainer.features.of(split, item, False) for item in items]).to(device, trainer.compute)
        return make_batch(talks, frames, config.tokens_per_frame, device, features=cached)
    stack = torch.cat([augment(split.frames_of(item), config.image_size, False, None) for item in items])
    return make_batch(talks, frames, config.tokens_per_frame, device, pixels=trainer.pixels(stack))
