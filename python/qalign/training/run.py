"""One process of a run. torchrun starts it, with or without a bridge."""

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from qalign.protocol import RunRecipe
from qalign.weights.errors import ModelError

from .checkpointing import Checkpointing
from .distributed import World, join_world, leave_world
from .errors import TrainingError
from .events import EventLog
from .export import export, export_best
from .files.trackers import Trackers
from .loop import StopRequest, train
from .process_exit import complain
from .recipe import parse_recipe
from .setup import set_up


def train_run(folder: Path, report: Callable[[dict[str, Any]], None] = lambda event: None) -> dict[str, Any]:
    """Train by `folder/recipe.json`, or resume the run that stopped. → {status, step}

    `report` receives every event on rank 0. Any error is raised after the event `end` was written.
    """
    text = (folder / "recipe.json").read_text(encoding="utf-8")
    events = EventLog(folder / "events.jsonl", int(os.environ.get("RANK", "0")))
    events.sinks.append(report)
    with failure_told(events):
        recipe = parse_recipe(text)
    world = join_world(recipe["device"])
    torch.manual_seed(recipe["seed"])
    trackers = None
    try:
        with failure_told(events):
            if world.rank == 0:
                trackers = Trackers(folder, recipe, lambda name, why: _tracker_failed(events, name, why))
                events.sinks.append(trackers.take)
            return _train(folder, recipe, world, events)
    finally:
        if trackers is not None:
            trackers.close()
        if dist.is_initialized() and world.size == 1:
            dist.destroy_process_group()


def _train(folder: Path, recipe: RunRecipe, world: World, events: EventLog) -> dict[str, Any]:
    training = set_up(recipe, world, events)
    stop = StopRequest(folder, world)
    stop.heed_signals()
    checkpoints = Checkpointing(folder, training, events)
    status = train(training, checkpoints, events, stop)
    step = training.state.step
    if status == "completed":
        export(training, folder, events)
        export_best(training, checkpoints, folder, events)
    events.emit("end", status=status, step=step)
    leave_world(world)
    return {"status": status, "step": step}


@contextmanager
def failure_told(events: EventLog) -> Iterator[None]:
    """Report an error raised inside as the event `end` and a log line, then raise it again."""
    try:
        yield
    except (TrainingError, ModelError) as error:
        events.emit("end", status="failed", code=error.code, message=str(error))
        complain(f"{error.code}: {error}")
        raise
    except Exception as error:
        complain(traceback.format_exc())
        code = "OUT_OF_MEMORY" if isinstance(error, torch.OutOfMemoryError) else "WORKER_INTERNAL"
        events.emit("end", status="failed", code=code, message=f"{type(error).__name__}: {error}")
        raise


def _tracker_failed(events: EventLog, name: str, why: str) -> None:
    events.emit("tracker_failed", tracker=name, message=why)
