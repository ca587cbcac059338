"""Builds everything that a process of a run needs before its first update, from the recipe."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from qalign.mplug_owl2.checkpoint import meta_model
from qalign.mplug_owl2.config import ModelConfig, load_config
from qalign.mplug_owl2.normalise import normalisation_table
from qalign.mplug_owl2.tokenizer import Tokenizer
from qalign.protocol import RunRecipe
from qalign.weights.tensors import DTYPES

from .chat.setup import set_up_chat
from .data.batch import sequence_length
from .data.batcher import Batcher
from .data.conversation import level_ids
from .data.features import FeatureCache
from .data.order import make_sampler
from .data.prepared_split import Item, PreparedSplit
from .distributed import World
from .errors import TrainingError
from .events import EventLog
from .export import write_model
from .model.build import ModelSource, build_model, model_source, whole_network
from .model.flops import FlopCounter, device_peak
from .model.shards import ShardedWeights
from .model.state import make_state
from .model.supervised import SupervisedModel, first_trained
from .optimizer.optimizer import Schedule
from .training import Cost, Training, TrainingData

STANDARDISED_ON = 500  # training items, evenly spaced


def set_up(recipe: RunRecipe, world: World, events: EventLog) -> Training:
    """Raises TrainingError and the errors of qalign.weights. Emits the event `measured` while features are cached."""
    if recipe.get("backend") == "transformers":
        return set_up_chat(recipe, world)
    source = model_source(recipe)
    tokenizer = Tokenizer(source.directory)
    train, dev = (PreparedSplit(Path(recipe["data_path"]), name, tokenizer) for name in ("train", "dev"))
    model, weights = begin_model(recipe, source, world)
    for split in (train, dev):
        require_views(split, model.net.config)
    table = normalisation_table(model.net.config.normalisation, world.device)
    compute, flip = DTYPES[recipe["compute"]], recipe["augment"]["flip"]
    batcher = Batcher(model.net.config, world.device, compute, table, flip)
    levels = level_ids(tokenizer, world.device)
    if recipe["cache_features"]:  # before sharding, while the encoder still has its stored dtype
        if weights is not None:
            weights.fill(model.net.model.vision_model, "model.vision_model.", world.device)
        features = cache_features(model, batcher, [train, dev], source.dtype, world, events)
        if recipe["init"] == "random" and hasattr(model.net.model.vision_model, "standardise"):
            standardise_encoder(model, features, train)
        batcher = replace(batcher, features=features)
    per_frame = model.net.config.tokens_per_frame
    lengths = [sequence_length(item.conversation, item.frames, per_frame) for item in train.items]
    sampler = make_sampler(recipe, lengths, train, world)
    state = make_state(
        model, recipe, world, lambda: weights.fill(model, "", world.device) if weights is not None else None
    )
    data = TrainingData(train, dev, tokenizer, levels, batcher, sampler)
    counter = FlopCounter(model.net, cached_features=batcher.features is not None)

    def flops_of(item: Item) -> float:
        positions = sequence_length(item.conversation, item.frames, per_frame)
        return counter.of(item.frames, positions, sum(label >= 0 for label in item.conversation.labels))

    cost = Cost(flops_of, device_peak(world.device, compute))
    schedule = Schedule.of(recipe, sampler.steps_per_epoch)
    return Training(recipe, world, data, state, schedule, cost, partial(write_model, recipe=recipe, source=source))


def begin_model(recipe: RunRecipe, source: ModelSource, world: World) -> tuple[SupervisedModel, ShardedWeights | None]:
    """The model of the recipe, on the meta device until it is sharded, and the weights that fill it then.

    So no process of several holds it whole, and one process holds it only on its device. Random weights are drawn whole
    on the CPU, because each number depends on those before it.
    """
    if recipe["init"] == "random":
        return build_model(recipe, whole_network(recipe, source)), None
    net = meta_model(load_config(source.directory, source.adapter)).to(source.dtype)
    weights = ShardedWeights(net, source, world)
    return build_model(recipe, net), weights


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
