"""Selects the items of step n as a pure function of seed, epoch and position, so that resuming needs no state."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np


class BalancedSampler:
    """Splits the units of every epoch into batches of similar length, and each batch into micro-batches of equal work.

    `units` are lists of item indices that must stay together (a distortion series, or a single item). `lengths` are
    positions per item. `micro_batches` is accumulation × processes. A batch has at most `batch_size` items plus the
    rest of one unit. The last, smaller batch of an epoch is kept when it has a unit for every micro-batch. `weights`
    is the number of times that an epoch uses each unit. 2 means twice. With 0.5, each epoch uses a random half of
    those units.
    """

    def __init__(
        self,
        units: Sequence[Sequence[int]],
        lengths: Sequence[int],
        batch_size: int,
        micro_batches: int,
        seed: int,
        weights: Sequence[float] | None = None,
    ) -> None:
        self.weights = np.ones(len(units)) if weights is None else np.array(weights, dtype=float)
        self.units = [tuple(unit) for unit in units]
        self.cost = [sum(lengths[i] for i in unit) for unit in self.units]
        self.longest = [max(lengths[i] for i in unit) for unit in self.units]
        self.batch_size = batch_size
        self.micro_batches = micro_batches
        self.seed = seed
        self.epoch = lru_cache(maxsize=2)(self._epoch)
        self.steps_per_epoch = len(self.epoch(0))
        if self.steps_per_epoch == 0:
            raise ValueError(f"{len(self.units)} units cannot fill {micro_batches} micro-batches.")

    def _epoch(self, epoch: int) -> list[list[list[int]]]:
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(self._chosen(random)).tolist()
        window = 50 * self.batch_size  # sorting within windows gives batches of similar length and epochs that differ
        arranged: list[int] = []
        for start in range(0, len(order), window):
            arranged += sorted(order[start : start + window], key=lambda u: self.longest[u])
        batches: list[list[int]] = [[]]
        held = 0
        for unit in arranged:
            if held >= self.batch_size:
                batches.append([])
                held = 0
            batches[-1].append(unit)
            held += len(self.units[unit])
        full = [batch for batch in batches if len(batch) >= self.micro_batches]
        # every epoch must have the same number of steps, even when series make batches uneven
        limit = getattr(self, "steps_per_epoch", len(full))
        picked = random.permutation(len(full))[:limit]
        return [self._deal(full[i]) for i in picked]

    def _chosen(self, random: np.random.Generator) -> np.ndarray:
        """The unit indices of an epoch, repeated by their weights. Every epoch has the same number of them."""
        whole = np.floor(self.weights).astype(int)
        chosen = [np.repeat(np.arange(len(self.units)), whole)]
        for weight in np.unique(self.weights[self.weights > whole]):
            alike = np.flatnonzero(self.weights == weight)
            chosen.append(random.choice(alike, round((weight - int(weight)) * len(alike)), replace=False))
        return np.concatenate(chosen)

    def _deal(self, batch: list[int]) -> list[list[int]]:
        parts: list[list[int]] = [[] for _ in range(self.micro_batches)]
        for place, unit in enumerate(sorted(batch, key=lambda u: -self.cost[u])):
            turn, column = divmod(place, self.micro_batches)
            parts[column if turn % 2 == 0 else self.micro_batches - 1 - column].extend(self.units[unit])
        return parts

    def micro_batch(self, step: int, index: int) -> list[int]:
        """Item indices of micro-batch `index` of the global 0-based `step`."""
        epochs, within = divmod(step, self.steps_per_epoch)
        batches = self.epoch(epochs)
        return batches[within % len(batches)][index]
