"""Files with other content than their names state: every error names the file."""

import os
import shutil

import pytest
import torch
from golden import GOLDEN

from qalign.mplug_owl2.engine.load import load_scorer
from qalign.mplug_owl2.inspection import inspect_model
from qalign.training.files.encoder_weights import read_encoder_weights
from qalign.weights.damage import damage
from qalign.weights.errors import CheckpointError, ConfigError, ModelError

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 16060522240\n".format("4e" * 32)
PAGE = "\n<!DOCTYPE html><html><head><title>403 Forbidden</title></head></html>\n"
FILES = ["config.json", "preprocessor_config.json", "tokenizer.model", "model.safetensors"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(("text", "said"), [(POINTER, "is a git-LFS pointer"), (PAGE, "is a web page"), ("", "empty")])
def test_a_model_directory_with_other_content_in_a_file(checkpoint, name, text, said):
    a = checkpoint("tiny_a")
    (a / name).write_text(text)
    with pytest.raises(ModelError, match=rf"{name.replace('.', '[.]')} .*{said}") as caught:
        load_scorer(str(a))
    assert caught.value.code == "MODEL_INVALID"
    if text == POINTER:
        assert "git lfs pull" in str(caught.value)


@pytest.mark.parametrize("name", ["pytorch_model-00002-of-00002.bin", "pytorch_model.bin.index.json"])
def test_a_shard_or_an_index_that_is_a_pointer(checkpoint, name):
    b = checkpoint("tiny_b")
    (b / name).write_text(POINTER)
    for read in (lambda: load_scorer(str(b)), lambda: inspect_model(b)):
        with pytest.raises(CheckpointError, match=rf"{name}.* is a git-LFS pointer"):
            read()


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.bin", "non_lora_trainables.bin"])
def test_a_file_of_a_lora_that_is_a_pointer(checkpoint, name):
    lora = checkpoint("tiny_a_lora")
    (lora / name).write_text(POINTER)
    with pytest.raises(CheckpointError, match=rf"{name} is a git-LFS pointer"):
        load_scorer(str(lora), base=str(GOLDEN / "tiny_a" / "model"))


def test_a_cut_off_config_says_that_it_may_be_cut_off(checkpoint):
    a = checkpoint("tiny_a")
    os.truncate(a / "config.json", 100)
    with pytest.raises(ConfigError, match="cut off"):
        load_scorer(str(a))


def test_weight_files_that_are_cut_off_anywhere(checkpoint, tmp_path):
    whole = checkpoint("tiny_a") / "model.safetensors"
    assert damage(whole) is None
    size = whole.stat().st_size
    for keep in (1, 7, 8, 500, size // 2, size - 1):
        file = tmp_path / "cut.safetensors"
        shutil.copy(whole, file)
        os.truncate(file, keep)
        assert "is damaged" in (damage(file) or "")
    torch.save({"x": torch.ones(1000)}, tmp_path / "x.bin")
    assert damage(tmp_path / "x.bin") is None
    os.truncate(tmp_path / "x.bin", 2000)
    assert "cut off" in (damage(tmp_path / "x.bin") or "")


def test_invalid_encoder_weights(tmp_path):
    for name in ("encoder.safetensors", "encoder.whl", "encoder.pth"):
        (tmp_path / name).write_text(POINTER)
        with pytest.raises(CheckpointError, match="git-LFS pointer"):
            read_encoder_weights(tmp_path / name)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_a_fifo_or_a_folder_instead_of_a_file_is_refused_at_once(checkpoint, name, make):
    a = checkpoint("tiny_a")
    (a / name).unlink(missing_ok=True)
    make(a / name)
    for read in (lambda: load_scorer(str(a)), lambda: inspect_model(a)):
        with pytest.raises(ConfigError, match=r"config[.]json is not a regular file"):
            read()


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a":' * 200_000 + "1" + "}" * 200_000])
def test_deeply_nested_json_is_refused(checkpoint, text):
    a = checkpoint("tiny_a")
    (a / "config.json").write_text(text)
    with pytest.raises(ConfigError, match=r"config[.]json is not"):
        load_scorer(str(a))
    weights = a / "model.safetensors"
    weights.write_bytes(len(text).to_bytes(8, "little") + text.encode())
    assert "has no safetensors header" in (damage(weights) or "")


def test_json_larger_than_the_limit_is_not_read(checkpoint):
    a = checkpoint("tiny_a")
    os.truncate(a / "config.json", 200_000_000)  # sparse
    with pytest.raises(ConfigError, match="200000000 bytes"):
        load_scorer(str(a))
