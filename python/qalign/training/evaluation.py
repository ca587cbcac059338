"""Evaluates the dev split after an epoch: compares closed-set or written scores with the ratings."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qalign.protocol import RunRecipe

from .data.conversation import IGNORED, Conversation, level_ids
from .data.order import Split
from .data.prepared_split import Item
from .distributed import World
from .losses import level_view
from .model.trained import TrainedModel
from .training import Batching, Words

LONGEST_NUMBER = 6  # tokens: a dummy prefix, a digit, a decimal point, two digits, a full stop
NUMBER = re.compile(r"\d+(\.\d+)?")


def ranks(values: np.ndarray) -> np.ndarray:
    """1-based ranks; ties get their mean rank."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's correlation; 0 when either side is constant."""
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0


def evaluate(
    model: TrainedModel,
    batcher: Batching,
    split: Split,
    world: World,
    tokenizer: Words,
    recipe: RunRecipe,
) -> dict[str, Any]:
    """Every process scores its share, and all receive {srcc, plcc, items, score_std, level_mass}.

    Items without a rating are not counted. Closed-set scoring also skips items without a level word.
    """
    score = written_scores if recipe["score_text"] else level_scores
    rated = [i for i in split.items if i.mos == i.mos and (recipe["score_text"] or i.conversation.level_at >= 0)]
    model.eval()
    with torch.no_grad():
        scores = _shared(
            rated, recipe["micro_batch"], world, lambda items: score(model, batcher, split, items, tokenizer)
        )
    model.train()
    predicted, mass = scores.cpu().numpy().T
    mos = np.array([item.mos for item in rated])
    return {
        "srcc": pearson(ranks(predicted), ranks(mos)),
        "plcc": pearson(predicted, mos),
        "items": len(rated),
        "score_std": float(predicted.std()) if rated else 0.0,
        "level_mass": float(mass.mean()) if rated else 0.0,
    }


def _shared(items: Sequence[Item], step: int, world: World, score: Callable[[list[Item]], Tensor]) -> Tensor:
    """The processes score `step` items each in turn. → `score` of every item [N, 2], on all processes."""
    count = len(items)
    scores = torch.zeros(count, 2, dtype=torch.float64, device=world.device)
    for start in range(0, count, step * world.size):
        # every process must run the same number of forward passes, because FSDP gathers weights in each pass
        first = start + world.rank * step
        mine = [min(first + k, count - 1) for k in range(step)]
        found = score([items[i] for i in mine])
        fresh = {i: k for k, i in enumerate(mine) if first + k < count}
        for index, k in fresh.items():
            scores[index] = found[k]
    torch.distributed.all_reduce(scores)
    return scores


def level_scores(model: TrainedModel, batcher: Batching, split: Split, items: list[Item], tokenizer: Words) -> Tensor:
    """The closed-set score on 1–5 and the probability mass of the five level words: [N, 2]."""
    batch = batcher.evaluation_batch(split, items, [item.conversation for item in items])
    view = level_view(model(batch)[batch.level_slots], level_ids(tokenizer, batcher.device))
    return torch.stack([view.score, view.mass], 1).double()


def written_scores(model: TrainedModel, batcher: Batching, split: Split, items: list[Item], tokenizer: Words) -> Tensor:
    """The number that the model generates greedily, and mass 1: [N, 2]. Score 3 with mass 0 if it is not a number."""
    said: list[tuple[int, ...]] = [()] * len(items)
    for _ in range(LONGEST_NUMBER):
        begun = [(*item.lead, *tokens) for item, tokens in zip(items, said, strict=True)]
        conversations = [Conversation((*ids, 0), (*[IGNORED] * len(ids), 0), len(ids)) for ids in begun]
        batch = batcher.evaluation_batch(split, items, conversations)
        following = model(batch)[batch.level_slots].argmax(-1).tolist()
        said = [(*tokens, token) for tokens, token in zip(said, following, strict=True)]
    numbers = [NUMBER.search(tokenizer.decode(tokens)) for tokens in said]
    rows = [[min(5.0, max(1.0, float(n.group()))), 1.0] if n else [3.0, 0.0] for n in numbers]
    return torch.tensor(rows, dtype=torch.float64, device=batcher.device)
