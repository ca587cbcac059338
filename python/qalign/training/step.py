"""One update of the weights: a pure function of weights, step number and data."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .data.prepared_split import Item
from .distributed import peak_memory
from .errors import Diverged
from .model.gradients import GradientSum
from .objective import TERMS, objective, term_counts
from .training import Training

# a loss of this many times the average of the last steps counts as divergence, not as noise
DIVERGED_FACTOR = 20.0
REMEMBERED = 20  # steps


@dataclass(frozen=True)
class MicroBatch:
    """`number` is the index over all processes. With seed and step it keys every random draw of the items."""

    number: int
    items: Sequence[Item]


class DivergenceGuard:
    """Remembers the losses of the last steps and refuses a loss that is far above them."""

    def __init__(self) -> None:
        self._recent: list[float] = []

    def check(self, step: int, loss: float, norm: float) -> None:
        """Raises Diverged before the weights change. `step` starts at 1."""
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise Diverged(f"Step {step} gave loss {loss} and gradient norm {norm}; lower the learning rate.")
        usual = sum(self._recent) / len(self._recent) if len(self._recent) == REMEMBERED else math.inf
        if loss > max(DIVERGED_FACTOR * usual, usual + 5):
            raise Diverged(f"Step {step} gave loss {loss:.3g}, after {usual:.3g} on average; lower the learning rate.")
        self._recent = [*self._recent[1 - REMEMBERED :], loss]


class Updater:
    """Makes the updates of a run."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self._guard = DivergenceGuard()
        world, data, recipe = training.world, training.data, training.recipe
        each = data.sampler.micro_batches // world.size
        self._gradients = GradientSum(training.state.model, world, recipe.get("keep_unsharded") or "nothing", each)

    def update(self) -> dict[str, Any]:
        """→ the fields of the event `step`. Raises Diverged and leaves the weights unchanged."""
        training, state, world = self._training, self._training.state, self._training.world
        started = time.monotonic()
        rate = training.schedule.set_rates(state.optimizer, state.step)
        micro_batches = self._micro_batches()
        sums = self._backward(micro_batches)
        norm = self._gradients.finish(training.recipe["clip"])
        items = [item for batch in micro_batches for item in batch.items]
        work = [float(sum(item.frames for item in items)), sum(training.cost.flops_of(item) for item in items)]
        loss, *terms, frames, flops = world.sum([*sums.tolist(), *work])
        self._guard.check(state.step + 1, loss, norm)
        state.update()
        if world.device.type == "cuda":
            torch.cuda.synchronize()  # otherwise the time of this update would count for the next step
        seconds = time.monotonic() - started
        peak = training.cost.peak
        return {
            "step": state.step,
            "epoch": state.step / training.data.sampler.steps_per_epoch,
            "loss": loss,
            "terms": dict(zip(TERMS, terms, strict=True)),
            "learning_rate": training.recipe["learning_rates"]["default"] * rate,
            "grad_norm": norm,
            "images_per_s": frames / seconds,
            "mfu": flops / seconds / (peak * world.size) if peak else None,
            "memory_bytes": peak_memory(world.device),
        }

    def _micro_batches(self) -> list[MicroBatch]:
        """The micro-batches of this process."""
        world, data, step = self._training.world, self._training.data, self._training.state.step
        numbers = range(world.rank, data.sampler.micro_batches, world.size)
        dealt = {number: data.sampler.micro_batch(step, number) for number in numbers}
        return [MicroBatch(number, [data.train.items[i] for i in indices]) for number, indices in dealt.items()]

    def _backward(self, micro_batches: Sequence[MicroBatch]) -> Tensor:
        """Accumulate the gradients of this process. → its share of the loss and of each of TERMS, in fp64."""
        recipe, world, data = self._training.recipe, self._training.world, self._training.data
        weights, step, model = recipe["objective"], self._training.state.step, self._training.state.model
        mine = [
            sum(values) for values in zip(*(term_counts(batch.items, weights) for batch in micro_batches), strict=True)
        ]
        counts = world.sum(mine)
        sums = torch.zeros(len(TERMS) + 1, dtype=torch.float64, device=world.device)
        for micro in micro_batches:
            key = [recipe["seed"], step, micro.number]
            torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
            batch = data.batcher.training_batch(data.train, micro.items, np.random.default_rng([*key, 1]))
            with self._gradients.micro_batch():
                logits = model(batch)
                loss, terms = objective(
                    logits, batch, micro.items, data.level_ids, weights, counts, recipe["fixed_pair_std"]
                )
                (loss * world.size).backward()  # FSDP averages over processes; the counts are already global
            sums += torch.stack([loss.detach(), *terms])  # stays on the device, so that the host does not wait
        return sums
