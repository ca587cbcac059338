"""Caches the outputs of a frozen encoder on disk, for every picture and its mirror image, also for later runs.

The files are beside the prepared pixels. Their names identify the pixels, the weights and the encoder's configuration.
They hold the output of the encoder's `begin`, fp16 [F, …] in the order of the pixels, and are memory-mapped.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from qalign.mplug_owl2.model import MPLUGOwl2

from ..distributed import World
from ..errors import TrainingError
from ..model.supervised import first_trained
from .prepared_split import Item, PreparedSplit, augment

CHUNK = 16  # pictures between progress reports


class FeatureCache:
    """The cached features of all frames of some splits. Only centre crops are cached; `mirrored` adds mirror images.

    Create it before the network is sharded. Raises TrainingError when the encoder has no frozen part. Of
    EfficientNet-Lite0 the first stages can be frozen while later stages are trained.
    """

    def __init__(
        self,
        net: MPLUGOwl2,
        splits: Sequence[PreparedSplit],
        mirrored: bool,
        prepare: Callable[[Tensor], Tensor],
        world: World,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self._encoder, self._prepare, self._world, self._progress = net.model.vision_model, prepare, world, on_progress
        self._stop = stop = first_trained(self._encoder)
        if stop == 0:
            raise TrainingError("CONFIG_INVALID", "cache_features needs a frozen encoder: add vision to freeze.")
        self._size = net.config.image_size
        self._encoder.to(world.device)
        weights = encoder_hash(net, stop)
        self._held = {
            (split.name, flip): self._open(split, flip, weights)
            for split in splits
            for flip in ((False, True) if mirrored and split.name == "train" else (False,))
        }

    def of(self, split: PreparedSplit, item: Item, mirrored: bool) -> Tensor:
        """The features of one item, float32 [F, …]."""
        held = self._held[split.name, mirrored]
        return torch.from_numpy(held[item.first_frame : item.first_frame + item.frames].astype(np.float32))

    def _open(self, split: PreparedSplit, flip: bool, weights: str) -> np.ndarray:
        total = len(split.pixels)
        if not total:
            return np.zeros((0, 1, 1), np.float16)
        shape = (total, *self._measure(split.pixels[:1], flip).shape[1:])
        name = f"{split.name}-{weights}{'-mirrored' if flip else ''}.features"
        file = split.folder / name
        if not file.is_file() or file.stat().st_size != 2 * int(np.prod(shape)):
            self._write(split, flip, file, shape)
        return np.memmap(file, np.float16, "r", shape=shape)

    def _write(self, split: PreparedSplit, flip: bool, file: Path, shape: tuple[int, ...]) -> None:
        """Every process computes its share. The file gets its final name when all have finished."""
        world, draft = self._world, file.with_suffix(".part")
        if world.rank == 0:
            with draft.open("wb") as empty:
                empty.truncate(2 * int(np.prod(shape)))
        world.wait()
        held = np.memmap(draft, np.float16, "r+", shape=shape)
        bounds = np.linspace(0, shape[0], world.size + 1).astype(int)
        for start in range(bounds[world.rank], bounds[world.rank + 1], CHUNK):
            stop = min(start + CHUNK, bounds[world.rank + 1])
            held[start:stop] = self._measure(split.pixels[start:stop], flip).half().cpu().numpy()
            self._progress(stop - bounds[world.rank], bounds[world.rank + 1] - bounds[world.rank])
        held.flush()
        world.wait()
        if world.rank == 0:
            draft.replace(file)
        world.wait()

    def _measure(self, frames: np.ndarray, flip: bool) -> Tensor:
        cut = augment(frames, self._size, False, None)
        with torch.no_grad():
            return self._encoder.begin(self._prepare(cut.flip(2) if flip else cut), self._stop)


def encoder_hash(net: MPLUGOwl2, stop: int) -> str:
    """16 hex digits of a hash of the encoder's configuration and its weights before stage `stop` (a ViT: all)."""
    encoder = net.model.vision_model
    frozen = [encoder.stem, *encoder.stages[:stop]] if hasattr(encoder, "stages") else [encoder]
    found = hashlib.sha256(f"{stop} {json.dumps(dict(net.config.vision.raw), sort_keys=True)}".encode())
    for part in frozen:
        for value in part.parameters():
            found.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]
