"""The training loop: one optimizer update after the other, each a pure function of weights, step number and data."""

import hashlib
import json
import math
import os
import resource
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from qalign.mplug_owl2.tokenizer import Tokenizer
from qalign.weights.tensors import DTYPES

from . import evaluation
from .adapters import add_lora
from .data.batch import Batch, SupervisedModel, first_trained, make_batch, normalise, sequence_length
from .data.prepared_split import LEVELS, Item, PreparedSplit, augment
from .data.sampler import BalancedSampler
from .distributed import World, full, is_alive, shard
from .errors import Diverged, TrainingError
from .events import EventLog
from .files.checkpoints import CheckpointStore, restore, training_state
from .files.features import FeatureCache
from .files.model_files import freeze, initialise_network, load_network
from .flops import FlopCounter, device_peak
from .objective import TERMS, objective, term_counts
from .optimizer.averaging import WeightAverage
from .optimizer.optimizer import make_optimizer, parameter_groups
from .optimizer.quantised import quantise_base
from .optimizer.schedule import learning_rate_factor

# a loss this many times its own average over the last steps is divergence, not noise
DIVERGED_FACTOR = 20.0
STANDARDISED_ON = 500  # training items, evenly spread


class Trainer:
    """One run in one process of the world. `recipe` is the resolved recipe, `folder` the run directory."""

    def __init__(self, folder: Path, recipe: dict, world: World, events: EventLog) -> None:
        self.folder, self.recipe, self.world, self.events = folder, recipe, world, events
        lies_over = recipe["base_path"]  # a LoRA has no config, tokenizer and weights of its own
        self.source = Path(lies_over or recipe["model_path"])
        self.adapter = Path(recipe["model_path"]) if lies_over else None
        self.dtype, self.compute = DTYPES[recipe["weights"]], DTYPES[recipe["compute"]]
        self.tokenizer = Tokenizer(self.source)
        data = Path(recipe["data_path"])
        self.train = PreparedSplit(data, "train", self.tokenizer)
        self.dev = PreparedSplit(data, "dev", self.tokenizer)
        self.model = self._build_model()
        self.config = self.model.net.config
        self.mean, self.std = self.config.normalisation.mean, self.config.normalisation.std
        self.level_ids = torch.tensor([self.tokenizer.word_id(level) for level in LEVELS], device=world.device)
        self.features = self._measure_features() if recipe["cache_features"] else None
        self.sampler = self._build_sampler()
        self.total_steps = recipe["max_steps"] or self.sampler.steps_per_epoch * recipe["epochs"]
        self.warmup = math.ceil(recipe["warmup"] * self.total_steps)
        self.flops = FlopCounter(self.model.net, self.features is not None)
        self.peak = device_peak(world.device, self.compute)
        self._stored_buffers = dict(cast_position_tables(self.model.net, self.compute))
        shard(self.model, world, self.compute)
        rates = recipe["learning_rates"]
        groups = parameter_groups(self.model.named_parameters(), rates, recipe["weight_decay"])
        self.optimizer = make_optimizer(recipe["optimizer"], groups, tuple(recipe["betas"]), recipe["seed"])
        self.average = WeightAverage(self.model, recipe["ema"]) if recipe["ema"] else None
        self.store = CheckpointStore(
            folder / "checkpoints", world, recipe["keep_checkpoints"], self._saved, self._unsaved
        )
        self.step = 0
        self._recent: list[float] = []
        self._parent = int(os.environ.get("QALIGN_PARENT_PID", "0"))
        self.stopping = False

    def _build_model(self) -> SupervisedModel:
        recipe = self.recipe
        if recipe["init"] == "random":
            weights = recipe["encoder_weights"]
            net = initialise_network(self.source, recipe["seed"], Path(weights) if weights else None)
        else:
            net = load_network(self.source, self.dtype, self.adapter)
        if recipe["lora"]:
            if recipe["lora"]["quantise_base"]:
                quantise_base(net, recipe["lora"]["quantise_base"])
            torch.manual_seed(recipe["seed"])  # every process must draw the same adapters
            add_lora(net, recipe["lora"])
        freeze(net, recipe["freeze"], recipe.get("train_stages_from"))
        dropout = recipe["dropout"], recipe.get("token_dropout", 0.0), recipe.get("channel_dropout", 0.0)
        if dropout[2] and not hasattr(net.model.vision_model, "token_mean"):
            raise TrainingError("CONFIG_INVALID", "channel_dropout is for an efficientnet_lite0 encoder; leave it out.")
        return SupervisedModel(net, recipe["recompute"], *dropout).train()

    def _measure_features(self) -> FeatureCache:
        """The encoder's measurements of both splits, and from the first of them the scale of its tokens."""

        def progress(done: int, total: int) -> None:
            self.events.emit("measured", done=int(done), total=int(total))

        net, mirrored = self.model.net, self.recipe["augment"]["flip"]
        splits = [self.train, self.dev]  # before sharding: the encoder is still in the dtype it is held in
        cache = FeatureCache(net, splits, mirrored, lambda f: self.pixels(f, self.dtype), self.world, progress)
        if self.recipe["init"] == "random" and hasattr(net.model.vision_model, "standardise"):
            some = self.train.items[:: max(1, len(self.train.items) // STANDARDISED_ON)]
            encoder, stop = net.model.vision_model, first_trained(net.model.vision_model)
            with torch.no_grad():
                encoder.standardise(torch.cat([encoder.resume(cache.of(self.train, i, False), stop) for i in some]))
        return cache

    def _build_sampler(self) -> BalancedSampler:
        recipe, per_frame = self.recipe, self.config.tokens_per_frame
        per_step = recipe["micro_batch"] * self.world.size
        if recipe["batch_size"] % per_step:
            raise TrainingError(
                "CONFIG_INVALID",
                f"batch_size {recipe['batch_size']} is no multiple of micro_batch {recipe['micro_batch']}"
                f" times {self.world.size} processes.",
            )
        self.accumulation = recipe["batch_size"] // per_step
        lengths = [sequence_length(item.talk, item.frames, per_frame) for item in self.train.items]
        parts = self.accumulation * self.world.size
        try:
            units, rates = self.train.units(), recipe["data"]["weights"]
            weights = [rates.get(self.train.items[unit[0]].dataset, 1.0) for unit in units]
            return BalancedSampler(units, lengths, recipe["batch_size"], parts, recipe["seed"], weights)
        except ValueError as error:
            raise TrainingError("TRAINING_DATA_INVALID", f"There is too little to train on: {error}") from error

    def fingerprint(self) -> dict:
        """What must not change between a checkpoint and the run that resumes from it."""
        free = {
            "keep_checkpoints",
            "save_every",
            "trackers",
            "processes",
            "micro_batch",
            "hosts",
            "rendezvous",
            "gpu_gb",
        }
        text = json.dumps({k: v for k, v in self.recipe.items() if k not in free}, sort_keys=True)
        return {
            "recipe": hashlib.sha256(text.encode()).hexdigest(),
            "data": self.train.sha256,
            "micro_batches": self.accumulation * self.world.size,
        }

    def run(self) -> str:
        """Trains to the end, or until told to stop. → `completed` or `stopped`."""
        checkpoint = self.store.latest()
        if checkpoint is not None:
            state = restore(checkpoint, self.model, self.optimizer, self.fingerprint(), self.average)
            self.step = state["step"]
            if self.average is not None:
                self.average.updates = self.step
            self.events.emit("resumed", step=self.step, checkpoint=checkpoint.name)
        self.events.emit(
            "started",
            step=self.step,
            total_steps=self.total_steps,
            steps_per_epoch=self.sampler.steps_per_epoch,
            processes=self.world.size,
            device=str(self.world.device.type),
            parameters=sum(p.numel() for p in self.model.parameters()),
            trainable=sum(p.numel() for p in self.model.parameters() if p.requires_grad),
            items=len(self.train.items),
            skipped=self.recipe["skipped"],
        )
        while self.step < self.total_steps:
            self._update()
            self.store.poll()
            if self.step % self.sampler.steps_per_epoch == 0 or self.step == self.total_steps:
                self._evaluate()
            if self._must_stop():
                self._save_and_wait()
                return "stopped"
            if self.step % self.recipe["save_every"] == 0 and self.step < self.total_steps:
                self._save()
        self._save_and_wait()
        return "completed"

    def _update(self) -> None:
        started = time.monotonic()
        rate = learning_rate_factor(self.recipe["schedule"], self.step, self.total_steps, self.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * rate
        micro = [k * self.world.size + self.world.rank for k in range(self.accumulation)]
        picked = [[self.train.items[i] for i in self.sampler.micro_batch(self.step, m)] for m in micro]
        indices = [self.sampler.micro_batch(self.step, m) for m in micro]
        weights = self.recipe["objective"]
        mine = [sum(values) for values in zip(*(term_counts(items, weights) for items in picked), strict=True)]
        counts = self.world.sum(mine)
        sums = torch.zeros(len(TERMS) + 1, dtype=torch.float64, device=self.world.device)
        for number, items, chosen in zip(micro, picked, indices, strict=True):
            torch.manual_seed(
                int(np.random.SeedSequence([self.recipe["seed"], self.step, number]).generate_state(1)[0])
            )
            batch = self._batch(chosen, number)
            logits = self.model(batch)
            loss, terms = objective(
                logits, batch, items, self.level_ids, weights, counts, self.recipe["fixed_pair_std"]
            )
            (loss * self.world.size).backward()  # FSDP averages over processes; the counts are already global
            sums += torch.stack([loss.detach(), *terms])  # stays on the device: the host runs ahead of it
        norm = float(full(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe["clip"])))
        flops = sum(self._flops(item) for items in picked for item in items)
        frames = sum(item.frames for items in picked for item in items)
        loss, *terms, frames, flops = self.world.sum([*sums.tolist(), float(frames), flops])
        self._check(loss, norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update()
        if self.world.device.type == "cuda":
            torch.cuda.synchronize()  # else the next step would be billed for this one's update
        self.step += 1
        seconds = time.monotonic() - started
        self.events.emit(
            "step",
            step=self.step,
            epoch=self.step / self.sampler.steps_per_epoch,
            loss=loss,
            terms=dict(zip(TERMS, terms, strict=True)),
            learning_rate=self.recipe["learning_rates"]["default"] * rate,
            grad_norm=norm,
            images_per_s=frames / seconds,
            mfu=flops / seconds / (self.peak * self.world.size) if self.peak else None,
            memory_bytes=peak_memory(self.world.device),
        )

    def _flops(self, item: Item) -> float:
        positions = sequence_length(item.talk, item.frames, self.config.tokens_per_frame)
        return self.flops.of(item.frames, positions, sum(label >= 0 for label in item.talk.labels))

    def _batch(self, indices: list[int], number: int) -> Batch:
        """Items → a batch. The augmentation of an item depends on seed, step and micro-batch alone."""
        random = np.random.default_rng([self.recipe["seed"], self.step, number, 1])
        items = [self.train.items[i] for i in indices]
        size, flip = self.config.image_size, self.recipe["augment"]["flip"]
        talks, frames = [item.talk for item in items], [item.frames for item in items]
        per_frame, device = self.config.tokens_per_frame, self.world.device
        if self.features is not None:
            flips = [bool(flip and random.random() < 0.5) for _ in items]
            cached = [self.features.of(self.train, i, f) for i, f in zip(items, flips, strict=True)]
            return make_batch(talks, frames, per_frame, device, features=torch.cat(cached).to(device, self.compute))
        stack = torch.cat([augment(self.train.frames_of(item), size, flip, random) for item in items])
        return make_batch(talks, frames, per_frame, device, pixels=self.pixels(stack))

    def pixels(self, frames: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        return normalise(frames.to(self.world.device, non_blocking=True), self.mean, self.std).to(dtype or self.compute)

    def _check(self, loss: float, norm: float) -> None:
        """Raises Diverged. The weights are still those of before this step."""
        if not (math.isfinite(loss) and math.isfinite(norm)):
            raise Diverged(f"Step {self.step + 1} gave loss {loss} and gradient norm {norm}; lower the learning rate.")
        usual = sum(self._recent) / len(self._recent) if len(self._recent) == 20 else math.inf
        if loss > max(DIVERGED_FACTOR * usual, usual + 5):
            raise Diverged(
                f"Step {self.step + 1} gave loss {loss:.3g}, after {usual:.3g} on average; lower the learning rate."
            )
        self._recent = [*self._recent[-19:], loss]

    def _must_stop(self) -> bool:
        """Whether any process was told to: by signal, by the file `stop` in the run directory, or by a lost parent."""
        lost = self._parent > 0 and not is_alive(self._parent)
        asked = self.world.rank == 0 and (self.folder / "stop").exists()
        return self.world.sum([float(self.stopping or lost or asked)])[0] > 0

    def _evaluate(self) -> None:
        if self.dev.items:
            with self.evaluated_weights():
                result = evaluation.evaluate(self.model, self.dev, self)
            self.events.emit("evaluation", step=self.step, **result)

    def _save(self) -> None:
        state = {"step": self.step, "seed": self.recipe["seed"], **self.fingerprint()}
        self.store.save(self.step, training_state(self.model, self.optimizer, self.average), state)

    def _save_and_wait(self) -> None:
        held = self.store.latest() if self.world.rank == 0 else None
        if not self.world.sum([float(held is not None and held.name == f"step-{self.step}")])[0]:
            self._save()  # what was just resumed from is not written again: that would put it at risk for nothing
        self.store.finish()
        latest = self.store.latest()
        if latest is None or latest.name != f"step-{self.step}":
            raise TrainingError(
                "OUTPUT_UNWRITABLE", f"The checkpoint of step {self.step} could not be written to {self.folder}."
            )

    def _saved(self, step: int) -> None:
        self.events.emit("checkpoint", step=step, path=f"checkpoints/step-{step}")

    def _unsaved(self, error: str) -> None:
        self.events.emit("checkpoint_failed", step=self.step, message=error)

    def evaluated_weights(self) -> AbstractContextManager[None]:
        """Inside, the model has the weights that are evaluated and exported."""
        return self.average.in_place() if self.average is not None else nullcontext()

    def full_state(self) -> dict[str, Tensor]:
        """The whole network on the CPU of rank 0, with published key names; gathered by all processes."""
        state: dict[str, Tensor] = {}
        for key, value in self.model.state_dict().items():
            whole = full(value.detach())  # every process takes part
            if self.world.rank == 0:
                state[key.removeprefix("net.")] = whole.to(
                    "cpu", copy=True
                )  # the weights may change before it is written
        return state | (self._stored_buffers if self.world.rank == 0 else {})


def cast_position_tables(net: nn.Module, compute: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """Position tables are cast to the precision of the products, which FSDP does for parameters alone; yields them as
    they were stored."""
    for module_name, module in net.named_modules():
        for name, value in list(module.named_buffers(recurse=False)):
            if name.endswith("_pos_embed"):
                yield f"{module_name}.{name}", value
                module.register_buffer(name, value.to(compute))


def peak_memory(device: torch.device) -> int:
    """Highest so far in bytes: what the GPU's allocator held, on a CPU the resident size of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
