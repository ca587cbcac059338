"""The sampler of a run."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Protocol

from qalign.protocol import RunRecipe

from ..distributed import World
from ..errors import TrainingError
from .prepared_split import Item
from .sampler import BalancedSampler


class Split(Protocol):
    """Prepared records. `sha256` identifies their pixels and rows."""

    name: str
    sha256: str
    items: list[Item]


def units_of(items: Sequence[Item]) -> list[list[int]]:
    """Items that must share a micro-batch: each distortion series is one unit, and so is every other item."""
    series: dict[str, list[int]] = defaultdict(list)
    alone: list[list[int]] = []
    for index, item in enumerate(items):
        if item.series is None:
            alone.append([index])
        else:
            series[item.series].append(index)
    return alone + list(series.values())


def unit_weights(items: Sequence[Item], units: Sequence[Sequence[int]], data: dict[str, Any]) -> list[float]:
    """How often an epoch uses each unit: the weight of its dataset, or 0 for a series of a family that is left out.

    A mixture can contain any family, so mixtures are left out as soon as one family is.
    """
    named, rates = data.get("leave_out", []), data["weights"]
    unused = {*named, "mixture"} if named else set()
    firsts = [items[unit[0]] for unit in units]
    return [0.0 if item.family in unused else rates.get(item.dataset, 1.0) for item in firsts]


def make_sampler(recipe: RunRecipe, lengths: Sequence[int], split: Split, world: World) -> BalancedSampler:
    """`lengths` are the positions of each item.

    Raises TrainingError: CONFIG_INVALID for a batch that the processes cannot share evenly, TRAINING_DATA_INVALID for
    too few items.
    """
    per_step = recipe["micro_batch"] * world.size
    if recipe["batch_size"] % per_step:
        raise TrainingError(
            "CONFIG_INVALID",
            f"batch_size {recipe['batch_size']} is not a multiple of micro_batch {recipe['micro_batch']}"
            f" times {world.size} processes.",
        )
    micro_batches = recipe["batch_size"] // per_step * world.size
    units = units_of(split.items)
    weights = unit_weights(split.items, units, recipe["data"])
    try:
        return BalancedSampler(units, lengths, recipe["batch_size"], micro_batches, recipe["seed"], weights)
    except ValueError as error:
        raise TrainingError("TRAINING_DATA_INVALID", f"There are too few training items: {error}") from error
