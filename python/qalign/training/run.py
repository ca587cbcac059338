"""One process of a run, from its directory to its end: what torchrun starts, with or without a bridge."""

import json
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors import SafetensorError

from qalign.weights.errors import ModelError

from .adapters import export_adapter, merged_state
from .distributed import join_world, leave_world
from .errors import TrainingError
from .events import EventLog
from .files.model_files import export_network, load_network
from .files.trackers import Trackers
from .loop import Trainer
from .process_exit import complain


def train_run(folder: Path, report: Callable[[dict[str, Any]], None] = lambda event: None) -> dict[str, Any]:
    """Trains what `folder/recipe.json` says, or goes on where it stopped. → {status, step}

    `report` gets every event on rank 0. Raises what went wrong, after the event `end` has said so.
    """
    recipe = json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    world = join_world(recipe["device"])
    torch.manual_seed(recipe["seed"])
    events = EventLog(folder / "events.jsonl", world.rank)
    events.sinks.append(report)
    trackers = None
    try:
        if world.rank == 0:
            trackers = Trackers(folder, recipe, lambda name, why: _tracker_failed(events, name, why))
            events.sinks.append(trackers.take)
        trainer = Trainer(folder, recipe, world, events)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(trainer, "stopping", True))
        status = trainer.run()
        if status == "completed":
            export(trainer, folder)
        events.emit("end", status=status, step=trainer.step)
        leave_world()
        return {"status": status, "step": trainer.step}
    except (TrainingError, ModelError) as error:
        events.emit("end", status="failed", code=error.code, message=str(error))
        complain(f"{error.code}: {error}")
        raise
    except Exception as error:
        complain(traceback.format_exc())
        code = "OUT_OF_MEMORY" if isinstance(error, torch.OutOfMemoryError) else "WORKER_INTERNAL"
        events.emit("end", status="failed", code=code, message=f"{type(error).__name__}: {error}")
        raise
    finally:
        if trackers is not None:
            trackers.close()
        if dist.is_initialized() and world.size == 1:
            dist.destroy_process_group()


def _tracker_failed(events: EventLog, name: str, why: str) -> None:
    events.emit("tracker_failed", tracker=name, message=why)


def export(trainer: Trainer, folder: Path) -> None:
    """`RUN/model` in the published layout and, for LoRA, `RUN/adapter` in PEFT's; averaged weights if there are."""
    with trainer.evaluated_weights():
        state = trainer.full_state()
    if trainer.world.rank != 0:
        return
    try:
        _write(state, trainer, folder)
    except (OSError, SafetensorError) as error:
        why = str(error).splitlines()[0][:300]
        sentence = f"The model could not be written to {folder} ({why}); its checkpoint is there: make room and resume."
        raise TrainingError("OUTPUT_UNWRITABLE", sentence) from error
    trainer.events.emit("exported", path="model")


def _write(state: dict[str, torch.Tensor], trainer: Trainer, folder: Path) -> None:
    lora = trainer.recipe["lora"]
    if lora:
        if trainer.adapter is None:  # over a merged base, adapters alone would fit nothing that is published
            export_adapter(state, lora, trainer.recipe["model"], trainer.source, folder / "adapter")
        if lora["quantise_base"]:
            state = dequantised(state, trainer)
        state = merged_state(state, lora["alpha"], lora["r"])
    export_network(state, trainer.source, folder / "model")


def dequantised(state: dict[str, torch.Tensor], trainer: Trainer) -> dict[str, torch.Tensor]:
    """Codes and scales replaced by the base's own matrices: adapters are merged into what they will be used with."""
    original = load_network(trainer.source, trainer.dtype, trainer.adapter).state_dict()
    stems = [key.removesuffix(".scales") for key in state if key.endswith(".scales")]
    restored = {f"{stem}.weight": original[f"{stem.removesuffix('.base_layer')}.weight"] for stem in stems}
    return {key: value for key, value in (state | restored).items() if not key.endswith(".scales")}
