"""Makes reference cases importable (`golden`, `training_golden`, `tiny` of transformers), and damages checkpoints."""

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "fixtures" / "golden"
sys.path[:0] = [str(HERE / "mplug_owl2"), str(HERE / "training"), str(HERE / "transformers_backend")]
torch.set_num_threads(1)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a model or LoRA from the fixtures, which a test can damage."""

    def copy(name: str) -> Path:
        target = tmp_path / name
        shutil.copytree(GOLDEN / name / "model" if (GOLDEN / name / "model").is_dir() else GOLDEN / name, target)
        return target

    return copy


class Bomb:
    """Creates a directory when a pickle is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


@pytest.fixture
def bomb(tmp_path: Path) -> tuple[Path, Bomb]:
    """A value for a pickle, and the directory that exists if code of the pickle has run."""
    trap = tmp_path / "exploded"
    return trap, Bomb(trap)
