"""Damaged, missing and malicious weight files: each raises one clear error."""

import json
import os

import pytest
import torch
from torch import nn

from qalign.weights.errors import CheckpointError, NonFinite
from qalign.weights.layout import find_weights, weight_files
from qalign.weights.tensors import (
    put_tensor,
    read_tensors,
    refuse_non_finite,
    stored_tensors,
    tensor_slots,
    write_tensors,
)


def read(directory):
    return dict(stored_tensors(find_weights(directory), "cpu"))


def test_truncated_files_are_named(checkpoint):
    a, b = checkpoint("tiny_a"), checkpoint("tiny_b")
    file = a / "model.safetensors"
    for keep in (file.stat().st_size - 100, 2000, 5, 0):
        os.truncate(file, keep)
        with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
            read(a)
    shard = b / "pytorch_model-00002-of-00002.bin"
    os.truncate(shard, shard.stat().st_size // 2)
    with pytest.raises(CheckpointError, match="00002-of-00002"):
        read(b)


def test_missing_files_are_named(checkpoint):
    b = checkpoint("tiny_b")
    (b / "pytorch_model-00001-of-00002.bin").unlink()
    with pytest.raises(CheckpointError, match=r"lacks 1 of 2 weight files: pytorch_model-00001-of-00002\.bin"):
        read(b)
    a = checkpoint("tiny_a")
    (a / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="holds no weights"):
        read(a)


def test_a_pickle_that_would_run_code_is_refused(checkpoint, bomb):
    b = checkpoint("tiny_b")
    trap, value = bomb
    torch.save({"model.norm.weight": value}, b / "pytorch_model-00001-of-00002.bin")
    with pytest.raises(CheckpointError, match="is refused"):
        read(b)
    assert not trap.exists()


def test_a_file_without_a_mapping_of_tensors_is_refused(checkpoint):
    b = checkpoint("tiny_b")
    for value in ([1, 2], {"model.norm.weight": 3}):
        torch.save(value, b / "pytorch_model-00001-of-00002.bin")
        with pytest.raises(CheckpointError, match="00001-of-00002"):
            read(b)


@pytest.mark.parametrize("shard", ["../outside.bin", "/etc/passwd", 7])
def test_an_index_cannot_name_files_outside_its_directory(checkpoint, shard):
    b = checkpoint("tiny_b")
    (b / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": shard}}))
    with pytest.raises(CheckpointError, match="index"):
        weight_files(b)


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_weight_files_have_the_permissions_of_the_umask(tmp_path, umask, mode):
    file = tmp_path / "model.safetensors"
    before = os.umask(umask)
    try:
        write_tensors({"a": torch.arange(3.0)}, file)
    finally:
        os.umask(before)
    assert file.stat().st_mode & 0o777 == mode
    assert dict(read_tensors(file))["a"].tolist() == [0, 1, 2]


def test_tensors_are_assigned_to_any_module():
    module = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    slots = tensor_slots(module)
    assert set(slots) == set(module.state_dict())
    for key, value in module.state_dict().items():
        put_tensor(slots, key, torch.full_like(value, 2))
    assert all((value == 2).all() for value in module.state_dict().values())
    assert "running_mean" in module[1]._buffers
    assert isinstance(module[0].weight, nn.Parameter)


def test_one_error_lists_all_tensors_that_are_not_finite():
    refuse_non_finite({}, "nothing")
    flags = {f"layer.{n}": torch.tensor(n == 0) for n in range(13)}
    with pytest.raises(NonFinite, match=r"^here: NaN or infinity in 12 tensors.*: layer\.1, .*layer\.10 and 2 more"):
        refuse_non_finite(flags, "here")
