"""Saves and resumes a run, and reports both as events."""

from pathlib import Path
from typing import Any

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
        self._seed, self._metric = recipe["seed"], recipe.get("keep_best")
        self._store = CheckpointStore(
            folder / "checkpoints",
            training.world,
            recipe["keep_checkpoints"],
            self._saved,
            self._failed,
            self._metric,
        )

    def resume(self) -> None:
        """Resume from the newest checkpoint, if there is one. Raises the same errors as `restore`."""
        checkpoint = self._store.latest()
        if checkpoint is not None:
            restore(checkpoint, self._state, self._fingerprint, self._world)
            self._events.emit("resumed", step=self._state.step, checkpoint=checkpoint.name)

    def resume_best(self) -> Path | None:
        """Restore the checkpoint with the best evaluation. → it, or None without one. All processes must call this."""
        best = self._store.best()
        if best is not None and best.name != f"step-{self._state.step}":
            restore(best, self._state, self._fingerprint, self._world)
        return best

    def save(self, evaluated: dict[str, float] | None = None) -> None:
        """Start a save and return. An event reports its result. `evaluated` are the metrics of these weights."""
        state: dict[str, Any] = {"step": self._state.step, "seed": self._seed, **self._fingerprint}
        if evaluated is not None:
            state["evaluated"] = evaluated
        self._store.save(self._state.step, self._state.tensors(), state)

    def save_if_best(self, evaluated: dict[str, Any]) -> None:
        """Save the weights that were evaluated just now, if their metric is above that of all earlier ones.

        Returns when they are on the disk. Its metric is a part of the checkpoint, so that no kill can separate them.
        """
        value = evaluated.get(self._metric) if self._metric else None
        if self._metric is None or value is None:
            return
        best = self._store.best()
        self._world.wait()  # no process may publish the next checkpoint while another looks for the best one
        if best is not None and value <= self._store.value_of(best):
            return
        self.save({self._metric: value})
        if self._store.finish():
            step = self._state.step
            self._events.emit("best", step=step, metric=self._metric, value=value, path=f"checkpoints/step-{step}")

    @property
    def is_saved(self) -> bool:
        """Whether the weights of this step are on the disk, the same on all processes."""
        latest = self._store.latest() if self._world.rank == 0 else None
        here = latest is not None and latest.name == f"step-{self._state.step}"
        return self._world.sum([float(here)])[0] > 0

    def poll(self) -> None:
        self._store.poll()

    def save_and_wait(self) -> None:
        """Return when the checkpoint of this step is complete. Raises TrainingError OUTPUT_UNWRITABLE."""
        name = f"step-{self._state.step}"
        if not self.is_saved:
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
