"""Exports a trained network in the published layout into the run directory."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from qalign.protocol import RunRecipe
from qalign.weights.tensors import DTYPES

from .checkpointing import Checkpointing
from .errors import TrainingError
from .events import EventLog
from .files.model_files import export_network, load_network
from .files.whole_folder import whole_folder
from .model.adapters import export_adapter, merged_state
from .model.build import ModelSource
from .training import Training


def export(training: Training, folder: Path, events: EventLog) -> None:
    """Write `RUN/model` in the published layout and, for LoRA, `RUN/adapter` in PEFT's layout.

    Averaged weights are exported if the run averages. All processes must call this. Raises TrainingError
    OUTPUT_UNWRITABLE.
    """
    _export(training, folder)
    events.emit("exported", path="model")


def export_best(training: Training, checkpoints: Checkpointing, folder: Path, events: EventLog) -> None:
    """Write the weights of the best evaluation as `RUN/best/model` and `RUN/best/adapter`, if the run keeps them.

    Call it after `export`: the training then has these weights. Raises the errors of `export` and `restore`.
    """
    last = training.state.step
    if checkpoints.resume_best() is None:
        return
    if training.state.step != last:
        _export(training, folder / "best")
    elif training.world.rank == 0:
        with _told(folder):
            for name in ("model", "adapter"):
                if (folder / name).is_dir():
                    _same_files(folder / name, folder / "best" / name)
    events.emit("exported", path="best/model")


def _export(training: Training, folder: Path) -> None:
    with training.state.evaluated_weights():
        state = training.state.network_state(training.world)
    if training.world.rank == 0:
        with _told(folder):
            training.write(state, folder)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, SafetensorError) as error:
        why = str(error).splitlines()[0][:300]
        sentence = (
            f"The model could not be written to {folder} ({why}). Its checkpoint is kept: free disk space and resume."
        )
        raise TrainingError("OUTPUT_UNWRITABLE", sentence) from error


def _same_files(source: Path, target: Path) -> None:
    """Without a second copy on the disk, if the file system has hard links."""

    def link(old: str, new: str) -> None:
        try:
            os.link(old, new)
        except OSError:
            shutil.copyfile(old, new)

    with whole_folder(target) as draft:
        shutil.copytree(source, draft, copy_function=link, dirs_exist_ok=True)


def write_model(state: dict[str, Tensor], folder: Path, *, recipe: RunRecipe, source: ModelSource) -> None:
    """Write a full state of the first model family to `folder/model`, and with LoRA to `folder/adapter`."""
    lora = recipe["lora"]
    if lora:
        if source.adapter is None:  # on a merged base, the adapters alone would fit no published base
            export_adapter(state, lora, recipe["model"], source.directory, folder / "adapter")
        if lora["quantise_base"]:
            state = dequantised(state, source)
        state = merged_state(state, lora["alpha"], lora["r"])
    stored = recipe.get("export_weights")
    export_network(state, source.directory, folder / "model", DTYPES[stored] if stored else None)


def dequantised(state: dict[str, Tensor], source: ModelSource) -> dict[str, Tensor]:
    """Replace codes and scales with the base's matrices, so that adapters are merged into the base they run with."""
    original = load_network(source.directory, source.dtype, source.adapter).state_dict()
    stems = [key.removesuffix(".scales") for key in state if key.endswith(".scales")]
    restored = {f"{stem}.weight": original[f"{stem.removesuffix('.base_layer')}.weight"] for stem in stems}
    return {key: value for key, value in (state | restored).items() if not key.endswith(".scales")}
