"""The training loop: updates, evaluations between epochs, checkpoints, and early stops."""

import os
import signal
from pathlib import Path
from typing import Any

from .checkpointing import Checkpointing
from .distributed import World, is_alive
from .evaluation import evaluate
from .events import EventLog
from .step import Updater
from .training import Training


class StopRequest:
    """Whether the run must end after its current step. A signal, the file `stop` in the run directory, and the end of
    the parent process each request this."""

    def __init__(self, folder: Path, world: World) -> None:
        self._file, self._world = folder / "stop", world
        self._parent = int(os.environ.get("QALIGN_PARENT_PID", "0"))
        self._signalled = False

    def heed_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def heard(self) -> bool:
        """Whether any process received a request. The result is the same on all processes."""
        lost = self._parent > 0 and not is_alive(self._parent)
        asked = self._world.rank == 0 and self._file.exists()
        return self._world.sum([float(self._signalled or lost or asked)])[0] > 0

    def _on_signal(self, *_: object) -> None:
        self._signalled = True


def train(training: Training, checkpoints: Checkpointing, events: EventLog, stop: StopRequest) -> str:
    """Train to the end or until a stop request. → `completed` or `stopped`."""
    state, total_steps = training.state, training.schedule.total_steps
    steps_per_epoch, save_every = training.data.sampler.steps_per_epoch, training.recipe["save_every"]
    updater = Updater(training)
    checkpoints.resume()
    tell_start(training, events)
    while state.step < total_steps:
        events.emit("step", **updater.update())
        checkpoints.poll()
        if state.step % steps_per_epoch == 0 or state.step == total_steps:
            result = evaluate_dev(training, events)
            if result is not None:
                checkpoints.save_if_best(result)
        if stop.heard():
            checkpoints.save_and_wait()
            return "stopped"
        if state.step % save_every == 0 and state.step < total_steps and not checkpoints.is_saved:
            checkpoints.save()
    checkpoints.save_and_wait()
    return "completed"


def tell_start(training: Training, events: EventLog) -> None:
    parameters = list(training.state.model.parameters())
    events.emit(
        "started",
        step=training.state.step,
        total_steps=training.schedule.total_steps,
        steps_per_epoch=training.data.sampler.steps_per_epoch,
        processes=training.world.size,
        device=str(training.world.device.type),
        parameters=sum(parameter.numel() for parameter in parameters),
        trainable=sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
        items=len(training.data.train.items),
        skipped=training.recipe["skipped"],
    )


def evaluate_dev(training: Training, events: EventLog) -> dict[str, Any] | None:
    """Evaluate the weights that would be exported and emit the event `evaluation`. → None without a dev split."""
    state, data = training.state, training.data
    if not data.dev.items:
        return None
    with state.evaluated_weights():
        result = evaluate(state.model, data.batcher, data.dev, training.world, data.tokenizer, training.recipe)
    events.emit("evaluation", step=state.step, **result)
    return result
