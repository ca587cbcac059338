"""Batches of training and evaluation: equal pixels without random draws, crops and mirror images with them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_run import prepare_data
from training_golden import GOLDEN, load_reference

from qalign.mplug_owl2.normalise import CLIP, normalisation_table, normalise
from qalign.training.data.batch import Batch
from qalign.training.data.batcher import Batcher
from qalign.training.data.prepared_split import PreparedSplit

TABLE = normalisation_table(CLIP)
ROOM = 7  # pixels by which prepared pictures exceed the model's input


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Batcher, PreparedSplit]:
    reference = load_reference(GOLDEN / "tiny_a")
    folder: Path = prepare_data(tmp_path_factory.mktemp("batcher") / "data", count=5, size=reference.size + ROOM)
    batcher = Batcher(reference.net.config, torch.device("cpu"), torch.float32, TABLE, flip=True)
    return batcher, PreparedSplit(folder, "train", reference.tokenizer)


def pixels(batch: Batch) -> torch.Tensor:
    assert batch.pixels is not None
    return batch.pixels


def test_evaluation_sees_the_centre_unmirrored(made: tuple[Batcher, PreparedSplit]) -> None:
    batcher, split = made
    batch = batcher.evaluation_batch(split, split.items, [item.conversation for item in split.items])
    size, edge = batcher.config.image_size, ROOM // 2
    centre = split.pixels[:, edge : edge + size, edge : edge + size]
    assert torch.equal(pixels(batch), normalise(torch.from_numpy(np.array(centre)), TABLE, torch.float32))
    assert list(batch.frames) == [1, 1, 1, 1, 2]


def test_training_draws_only_from_its_generator(made: tuple[Batcher, PreparedSplit]) -> None:
    batcher, split = made

    def drawn(batcher: Batcher, seed: int) -> torch.Tensor:
        return pixels(batcher.training_batch(split, split.items, np.random.default_rng(seed)))

    assert torch.equal(drawn(batcher, 1), drawn(batcher, 1))
    assert not torch.equal(drawn(batcher, 1), drawn(batcher, 2))
    assert not torch.equal(drawn(batcher, 1), drawn(replace(batcher, flip=False), 1))


class Measured:
    """A fake feature cache that records which mirror images are requested."""

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def of(self, split: PreparedSplit, item, mirrored: bool) -> torch.Tensor:
        self.asked.append(mirrored)
        return torch.full((item.frames, 4), float(mirrored))


def test_cached_features_replace_the_pixels(made: tuple[Batcher, PreparedSplit]) -> None:
    batcher, split = made
    cache = Measured()
    cached = replace(batcher, compute=torch.bfloat16, features=cache)
    batch = cached.training_batch(split, split.items * 8, np.random.default_rng(0))
    assert batch.pixels is None and batch.features is not None
    assert batch.features.shape == (48, 4) and batch.features.dtype == torch.bfloat16
    assert {True, False} == set(cache.asked)
    cached.evaluation_batch(split, split.items, [item.conversation for item in split.items])
    assert not any(cache.asked[40:])
    replace(cached, flip=False).training_batch(split, split.items, np.random.default_rng(0))
    assert not any(cache.asked[45:])
