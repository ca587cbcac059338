"""Checkpoints that are damaged, incomplete, hostile or of another model: each ends in one clear error."""

import json
import os
import shutil

import pytest
import torch
from golden import GOLDEN
from safetensors.torch import load_file, save_file

from qalign.mplug_owl2.checkpoint import load_checkpoint, meta_model, weight_files
from qalign.mplug_owl2.config import load_config, parse_config
from qalign.mplug_owl2.engine.scorer import load_scorer
from qalign.mplug_owl2.inspection import inspect_model
from qalign.mplug_owl2.lora import apply_lora
from qalign.mplug_owl2.random_weights import architecture, random_model
from qalign.weights.digest import weights_sha256
from qalign.weights.errors import (
    CheckpointError,
    ConfigError,
    DeviceUnavailable,
    LoraError,
    ModelNotFound,
    NonFinite,
)


@pytest.fixture
def checkpoint(tmp_path):
    def copy(name):
        target = tmp_path / name
        shutil.copytree(GOLDEN / name / "model" if (GOLDEN / name / "model").is_dir() else GOLDEN / name, target)
        return target

    return copy


def load(directory):
    return load_checkpoint(directory, load_config(directory))


def change(directory, edit):
    file = directory / "model.safetensors"
    tensors = load_file(file)
    edit(tensors)
    save_file(tensors, file)


def test_truncated_files_are_named(checkpoint):
    a, b = checkpoint("tiny_a"), checkpoint("tiny_b")
    file = a / "model.safetensors"
    for keep in (file.stat().st_size - 100, 2000, 5, 0):
        os.truncate(file, keep)
        with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
            load(a)
    shard = b / "pytorch_model-00002-of-00002.bin"
    os.truncate(shard, shard.stat().st_size // 2)
    with pytest.raises(CheckpointError, match="00002-of-00002"):
        load(b)


def test_missing_files_are_named(checkpoint):
    b = checkpoint("tiny_b")
    (b / "pytorch_model-00001-of-00002.bin").unlink()
    with pytest.raises(CheckpointError, match=r"lacks 1 of 2 weight files: pytorch_model-00001-of-00002\.bin"):
        load(b)
    a = checkpoint("tiny_a")
    (a / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="holds no weights"):
        load(a)
    (a / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"config\.json does not exist"):
        load(a)


def test_all_wrong_keys_stand_in_one_error(checkpoint):
    a = checkpoint("tiny_a")

    def spoil(tensors):
        del tensors["lm_head.weight"], tensors["model.norm.weight"]
        tensors["model.surprise"] = torch.zeros(1)
        tensors["model.embed_tokens.weight"] = torch.zeros(3, 64)

    change(a, spoil)
    with pytest.raises(CheckpointError) as caught:
        load(a)
    message = str(caught.value)
    assert "2 missing: lm_head.weight, model.norm.weight" in message
    assert "1 unexpected: model.surprise" in message
    assert "1 misshapen: model.embed_tokens.weight is [3, 64], wanted [512, 64]" in message


def test_rotary_buffers_of_old_checkpoints_are_passed_over(checkpoint):
    a = checkpoint("tiny_a")
    change(a, lambda tensors: tensors.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)}))
    load(a)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_would_run_code_is_refused(checkpoint, tmp_path):
    b = checkpoint("tiny_b")
    trap = tmp_path / "exploded"
    torch.save({"model.norm.weight": Bomb(trap)}, b / "pytorch_model-00001-of-00002.bin")
    with pytest.raises(CheckpointError, match="is refused"):
        load(b)
    with pytest.raises(CheckpointError, match="is refused"):
        inspect_model(b)
    assert not trap.exists()


def test_a_file_that_is_no_mapping_of_tensors_is_refused(checkpoint):
    b = checkpoint("tiny_b")
    for value in ([1, 2], {"model.norm.weight": 3}):
        torch.save(value, b / "pytorch_model-00001-of-00002.bin")
        with pytest.raises(CheckpointError, match="00001-of-00002"):
            load(b)


@pytest.mark.parametrize("shard", ["../outside.bin", "/etc/passwd", 7])
def test_an_index_cannot_point_outside(checkpoint, shard):
    b = checkpoint("tiny_b")
    (b / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": {"lm_head.weight": shard}}))
    with pytest.raises(CheckpointError, match="index"):
        weight_files(b)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(checkpoint, value):
    a = checkpoint("tiny_a")
    change(a, lambda tensors: tensors["model.layers.1.mlp.up_proj.weight"].view(-1)[3:4].fill_(value))
    with pytest.raises(NonFinite, match=r"model\.layers\.1\.mlp\.up_proj\.weight"):
        load(a)


def test_weights_that_overflow_fp16(checkpoint):
    a = checkpoint("tiny_a")
    change(a, lambda tensors: tensors["model.norm.weight"].fill_(1e6))
    with pytest.raises(NonFinite, match=r"after the cast: model\.norm\.weight"):
        load_scorer(str(a), precision="fp16")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("hidden_size", "64", "hidden_size must be a whole number"),
        ("hidden_size", 62, "does not divide"),
        ("num_key_value_heads", 2, "num_key_value_heads is 2"),
        ("rms_norm_eps", 0, "rms_norm_eps must be a number above 0"),
        ("tie_word_embeddings", True, "untied"),
        ("rope_scaling", {"type": "linear"}, "rope_scaling"),
        ("visual_config", None, "must be a JSON object"),
        ("vocab_size", None, "vocab_size must be"),
    ],
)
def test_configs_that_cannot_be_run(field, value, message):
    values = json.loads((GOLDEN / "tiny_a" / "model" / "config.json").read_text())
    values[field] = value
    with pytest.raises(ConfigError, match=message):
        parse_config(values)


def test_an_unknown_encoder_is_named():
    values = json.loads((GOLDEN / "tiny_a" / "model" / "config.json").read_text())
    values["visual_config"]["visual_model"]["model_type"] = "resnet"
    with pytest.raises(ConfigError, match="'resnet'; known encoders are: efficientnet_lite0, vit"):
        random_model(parse_config(values), "cpu", torch.float32)


def test_a_missing_grid_size_means_the_published_grid():
    values = json.loads((GOLDEN / "tiny_a" / "model" / "config.json").read_text())
    values["visual_config"]["visual_abstractor"]["grid_size"] = None
    assert parse_config(values).abstractor.grid_size == 32


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("use_dora", True),
        ("use_rslora", True),
        ("rank_pattern", {"q_proj": 4}),
        ("alpha_pattern", {"q_proj": 4}),
        ("modules_to_save", ["lm_head"]),
        ("fan_in_fan_out", True),
        ("bias", "all"),
        ("peft_type", "LOHA"),
        ("init_lora_weights", "pissa_niter_4"),
        ("r", 0),
    ],
)
def test_other_kinds_of_lora_are_refused_by_name(checkpoint, field, value):
    lora = checkpoint("tiny_b_lora")
    file = lora / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))
    with pytest.raises(LoraError, match=rf"{field} "):
        apply_lora(load(GOLDEN / "tiny_b" / "model"), lora)


def test_a_lora_over_the_wrong_base_is_refused(checkpoint):
    with pytest.raises(LoraError, match="does not fit the base"):
        apply_lora(load(GOLDEN / "tiny_b" / "model"), checkpoint("tiny_a_lora"))
    with pytest.raises(LoraError, match="does not fit the base"):
        apply_lora(load(GOLDEN / "tiny_a" / "model"), checkpoint("tiny_b_lora"))


def test_half_an_adapter_is_refused(checkpoint):
    lora = checkpoint("tiny_b_lora")
    tensors = load_file(lora / "adapter_model.safetensors")
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, lora / "adapter_model.safetensors")
    with pytest.raises(LoraError, match=r"q_proj\.weight with"):
        apply_lora(load(GOLDEN / "tiny_b" / "model"), lora)


def test_hashes_are_cached_and_noticed_when_stale(checkpoint, tmp_path):
    file = checkpoint("tiny_a") / "model.safetensors"
    cache = tmp_path / "cache"
    first = weights_sha256([file], cache)
    assert first == weights_sha256([file], cache)
    assert len(list(cache.rglob("*"))) == 2
    with file.open("ab") as stream:
        stream.write(b"x")
    assert weights_sha256([file], cache) != first
    both = sorted(weight_files(GOLDEN / "tiny_b" / "model"))
    assert weights_sha256(both, cache) == weights_sha256(both[::-1], cache)


def test_inspection_reads_no_weights():
    a = inspect_model(GOLDEN / "tiny_a" / "model")
    model = load(GOLDEN / "tiny_a" / "model")
    stored = sum(value.numel() for value in model.state_dict().values())
    assert a["parameters"] == stored
    assert a["memory_bytes"] == {"fp32": 4 * stored, "bf16": 2 * stored, "fp16": 2 * stored}
    assert sum(a["parameters_by_part"].values()) == sum(value.numel() for value in model.parameters())
    assert inspect_model(GOLDEN / "tiny_b" / "model")["tensors"] == len(load(GOLDEN / "tiny_b" / "model").state_dict())
    assert inspect_model(GOLDEN / "tiny_b_lora")["lora"] == {"r": 4, "alpha": 8}


def test_the_published_architecture_has_the_published_size():
    parameters = sum(value.numel() for value in meta_model(architecture("mplug_owl2_7b")).parameters())
    assert round(parameters / 1e9, 3) == 8.198


def test_names_that_are_no_model_and_devices_that_are_not_there(tmp_path):
    for name in (str(tmp_path / "none"), "justaname", "./x/y", "a/b/c"):
        with pytest.raises(ModelNotFound):
            load_scorer(name)
    for device in ("cuda:77", "gpu", "meta"):
        with pytest.raises(DeviceUnavailable):
            load_scorer(str(GOLDEN / "tiny_a" / "model"), device=device)
    with pytest.raises(ConfigError, match="int8"):
        load_scorer(str(GOLDEN / "tiny_a" / "model"), precision="int8")
