"""Builds what a run of an image-text model of transformers needs before its first update, from the recipe."""

from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # before the library, which would get stand-ins that hide distributed tensors
from torch import nn
from torch.distributed.tensor import DTensor

from qalign.protocol import LEVELS, RunRecipe
from qalign.transformers_backend.levels import LevelTokens
from qalign.transformers_backend.library import silence, without_network
from qalign.transformers_backend.load import read_network, stored_dtype
from qalign.transformers_backend.processing import Preparing, SmartPictures
from qalign.transformers_backend.processor import open_processor
from qalign.transformers_backend.source import ModelFolder, open_folder
from qalign.weights.tensors import DTYPES

from ..data.order import make_sampler
from ..distributed import World
from ..errors import TrainingError
from ..files.held import place_of
from ..model.state import make_state
from ..optimizer.optimizer import Schedule
from ..training import Cost, Training, TrainingData
from .batch import ChatBatcher
from .conversation import Conversations
from .files import adapted_modules, write_chat_model
from .model import ChatModel
from .parts import add_adapters, choose_parts, require_parts
from .split import ChatSplit


class ChatWords:
    """The vocabulary of a chat model. `word_id` knows the level words."""

    def __init__(self, tokenizer: Any, levels: dict[str, int]) -> None:
        self._tokenizer, self._levels = tokenizer, levels

    def word_id(self, word: str) -> int:
        return self._levels[word]

    def decode(self, ids: Any) -> str:
        return str(self._tokenizer.decode(list(ids)))


def set_up_chat(recipe: RunRecipe, world: World) -> Training:
    """Raises TrainingError and the errors of qalign.weights."""
    refuse_other_keys(recipe)
    folder = open_folder(place_of(recipe["model_path"]))
    settings = recipe.get("chat") or {}
    with without_network():
        silence()
        opened = open_processor(folder, settings)
        # of several processes none holds the model whole: weights in their stored type are pages of the files
        stored = stored_dtype(folder) if world.size > 1 else None
        net = read_network(folder, stored or DTYPES[recipe["weights"]])
    processor, preparing = opened.processor, opened.preparing
    levels = LevelTokens(settings.get("level_tokens"), net.get_output_embeddings().weight.shape[0])
    conversations = Conversations(opened.chat, processor, levels)
    train, dev = (
        ChatSplit(Path(recipe["data_path"]), name, preparing.preparation, conversations, picture_texts(preparing))
        for name in ("train", "dev")
    )
    require_room(train, folder)
    words = ChatWords(processor.tokenizer, conversations.level_ids())
    level_ids = torch.tensor([words.word_id(level) for level in LEVELS] if conversations.level_ids() else [0] * 5)
    modules = adapted_modules(net, recipe)
    model = chat_model(recipe, net, folder, preparing, world)
    batcher = ChatBatcher(processor, preparing, world.device, recipe["augment"]["flip"])
    sampler = make_sampler(recipe, [len(item.conversation.ids) for item in train.items], train, world)
    ready = partial(cast_weights, dtype=DTYPES[recipe["weights"]], lora=recipe["lora"] is not None)
    state = make_state(model, recipe, world, ready=ready)
    data = TrainingData(train, dev, words, level_ids.to(world.device), batcher, sampler)
    cost = Cost(lambda item: 0.0, None)  # the products of these families are not counted
    write = partial(write_chat_model, recipe=recipe, source=folder, modules=modules)
    return Training(recipe, world, data, state, Schedule.of(recipe, sampler.steps_per_epoch), cost, write)


def chat_model(recipe: RunRecipe, net: Any, folder: ModelFolder, preparing: Preparing, world: World) -> ChatModel:
    """The network with its trained parts or adapters, in training mode."""
    require_parts(recipe["freeze"])
    if recipe["lora"]:
        torch.manual_seed(recipe["seed"])  # every process must draw the same adapters
        add_adapters(net, recipe["lora"], DTYPES[recipe["weights"]])
    else:
        choose_parts(net, recipe["freeze"])
    compute = DTYPES[recipe["compute"]]
    return ChatModel(net, folder.family, preparing, world.device, compute, recipe["recompute"]).train()


def cast_weights(module: nn.Module, dtype: torch.dtype, lora: bool) -> None:
    """Cast what is not sharded yet to the precision of the weights. With LoRA, adapters keep fp32, and so do trained
    parts beside them, with the values of that precision."""
    for name, parameter in module.named_parameters():
        if not isinstance(parameter, DTensor) and ".lora_" not in name and parameter.dtype != dtype:
            kept = torch.float32 if lora and parameter.requires_grad else dtype
            parameter.data = parameter.data.to(dtype).to(kept)


def picture_texts(preparing: Preparing) -> Any:
    """(frames, height, width) → the texts of the placeholders. They depend only on sizes."""

    @cache
    def texts(frames: int, height: int, width: int) -> tuple[str, ...]:
        # one byte for each picture: smart pictures are not read, and the others must be writable
        empty = torch.zeros(1, dtype=torch.uint8).expand(frames, height, width, 3)
        smart = isinstance(preparing, SmartPictures)
        return tuple(preparing.prepare([empty if smart else empty.clone()]).texts)

    return texts


def require_room(split: ChatSplit, folder: ModelFolder) -> None:
    """Raises TrainingError if a record has more positions than the model supports."""
    longest = max(split.items, key=lambda item: len(item.conversation.ids), default=None)
    most = folder.max_positions
    if longest is not None and most is not None and len(longest.conversation.ids) > most:
        raise TrainingError(
            "TRAINING_DATA_INVALID",
            f"The record {longest.id} has {len(longest.conversation.ids)} positions, but the model reads at most "
            f"{most}; use fewer frames or smaller pictures.",
        )


def refuse_other_keys(recipe: RunRecipe) -> None:
    """Raises TrainingError for settings that only the first model family has."""
    wrong = [
        name
        for name, value, usual in (
            ("init", recipe["init"], "pretrained"),
            ("encoder_weights", recipe["encoder_weights"], None),
            ("base_path", recipe["base_path"], None),
            ("cache_features", recipe["cache_features"], False),
            ("train_stages_from", recipe.get("train_stages_from"), None),
            ("dropout", recipe["dropout"], 0),
            ("token_dropout", recipe.get("token_dropout", 0), 0),
            ("channel_dropout", recipe.get("channel_dropout", 0), 0),
        )
        if value != usual
    ]
    if wrong:
        raise TrainingError(
            "CONFIG_INVALID", f"Models of transformers are trained without {', '.join(wrong)}; remove these keys."
        )
    tokens = (recipe.get("chat") or {}).get("level_tokens")
    if tokens and tokens["mode"] == "sequence":
        raise TrainingError(
            "CONFIG_INVALID", "A level word of several tokens cannot be taught; use level_tokens of one token."
        )
