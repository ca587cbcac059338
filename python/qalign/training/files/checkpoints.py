"""Atomic checkpoints: written to a temporary directory, renamed when complete, and found by name.

A checkpoint holds the trainable and frozen weights, the optimizer's tensors and `state.json` (step, sampler position,
seed, data and recipe hash). Random numbers need no state: every draw is keyed by (seed, step, micro-batch).

torch.distributed.checkpoint writes and reads it as safetensors, one file per process. Its default format stores the
index of the tensors as a pickle. Loading the run of another person could then execute their code.
"""

import json
import math
import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from safetensors import SafetensorError
from torch import Tensor
from torch.distributed.checkpoint import CheckpointException, HuggingFaceStorageReader, HuggingFaceStorageWriter

from ..distributed import World, reshard
from ..errors import TrainingError
from ..model.state import TrainState

Failure = Callable[[str], None]


class CheckpointStore:
    """The directory `checkpoints/` of a run: the last `keep` ones, and the one with the highest `metric` of those that
    were saved with it. At most one save is in progress."""

    def __init__(
        self,
        folder: Path,
        world: World,
        keep: int,
        on_saved: Callable[[int], None],
        on_failed: Failure,
        metric: str | None = None,
    ) -> None:
        self.folder, self.world, self.keep, self.metric = folder, world, keep, metric
        self._on_saved, self._on_failed = on_saved, on_failed
        self._pending: tuple[int, Future] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if world.rank == 0:
            for draft in folder.glob(".part-*"):  # large leftovers of a killed process
                shutil.rmtree(draft, ignore_errors=True)

    def latest(self) -> Path | None:
        """The newest checkpoint. It is complete, because it gets its name after all its files are on the disk."""
        return max(self._whole(), key=_step_of, default=None)

    def best(self) -> Path | None:
        """The checkpoint with the highest metric; the first of equal ones."""
        found = [(value, -_step_of(p), p) for p in self._whole() if (value := self.value_of(p)) > -math.inf]
        return max(found)[2] if found else None

    def value_of(self, checkpoint: Path) -> float:
        """Its metric; minus infinity if it was saved without one, or is damaged."""
        try:
            saved = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
            value = saved["evaluated"][self.metric]
        except (OSError, ValueError, KeyError, TypeError):
            return -math.inf
        return float(value) if isinstance(value, int | float) else -math.inf

    def _whole(self) -> list[Path]:
        return [p for p in self.folder.glob("step-*") if (p / "state.json").is_file()]

    def save(self, step: int, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Start a save. It returns after the copy to host memory."""
        self.finish()
        draft = self.folder / f".part-{step}"
        if self.world.rank == 0:
            shutil.rmtree(draft, ignore_errors=True)
        dist.barrier(group=self.world.saving)
        error = self._write_state(draft, state)
        if self._anyone(error is not None):
            self._failed(draft, error or "another process could not write its files")
            return
        writer = HuggingFaceStorageWriter(str(draft), save_distributed=True)
        future = dcp.async_save(tensors, storage_writer=writer, process_group=self.world.saving)
        self._pending = (step, future)

    def poll(self) -> None:
        """Publish a finished save on rank 0, which coordinates the write and therefore ends last."""
        if self.world.rank == 0 and self._pending is not None and self._pending[1].done():
            self._publish()

    def finish(self) -> bool:
        """Wait for the save in progress. → whether the last save succeeded, the same on all processes."""
        error = None
        if self._pending is not None:
            try:
                self._pending[1].result()
            except (Exception, CheckpointException) as failure:  # CheckpointException derives from BaseException
                error = _line(failure)
        if self.world.rank == 0 and self._pending is not None:
            self._publish(error)
        self._pending = None
        return not self._anyone(error is not None)

    def _publish(self, error: str | None = None) -> None:
        assert self._pending is not None, "a publish follows a save"
        step, future = self._pending
        self._pending = None
        draft, final = self.folder / f".part-{step}", self.folder / f"step-{step}"
        failure = future.exception()
        if failure is not None or error is not None:
            self._failed(draft, error or f"{type(failure).__name__}")
            return
        shutil.rmtree(final, ignore_errors=True)
        _sync_folder(draft)
        os.replace(draft, final)
        _sync_folder(self.folder)
        self._on_saved(step)
        best = self.best()
        for stale in sorted(self.folder.glob("step-*"), key=_step_of)[: -self.keep]:
            if stale != best:
                shutil.rmtree(stale, ignore_errors=True)

    def _write_state(self, draft: Path, state: dict[str, Any]) -> str | None:
        if self.world.rank != 0:
            return None
        try:
            draft.mkdir(parents=True)
            with (draft / "state.json").open("w", encoding="utf-8") as file:
                json.dump(state, file)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            return str(error)
        return None

    def _failed(self, draft: Path, error: str) -> None:
        if self.world.rank == 0:
            shutil.rmtree(draft, ignore_errors=True)
            self._on_failed(error)

    def _anyone(self, mine: bool) -> bool:
        flag = torch.tensor([float(mine)])
        dist.all_reduce(flag, group=self.world.saving)
        return flag.item() > 0


def restore(checkpoint: Path, state: TrainState, expected: dict[str, Any], world: World) -> None:
    """Load weights, optimizer, average and step in place.

    `expected` are entries of the saved state (data and recipe hashes, batch size) that must not have changed. Raises
    TrainingError RESUME_MISMATCH if they did, and CHECKPOINT_INVALID for a file that was cut off or replaced.
    """
    try:
        saved = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
        for key, value in expected.items():
            if saved[key] != value:
                raise TrainingError(
                    "RESUME_MISMATCH", f"{checkpoint.name} was made with {key} {saved[key]}, but this run has {value}."
                )
        _allocate(state.optimizer)
        reader = HuggingFaceStorageReader(str(checkpoint))
        dcp.load(state.tensors(), storage_reader=reader, process_group=world.saving)
        reshard(state.model)
        state.step = saved["step"]
    except (CheckpointException, SafetensorError, OSError, ValueError, KeyError) as error:
        raise TrainingError(
            "CHECKPOINT_INVALID",
            f"{checkpoint} is damaged ({_line(error)}); remove it to resume from the previous one.",
        ) from error
    if state.average is not None:
        state.average.updates = state.step


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("step-"))


def _line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1][:300] if lines else ''}"


def _allocate(optimizer: torch.optim.Optimizer) -> None:
    """Create the optimizer's tensors with an update of zero gradients and zero rate. Loading overwrites all of them."""
    rates = [group["lr"] for group in optimizer.param_groups]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
