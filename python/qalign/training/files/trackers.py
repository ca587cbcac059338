"""Sends the events of a run to TensorBoard, Weights & Biases or MLflow, each an optional package."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from qalign.protocol import RunRecipe

from ..errors import TrainingError


class Tracker(Protocol):
    def log(self, step: int, values: dict[str, float]) -> None: ...

    def close(self) -> None: ...


class TensorBoard:
    """Writes event files to `RUN/tensorboard`. To view them: `tensorboard --logdir runs`."""

    def __init__(self, folder: Path, recipe: RunRecipe) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard"))

    def log(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class WandB:
    """Reads project, key and mode from the environment: WANDB_PROJECT, WANDB_API_KEY, WANDB_MODE=offline."""

    def __init__(self, folder: Path, recipe: RunRecipe) -> None:
        import wandb

        project = os.environ.get("WANDB_PROJECT", "qalign")
        identity = folder.name.replace(".", "-")
        self._run = wandb.init(
            project=project, name=folder.name, id=identity, resume="allow", dir=str(folder), config=recipe
        )

    def log(self, step: int, values: dict[str, float]) -> None:
        self._run.log(values, step=step)

    def close(self) -> None:
        self._run.finish()


class MLflow:
    """Uses the server of MLFLOW_TRACKING_URI, or the SQLite file mlflow.db in the directory of all runs."""

    def __init__(self, folder: Path, recipe: RunRecipe) -> None:
        import mlflow

        self._mlflow = mlflow
        if not os.environ.get("MLFLOW_TRACKING_URI"):
            mlflow.set_tracking_uri(f"sqlite:///{folder.parent.resolve() / 'mlflow.db'}")
        mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", "qalign"))
        marker = folder / "mlflow_run"
        known = marker.read_text() if marker.is_file() else None
        run = mlflow.start_run(run_id=known) if known else mlflow.start_run(run_name=folder.name)
        if known is None:
            marker.write_text(run.info.run_id)
            mlflow.log_params({key: str(value)[:500] for key, value in recipe.items()})

    def log(self, step: int, values: dict[str, float]) -> None:
        self._mlflow.log_metrics(values, step=step)

    def close(self) -> None:
        self._mlflow.end_run()


KINDS: dict[str, Callable[[Path, RunRecipe], Tracker]] = {"tensorboard": TensorBoard, "wandb": WandB, "mlflow": MLflow}


class Trackers:
    """Sends steps and evaluations to the trackers. A tracker that fails is reported and dropped; the run continues."""

    def __init__(self, folder: Path, recipe: RunRecipe, on_failed: Callable[[str, str], None]) -> None:
        self._on_failed = on_failed
        self._open: dict[str, Tracker] = {}
        for name in recipe["trackers"]:
            try:
                self._open[name] = KINDS[name](folder, recipe)
            except ImportError as error:
                raise TrainingError(
                    "TRAINING_EXTRA_MISSING",
                    f"The tracker {name} needs the Python package {name}; install the extra qalign[{name}]"
                    " or remove it from trackers.",
                ) from error
            except Exception as error:  # an unreachable service can raise any type
                on_failed(name, _line(error))

    def take(self, event: dict[str, Any]) -> None:
        """Handle one event of the run."""
        if not self._open or event["event"] not in ("step", "evaluation"):
            return
        place = "train" if event["event"] == "step" else "dev"
        flat = {k: v for k, v in event.items() if k not in ("event", "time", "step", "terms")}
        flat |= event.get("terms", {})
        values = {f"{place}/{k}": float(v) for k, v in flat.items() if isinstance(v, int | float)}
        for name, tracker in list(self._open.items()):
            try:
                tracker.log(event["step"], values)
            except Exception as error:
                del self._open[name]
                self._on_failed(name, _line(error))

    def close(self) -> None:
        for name, tracker in self._open.items():
            try:
                tracker.close()
            except Exception as error:
                self._on_failed(name, _line(error))


def _line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
