"""Checkpoints that are whole or absent: written beside, renamed when complete, found by name.

A checkpoint holds the trainable and frozen weights, the optimizer's tensors and `state.json` (step, sampler position,
seed, data and recipe hash). Random numbers need no state: every draw is keyed by (seed, step, micro-batch).

torch.distributed.checkpoint writes and reads it as safetensors, one file a process. Its own format keeps the index of
the tensors as a pickle, and reading a run that somebody else made would then run their code.
"""

import json
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

from ..distributed import World
from ..errors import TrainingError
from ..model.state import TrainState

Failure = Callable[[str], None]


class CheckpointStore:
    """The folder `checkpoints/` of a run. At most one save is in flight."""

    def __init__(
        self, folder: Path, world: World, keep: int, on_saved: Callable[[int], None], on_failed: Failure
    ) -> None:
        self.folder, self.world, self.keep = folder, world, keep
        self._on_saved, self._on_failed = on_saved, on_failed
        self._pending: tuple[int, Future] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if world.rank == 0:
            for draft in folder.glob(".part-*"):  # of a process that was killed; of this size they fill disks
                shutil.rmtree(draft, ignore_errors=True)

    def latest(self) -> Path | None:
        """The newest checkpoint. It is complete, for it got its name after all its files were on the disk."""
        whole = [p for p in self.folder.glob("step-*") if (p / "state.json").is_file()]
        return max(whole, key=lambda p: int(p.name.removeprefix("step-")), default=None)

    def save(self, step: int, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        """Starts a save; the copy to host memory is made before it returns."""
        self.finish()
        draft = self.folder / f".part-{step}"
        if self.world.rank == 0:
            shutil.rmtree(draft, ignore_errors=True)
        dist.barrier(group=self.world.saving)
        error = self._write_state(draft, state)
        if self._anyone(error is not None):
            self._failed(draft, error or "another process could not write")
            return
        writer = HuggingFaceStorageWriter(str(draft), save_distributed=True)
        future = dcp.async_save(tensors, storage_writer=writer, process_group=self.world.saving)
        self._pending = (step, future)

    def poll(self) -> None:
        """Rank 0 publishes a finished save; it coordinates the write, so that its end is everybody's."""
        if self.world.rank == 0 and self._pending is not None and self._pending[1].done():
            self._publish()

    def finish(self) -> bool:
        """Waits for the save in flight. Whether the last save succeeded, on every process alike."""
        error = None
        if self._pending is not None:
            try:
                self._pending[1].result()
            except (Exception, CheckpointException) as failure:  # the latter is torch's own BaseException
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
        old = sorted(self.folder.glob("step-*"), key=lambda p: int(p.name.removeprefix("step-")))
        for stale in old[: -self.keep]:
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


def restore(checkpoint: Path, state: TrainState, expected: dict[str, Any]) -> None:
    """Loads weights, optimizer, average and step in place.

    `expected` are entries of the saved state (data and recipe hashes, batch size) that must be the same now as then.
    Raises TrainingError RESUME_MISMATCH, and CHECKPOINT_INVALID for a file that was cut or exchanged since.
    """
    try:
        saved = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
        for key, value in expected.items():
            if saved[key] != value:
                raise TrainingError(
                    "RESUME_MISMATCH", f"{checkpoint.name} was made with {key} {saved[key]}, and this run has {value}."
                )
        _allocate(state.optimizer)
        dcp.load(state.tensors(), storage_reader=HuggingFaceStorageReader(str(checkpoint)))
        state.step = saved["step"]
    except (CheckpointException, SafetensorError, OSError, ValueError, KeyError) as error:
        raise TrainingError(
            "CHECKPOINT_INVALID", f"{checkpoint} is damaged ({_line(error)}); remove it to go on from the one before."
        ) from error
    if state.average is not None:
        state.average.updates = state.step


def _line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1][:300] if lines else ''}"


def _allocate(optimizer: torch.optim.Optimizer) -> None:
    """One update with zero gradients and rate makes the optimizer's tensors; the load then overwrites every one."""
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
