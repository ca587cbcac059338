"""Builds everything that a process of a run needs before its first update, from the recipe."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from qalign.mplug_owl2.config import ModelConfig
from qalign.mplug_owl2.normalise import normalisation_table
from qalign.mplug_owl2.tokenizer import Tokenizer
from qalign.protocol import RunRecipe
from qalign.weights.tensors import DTYPES

from .data.batch import sequence_length
from .data.batcher import Batcher
from .data.conversation import level_ids
from .data.features import FeatureCache
from .data.prepared_split import Item, PreparedSplit
from .data.sampler import BalancedSampler
from .distributed import World
from .errors import TrainingError
from .events import EventLog
from .model.build import ModelSource, build_model, model_source
from .model.state import TrainState, make_state
from .model.supervised import SupervisedModel, first_trained
from .optimizer.optimizer import Schedule

STANDARDISED_ON = 500  # training items, evenly spaced


@dataclass(frozen=True)
class TrainingData:
    """The splits, and the sampler and batcher for them. `level_ids` [5] are the token ids of the rating levels."""

    train: PreparedSplit
    dev: PreparedSplit
    tokenizer: Tokenizer
    level_ids: Tensor
    batcher: Batcher
    sampler: BalancedSampler


@dataclass(frozen=True)
class Training:
    """A run that is ready for training."""

    recipe: RunRecipe
    world: World
    source: ModelSource
    data: TrainingData
    state: TrainState
    schedule: Schedule


def set_up(recipe: RunRecipe, world: World, events: EventLog) -> Training:
    """Raises TrainingError and the errors of qalign.weights. Emits the event `measured` while features are cached."""
    source = model_source(recipe)
    tokenizer = Tokenizer(source.directory)
    train, dev = (PreparedSplit(Path(recipe["data_path"]), name, tokenizer) for name in ("train", "dev"))
    model = build_model(recipe, source)
    for split in (train, dev):
        require_views(split, model.net.config)
    table = normalisation_table(model.net.config.normalisation, world.device)
    compute, flip = DTYPES[recipe["compute"]], recipe["augment"]["flip"]
    batcher = Batcher(model.net.config, world.device, compute, table, flip)
    levels = level_ids(tokenizer, world.device)
    if recipe["cache_features"]:  # before sharding, while the encoder still has its stored dtype
        features = cache_features(model, batcher, [train, dev], source.dtype, world, events)
        if recipe["init"] == "random" and hasattr(model.net.model.vision_model, "standardise"):
            standardise_encoder(model, features, train)
        batcher = replace(batcher, features=features)
    sampler = make_sampler(recipe, model.net.config, train, world)
    total_steps = recipe["max_steps"] or sampler.steps_per_epoch * recipe["epochs"]
    schedule = Schedule(recipe["schedule"], total_steps, math.ceil(recipe["warmup"] * total_steps))
    state = make_state(model, recipe, world)
    data = TrainingData(train, dev, tokenizer, levels, batcher, sampler)
    return Training(recipe, world, source, data, state, schedule)


def require_views(split: PreparedSplit, config: ModelConfig) -> None:
    """Raises TrainingError when the prepared frames do not have the model's views."""
    views = config.vision.views
    if split.views != views:
        raise TrainingError(
            "TRAINING_DATA_INVALID",
            f"The frames of {split.folder} have the views {', '.join(split.views)}, but the model sees "
            f"{', '.join(views)}; prepare the data again for this model.",
        )
    if len(views) > 1 and split.size != config.image_size:
        raise TrainingError(
            "TRAINING_DATA_INVALID",
            f"The views of {split.folder} have {split.size} pixels, but the model takes {config.image_size}; "
            "remove prepare_size.",
        )


def cache_features(
    model: SupervisedModel,
    batcher: Batcher,
    splits: list[PreparedSplit],
    dtype: torch.dtype,
    world: World,
    events: EventLog,
) -> FeatureCache:
    """The cached encoder features of all splits."""

    def progress(done: int, total: int) -> None:
        events.emit("measured", done=int(done), total=int(total))

    return FeatureCache(model.net, splits, batcher.flip, lambda frames: batcher.pixels(frames, dtype), world, progress)


def standardise_encoder(model: SupervisedModel, features: FeatureCache, split: PreparedSplit) -> None:
    """Set the scale of the encoder's tokens from the features of some training items."""
    some = split.items[:: max(1, len(split.items) // STANDARDISED_ON)]
    encoder = model.net.model.vision_model
    stop = first_trained(encoder)
    with torch.no_grad():
        encoder.standardise(torch.cat([encoder.resume(features.of(split, item, False), stop) for item in some]))


def unit_weights(items: Sequence[Item], units: Sequence[Sequence[int]], data: dict[str, Any]) -> list[float]:
    """How often an epoch uses each unit: the weight of its dataset, or 0 for a series of a family that is left out.

    A mixture can contain any family, so mixtures are left out as soon as one family is.
    """
    named, rates = data.get("leave_out", []), data["weights"]
    unused = {*named, "mixture"} if named else set()
    firsts = [items[unit[0]] for unit in units]
    return [0.0 if item.family in unused else rates.get(item.dataset, 1.0) for item in firsts]


def make_sampler(recipe: RunRecipe, config: ModelConfig, split: PreparedSplit, world: World) -> BalancedSampler:
    """Raises TrainingError: CONFIG_INVALID for a batch that the processes cannot share evenly, TRAINING_DATA_INVALID
    for too few items."""
    per_step = recipe["micro_batch"] * world.size
    if recipe["batch_size"] % per_step:
        raise TrainingError(
            "CONFIG_INVALID",
            f"batch_size {recipe['batch_size']} is not a multiple of micro_batch {recipe['micro_batch']}"
            f" times {world.size} processes.",
        )
    micro_batches = recipe["batch_size"] // per_step * world.size
    lengths = [sequence_length(item.conversation, item.frames, config.tokens_per_frame) for item in split.items]
    units = split.units()
    weights = unit_weights(split.items, units, recipe["data"])
    try:
        return BalancedSampler(units, lengths, recipe["batch_size"], micro_batches, recipe["seed"], weights)
    except ValueError as error:
        raise TrainingError("TRAINING_DATA_INVALID", f"There are too few training items: {error}") from error
