import os
from pathlib import Path

import pytest
import torch

from qalign.training.files.model_files import export_network


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_all_files_of_a_model_have_the_mode_of_the_process(tmp_path: Path, mask: int) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text("{}")
    (source / "config.json").chmod(0o640)
    before = os.umask(mask)
    try:
        export_network({"a": torch.zeros(2)}, source, tmp_path / "model")
    finally:
        os.umask(before)
    files = list((tmp_path / "model").iterdir())
    assert len(files) == 2
    assert {file.stat().st_mode & 0o777 for file in files} == {0o666 & ~mask}
