"""When a run is saved and resumed, and the events that report it."""

from pathlib import Path

from .errors import TrainingError
from .events import EventLog
from .files.checkpoints import CheckpointStore, restore
from .recipe import fingerprint
from .setup import Training


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
        """From the newest checkpoint, if there is one. Raises as `restore`."""
        checkpoint = self._store.latest()
        if checkpoint is not None:
            restore(checkpoint, self._state, self._fingerprint)
            self._events.emit("resumed", step=self._state.step, checkpoint=checkpoint.name)

    def save(self) -> None:
        """Starts a save and returns; what becomes of it is an event."""
        state = {"step": self._state.step, "seed": self._seed, **self._fingerprint}
        self._store.save(self._state.step, self._state.tensors(), state)

    def poll(self) -> None:
        self._store.poll()

    def save_and_wait(self) -> None:
        """Returns when the checkpoint of this step is whole. Raises TrainingError OUTPUT_UNWRITABLE."""
        name = f"step-{self._state.step}"
        held = self._store.latest() if self._world.rank == 0 else None
        if not self._world.sum([float(held is not None and held.name == name)])[0]:
            self.save()  # what was just resumed from is not written again: that would put it at risk for nothing
        self._store.finish()
        latest = self._store.latest()
        if latest is None or latest.name != name:
            sentence = f"The checkpoint of step {self._state.step} could not be written to {self._folder}."
            raise TrainingError("OUTPUT_UNWRITABLE", sentence)

    def _saved(self, step: int) -> None:
        self._events.emit("checkpoint", step=step, path=f"checkpoints/step-{step}")

    def _failed(self, error: str) -> None:
        self._events.emit("checkpoint_failed", step=self._state.step, message=error)
