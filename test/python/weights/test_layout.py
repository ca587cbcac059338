"""The choice of weight files: the complete layout, despite leftovers, and only tensors that match the index."""

import json
import os
import shutil

import pytest
import torch
from golden import GOLDEN
from safetensors.torch import load_file, save_file

from qalign.mplug_owl2.engine.load import load_scorer
from qalign.mplug_owl2.inspection import inspect_model
from qalign.weights.errors import CheckpointError, LoraError
from qalign.weights.layout import find_weights, weight_files

STALE = {"metadata": {}, "weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}}


def sharded(directory, kind="safetensors"):
    """Split model.safetensors of a directory into two shards with an index beside it."""
    tensors = load_file(directory / "model.safetensors")
    keys = sorted(tensors)
    stem = "model" if kind == "safetensors" else "pytorch_model"
    names = [f"{stem}-0000{n}-of-00002.{kind}" for n in (1, 2)]
    save = save_file if kind == "safetensors" else torch.save
    weight_map = {}
    for name, part in zip(names, (keys[:40], keys[40:]), strict=True):
        save({key: tensors[key] for key in part}, directory / name)
        weight_map |= dict.fromkeys(part, name)
    index = directory / f"{stem}.{kind}.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    return index, names, weight_map


@pytest.mark.parametrize("name", ["model.safetensors.index.json", "pytorch_model.bin.index.json"])
@pytest.mark.parametrize("text", [json.dumps(STALE), "{", "version https://git-lfs.github.com/spec/v1\n"])
def test_a_leftover_index_does_not_hide_a_complete_file(checkpoint, caplog, name, text):
    a = checkpoint("tiny_a")
    alone = load_scorer(str(a)).info.weights_sha256
    (a / name).write_text(text)
    assert [file.name for file in weight_files(a)] == ["model.safetensors"]
    assert load_scorer(str(a)).info.weights_sha256 == alone
    assert name in caplog.text
    assert inspect_model(a)["kind"] == "full"


def test_a_complete_layout_precedes_an_incomplete_one(checkpoint):
    a = checkpoint("tiny_a")
    _, shards, _ = sharded(a)
    os.truncate(a / "model.safetensors", 5000)
    assert [file.name for file in weight_files(a)] == shards
    (a / shards[0]).unlink()
    _, others, _ = sharded_from(a, "bin")
    assert [file.name for file in weight_files(a)] == others
    assert inspect_model(a)["tensors"] == inspect_model(GOLDEN / "tiny_a" / "model")["tensors"]


def sharded_from(directory, kind):
    shutil.copy(GOLDEN / "tiny_a" / "model" / "model.safetensors", directory / "model.safetensors")
    made = sharded(directory, kind)
    (directory / "model.safetensors").unlink()
    return made


def test_of_two_complete_layouts_the_order_of_transformers_decides(checkpoint, caplog):
    a = checkpoint("tiny_a")
    sharded(a)
    assert [file.name for file in weight_files(a)] == ["model.safetensors"]
    load_scorer(str(a))
    assert "model.safetensors.index.json is also complete" in caplog.text
    (a / "model.safetensors").unlink()
    sharded_from(a, "bin")
    assert all(file.suffix == ".safetensors" for file in weight_files(a))


def test_without_a_complete_layout_the_error_lists_missing_files(checkpoint):
    a = checkpoint("tiny_a")
    os.truncate(a / "model.safetensors", 5000)
    (a / "model.safetensors.index.json").write_text(json.dumps(STALE))
    with pytest.raises(CheckpointError) as caught:
        find_weights(a)
    message = str(caught.value)
    assert "model.safetensors is damaged: " in message
    assert "lacks 1 of 1 weight files: model-00001-of-00002.safetensors" in message


@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_files_must_hold_the_tensors_of_their_index(checkpoint, kind):
    a = checkpoint("tiny_a")
    index, (first, second), weight_map = sharded(a, kind)
    (a / "model.safetensors").unlink()
    load_scorer(str(a))
    keys = sorted(weight_map)

    def wrong(changed):
        index.write_text(json.dumps({"weight_map": changed}))
        for read in (lambda: load_scorer(str(a)), lambda: inspect_model(a)):
            with pytest.raises(CheckpointError, match="not the file that its index describes") as caught:
                read()
        return str(caught.value)

    assert f"it holds {keys[0]} (by the index in {second})" in wrong(weight_map | {keys[0]: second})
    assert "it lacks model.not_there" in wrong(weight_map | {"model.not_there": first})
    assert f"not in the index: {keys[0]}" in wrong({key: weight_map[key] for key in keys[1:]})


def test_a_stale_tensor_of_another_shard_is_not_scored(checkpoint):
    """The second file holds a tensor of an older save, which must not silently replace the current one."""
    a = checkpoint("tiny_a")
    _, (_, second), weight_map = sharded(a)
    (a / "model.safetensors").unlink()
    stale = load_file(a / second)
    key = sorted(weight_map)[0]
    save_file(stale | {key: torch.zeros(load_file(a / weight_map[key])[key].shape)}, a / second)
    with pytest.raises(CheckpointError, match=second):
        load_scorer(str(a))


def test_rotary_buffers_need_no_entry_in_the_index(checkpoint):
    a = checkpoint("tiny_a")
    index, (first, second), weight_map = sharded(a)
    (a / "model.safetensors").unlink()
    inverse = "model.layers.{}.self_attn.rotary_emb.inv_freq"
    save_file(load_file(a / first) | {inverse.format(0): torch.ones(8)}, a / first)
    index.write_text(json.dumps({"weight_map": weight_map | {inverse.format(1): second}}))
    load_scorer(str(a))


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("consolidated.safetensors", "save_pretrained"),
        ("ggml-model-q4.gguf", "save_pretrained"),
        ("consolidated.00.pth", "save_pretrained"),
        ("model-00001-of-00002.safetensors", "need their index"),
        ("adapter_model.safetensors", "adapter_config.json"),
    ],
)
def test_unsupported_weight_files_are_named(checkpoint, name, advice):
    a = checkpoint("tiny_a")
    (a / "model.safetensors").rename(a / name)
    with pytest.raises(CheckpointError, match="holds no weights") as caught:
        load_scorer(str(a))
    assert f"It holds {name}, which is not read" in str(caught.value)
    assert advice in str(caught.value)


def test_a_checkpoint_and_an_adapter_in_one_directory(checkpoint):
    a = checkpoint("tiny_a")
    for name in ("adapter_config.json", "adapter_model.bin"):
        shutil.copy(GOLDEN / "tiny_a_lora" / name, a)
    with pytest.raises(LoraError, match="also holds a whole checkpoint"):
        load_scorer(str(a))
