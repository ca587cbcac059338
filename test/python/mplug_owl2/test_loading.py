"""Damaged, incomplete, malicious and foreign checkpoints: each raises one clear error."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from golden import GOLDEN
from safetensors.torch import load_file, save_file

from qalign.mplug_owl2.checkpoint import load_checkpoint, meta_model
from qalign.mplug_owl2.config import load_config, parse_config
from qalign.mplug_owl2.engine.load import load_scorer
from qalign.mplug_owl2.inspection import inspect_model
from qalign.mplug_owl2.lora import apply_lora
from qalign.mplug_owl2.random_weights import architecture, random_model
from qalign.weights.errors import (
    CheckpointError,
    ConfigError,
    DeviceUnavailable,
    LoraError,
    ModelNotFound,
    NonFinite,
)


def load(directory):
    return load_checkpoint(directory, load_config(directory))


def change(directory, edit):
    file = directory / "model.safetensors"
    tensors = load_file(file)
    edit(tensors)
    save_file(tensors, file)


@pytest.mark.parametrize("kind", [torch.int8, torch.uint8, torch.float8_e4m3fn])
def test_quantised_weights_are_refused_by_their_type(checkpoint, kind):
    a, lora = checkpoint("tiny_a"), checkpoint("tiny_a_lora")
    change(a, lambda tensors: tensors.update({"lm_head.weight": tensors["lm_head.weight"].to(kind)}))
    with pytest.raises(CheckpointError, match=r"lm_head\.weight is stored as .*8"):
        load(a)
    file = lora / "adapter_model.bin"
    torch.save({key: value.to(kind) for key, value in torch.load(file).items()}, file)
    base = GOLDEN / "tiny_a" / "model"
    with pytest.raises(CheckpointError, match=r"lora_A.*is stored as"):
        apply_lora(load(base), lora)


def test_integers_instead_of_weights_are_named(checkpoint):
    a, lora = checkpoint("tiny_a"), checkpoint("tiny_a_lora")
    change(a, lambda tensors: tensors.update({"lm_head.weight": tensors["lm_head.weight"].long()}))
    with pytest.raises(CheckpointError, match=r"lm_head\.weight is int64, expected float32"):
        load(a)
    file = lora / "non_lora_trainables.bin"
    torch.save({key: value.long() for key, value in torch.load(file).items()}, file)
    base = GOLDEN / "tiny_a" / "model"
    with pytest.raises(LoraError, match="another shape or type"):
        apply_lora(load(base), lora)


def test_a_missing_config_is_named(checkpoint):
    a = checkpoint("tiny_a")
    (a / "config.json").unlink()
    with pytest.raises(ConfigError, match=r"config\.json does not exist"):
        load(a)


def test_a_pickle_that_would_run_code_is_refused(checkpoint, bomb):
    b = checkpoint("tiny_b")
    trap, value = bomb
    torch.save({"model.norm.weight": value}, b / "pytorch_model-00001-of-00002.bin")
    with pytest.raises(CheckpointError, match="is refused"):
        load(b)
    with pytest.raises(CheckpointError, match="is refused"):
        inspect_model(b)
    assert not trap.exists()


def test_one_error_lists_all_wrong_keys(checkpoint):
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
    assert "1 misshapen: model.embed_tokens.weight is [3, 64], expected [512, 64]" in message


def test_rotary_buffers_of_old_checkpoints_are_ignored(checkpoint):
    a = checkpoint("tiny_a")
    change(a, lambda tensors: tensors.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(8)}))
    load(a)


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
        ("rms_norm_eps", 0, "rms_norm_eps must be a finite number above 0"),
        ("rope_theta", float("inf"), "rope_theta must be a finite number above 0"),
        ("num_hidden_layers", 10**6, "num_hidden_layers must be at most 1024"),
        ("vocab_size", 10**30, "vocab_size must be at most"),
        ("tie_word_embeddings", True, "untied"),
        ("rope_scaling", {"type": "linear"}, "rope_scaling"),
        ("visual_config", None, "must be a JSON object"),
        ("vocab_size", None, "vocab_size must be"),
    ],
)
def test_unsupported_configs_are_refused(field, value, message):
    values = json.loads((GOLDEN / "tiny_a" / "model" / "config.json").read_text())
    values[field] = value
    with pytest.raises(ConfigError, match=message):
        parse_config(values)


@pytest.mark.parametrize("part", ["visual_model", "visual_abstractor"])
def test_parts_with_a_million_layers_are_refused(part):
    values = json.loads((GOLDEN / "tiny_a" / "model" / "config.json").read_text())
    values["visual_config"][part]["num_hidden_layers"] = 10**6
    with pytest.raises(ConfigError, match=f"{part}: num_hidden_layers must be at most 1024, not 1000000"):
        parse_config(values)


def test_a_picture_with_a_million_pixels_per_side_is_refused():
    values = json.loads((GOLDEN / "tiny_a" / "model" / "config.json").read_text())
    values["visual_config"]["visual_model"]["image_size"] = 10**6
    with pytest.raises(ConfigError, match="image_size must be at most 8192"):
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


def test_lora_variants_are_not_merged(checkpoint):
    lora = checkpoint("tiny_b_lora")
    file = lora / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"use_dora": True}))
    with pytest.raises(LoraError, match="use_dora "):
        apply_lora(load(GOLDEN / "tiny_b" / "model"), lora)


def test_a_lora_on_the_wrong_base_is_refused(checkpoint):
    with pytest.raises(LoraError, match="does not fit the base"):
        apply_lora(load(GOLDEN / "tiny_b" / "model"), checkpoint("tiny_a_lora"))
    with pytest.raises(LoraError, match="does not fit the base"):
        apply_lora(load(GOLDEN / "tiny_a" / "model"), checkpoint("tiny_b_lora"))


def test_an_incomplete_adapter_is_refused(checkpoint):
    lora = checkpoint("tiny_b_lora")
    tensors = load_file(lora / "adapter_model.safetensors")
    tensors.pop(sorted(tensors)[0])
    save_file(tensors, lora / "adapter_model.safetensors")
    with pytest.raises(LoraError, match=r"q_proj\.weight with"):
        apply_lora(load(GOLDEN / "tiny_b" / "model"), lora)


def test_inspection_reads_no_weights():
    a = inspect_model(GOLDEN / "tiny_a" / "model")
    model = load(GOLDEN / "tiny_a" / "model")
    stored = sum(value.numel() for value in model.state_dict().values())
    assert a["parameters"] == stored
    memory = a["memory_bytes"]
    assert [memory[name] for name in ("fp32", "bf16", "fp16")] == [4 * stored, 2 * stored, 2 * stored]
    assert memory["nf4"] < memory["int8"] == memory["fp8"] < memory["bf16"]
    assert sum(a["parameters_by_part"].values()) == sum(value.numel() for value in model.parameters())
    assert inspect_model(GOLDEN / "tiny_b" / "model")["tensors"] == len(load(GOLDEN / "tiny_b" / "model").state_dict())
    assert inspect_model(GOLDEN / "tiny_b_lora")["lora"] == {"r": 4, "alpha": 8}


def test_the_published_architecture_has_the_published_size():
    parameters = sum(value.numel() for value in meta_model(architecture("mplug_owl2_7b")).parameters())
    assert round(parameters / 1e9, 3) == 8.198


def test_loading_and_scoring_import_no_compiler():
    code = (
        "import sys, torch\n"
        "from qalign.mplug_owl2.engine.load import load_scorer\n"
        "from qalign.weights.answers import ScoreItem\n"
        "scorer = load_scorer(sys.argv[1])\n"
        "size = scorer.info.image_size\n"
        "item = ScoreItem([torch.zeros(1, size, size, 3, dtype=torch.uint8)], ['<|image|>The quality is'])\n"
        "assert scorer.score([item], ['good', 'bad'])[0].error is None\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(GOLDEN / "tiny_a" / "model")],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3] / "python")},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (done.stdout, done.returncode) == ("False\n", 0), done.stderr


def test_unknown_models_and_missing_devices_are_refused(tmp_path):
    for name in (str(tmp_path / "none"), "justaname", "./x/y", "a/b/c"):
        with pytest.raises(ModelNotFound):
            load_scorer(name)
    for device in ("cuda:77", "gpu", "meta"):
        with pytest.raises(DeviceUnavailable):
            load_scorer(str(GOLDEN / "tiny_a" / "model"), device=device)
    with pytest.raises(ConfigError, match="int4"):
        load_scorer(str(GOLDEN / "tiny_a" / "model"), precision="int4")
