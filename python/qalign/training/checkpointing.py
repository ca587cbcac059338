"""Saves and resumes a run, and reports both as events."""

from pathlib import Path

from .errors import TrainingError
from .events import EventLog
from .files.checkpoints import CheckpointStore, restore
from .recipe import fingerprint
from .training import Training


class Checkpointing:
    """The checkpoints of one run in its directory `folder`."""

    def __init__(self, folder: Path, training: Training, events: EventLog) -> None:
        recipe, data = training.recipe, training.data
        self._folder, self._state, self._world, self._events = folder, training.state, training.world, events
        self._fingerprint = fingerprint(recipe, data.train.sha256, data.sampler.micro_batches)
        self._seed = recipe["seed"]
        self._store = CheckpointStore(
            folder / "checkpoints", training.world, recipe["keep_checkpoints"], self._saved, self._failed
        )

    def resume(self) -> None:
        """Resume from the newest checkpoint, if there is one. Raises the same errors as `restore`."""
        checkpoint = self._store.latest()
        if checkpoint is not None:
            restore(checkpoint, self._state, self._fingerprint)
            self._events.emit("resumed", step=self._state.step, checkpoint=checkpoint.name)

    def save(self) -> None:
        """Start a save and return. An event reports its result."""
        state = {"step": self._state.step, "seed": self._seed, **self._fingerprint}
        self._store.save(self._state.step, self._state.tensors(), state)

    def poll(self) -> None:
        self._store.poll()

    def save_and_wait(self) -> None:
        """Return when the checkpoint of this step is complete. Raises TrainingError OUTPUT_UNWRITABLE."""
        name = f"step-{self._state.step}"
        held = self._store.latest() if self._world.rank == 0 else None
        if not self._world.sum([float(held is not None and held.name == name)])[0]:
            self.save()  # the checkpoint that the run resumed from is not overwritten
        self._store.finish()
        latest = self._store.latest()
        if latest is None or latest.name != name:
            step, folder = self._state.step, self._folder
            sentence = f"The checkpoint of step {step} could not be written to {folder}; free disk space and resume."
            raise TrainingError("OUTPUT_UNWRITABLE", sentence)

    def _saved(self, step: int) -> None:
        self._events.emit("checkpoint", step=step, path=f"checkpoints/step-{step}")

    def _failed(self, error: str) -> None:
        self._events.emit("checkpoint_failed", step=self._state.step, message=error)
