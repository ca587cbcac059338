"""adapter_config.json: plain LoRA is accepted, and variants are refused by name."""

import json
import shutil

import pytest
import torch
from golden import GOLDEN
from safetensors.torch import load_file, save_file

from qalign.mplug_owl2.checkpoint import load_checkpoint
from qalign.mplug_owl2.config import load_config
from qalign.mplug_owl2.lora import apply_lora
from qalign.weights.errors import LoraError
from qalign.weights.lora_config import FREE, NEUTRAL, is_lora, is_neutral, lora_files, read_lora_config

CASES = GOLDEN.parent / "cases"
# The fields that PEFT 0.21 writes for LoraConfig(), which include those of all versions since 0.4.
PEFT_0_21 = {
    **{"task_type": None, "peft_type": "LORA", "auto_mapping": None, "peft_version": "0.21.2", "revision": None},
    **{"base_model_name_or_path": None, "inference_mode": True, "r": 4, "target_modules": ["q_proj"]},
    **{"exclude_modules": None, "lora_alpha": 8, "lora_dropout": 0.0, "fan_in_fan_out": False, "bias": "none"},
    **{"use_rslora": False, "modules_to_save": None, "init_lora_weights": True, "layers_to_transform": None},
    **{"layers_pattern": None, "rank_pattern": {}, "alpha_pattern": {}, "megatron_config": None},
    **{"megatron_core": "megatron.core", "trainable_token_indices": None, "loftq_config": {}, "eva_config": None},
    **{"corda_config": None, "lora_ga_config": None, "use_dora": False, "velora_config": None},
    **{"alora_invocation_tokens": None, "use_qalora": False, "qalora_group_size": 16, "monteclora_config": None},
    **{"layer_replication": None, "lora_bias": False, "target_parameters": None, "use_bdlora": None},
    **{"arrow_config": None, "kasa_config": None, "ensure_weight_tying": False},
}


def change(lora, fields):
    file = lora / "adapter_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("use_dora", True),
        ("use_rslora", True),
        ("use_qalora", True),
        ("use_bdlora", {"target_modules_bd_a": ["q_proj"]}),
        ("alora_invocation_tokens", [319, 1799]),
        ("arrow_config", {"top_k": 2}),
        ("arrow_config", {}),
        ("kasa_config", {}),
        ("velora_config", {"num_groups": 4}),
        ("monteclora_config", {"num_samples": 4}),
        ("lora_bias", True),
        ("rank_pattern", {"q_proj": 4}),
        ("alpha_pattern", {"q_proj": 4}),
        ("modules_to_save", ["lm_head"]),
        ("target_parameters", ["q_proj.weight"]),
        ("trainable_token_indices", [1]),
        ("layer_replication", [[0, 2]]),
        ("megatron_config", {"tp": 2}),
        ("enable_lora", [True, False]),
        ("fan_in_fan_out", True),
        ("bias", "all"),
        ("bias", "lora_only"),
        ("peft_type", "LOHA"),
        ("peft_type", "ADALORA"),
        ("init_lora_weights", "pissa"),
        ("init_lora_weights", "pissa_niter_4"),
        ("init_lora_weights", "olora"),
        ("init_lora_weights", "loftq"),
        ("init_lora_weights", "corda"),
        ("init_lora_weights", "lora_ga"),
        ("init_lora_weights", "of_2027"),
        ("init_lora_weights", 1),
        ("loftq_config", {"loftq_bits": 4}),
        ("corda_config", {"corda_method": "ipm"}),
        ("lora_ga_config", {"scale": "stable"}),
        ("use_lora_of_2027", True),
        ("lora_of_2027_config", {"gamma": 0.1}),
        ("gamma_2027", 0),
        ("mode_2027", "sum"),
        ("r", 0),
        ("r", True),
        ("r", 4.0),
        ("lora_alpha", None),
        ("lora_alpha", True),
        ("lora_alpha", float("nan")),
        ("lora_alpha", float("inf")),
    ],
)
def test_lora_variants_are_refused_by_name(checkpoint, field, value):
    lora = checkpoint("tiny_b_lora")
    change(lora, {field: value})
    with pytest.raises(LoraError, match=rf"{field} is ") as caught:
        read_lora_config(lora)
    assert caught.value.code == "MODEL_INVALID"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("init_lora_weights", way) for way in (False, None, "gaussian", "Gaussian", "eva", "orthogonal", "mica")),
        ("eva_config", {"rho": 2.0}),
        ("qalora_group_size", 32),
        ("target_modules", r".*q_proj"),
        ("layers_to_transform", [0, 1]),
        ("layers_pattern", "layers"),
        ("exclude_modules", ["lm_head"]),
        ("auto_mapping", {"base_model_class": "X"}),
        ("runtime_config", {"ephemeral_gpu_offload": False}),
        ("merge_weights", True),
        *((f"field_of_2027_{n}", value) for n, value in enumerate((None, False, "", [], {}))),
    ],
)
def test_fields_without_an_effect_on_the_merge_are_accepted(checkpoint, field, value):
    lora = checkpoint("tiny_b_lora")
    change(lora, {field: value})
    assert read_lora_config(lora)["r"] == 4


def test_the_config_that_peft_writes_for_plain_lora_is_accepted(checkpoint):
    lora = checkpoint("tiny_b_lora")
    (lora / "adapter_config.json").write_text(json.dumps(PEFT_0_21))
    read_lora_config(lora)
    unknown = [name for name in PEFT_0_21 if name not in (*FREE, *NEUTRAL, "r", "lora_alpha")]
    assert unknown == []


def test_the_installed_peft_has_no_unknown_field():
    peft = pytest.importorskip("peft")
    fields = peft.LoraConfig(r=4, target_modules=["q_proj"]).to_dict()
    written = json.loads(json.dumps(fields, default=list))
    assert [name for name, value in written.items() if not is_neutral(name, value)] == []


@pytest.mark.parametrize(("case", "field"), [("alora", "alora_invocation_tokens"), ("lora_ga", "init_lora_weights")])
def test_variants_of_the_cases_are_not_merged_as_plain_lora(checkpoint, case, field):
    lora = checkpoint("tiny_a_lora")
    shutil.copy(CASES / f"adapter_config.{case}.json", lora / "adapter_config.json")
    base = GOLDEN / "tiny_a" / "model"
    with pytest.raises(LoraError, match=rf"{field} is "):
        apply_lora(load_checkpoint(base, load_config(base)), lora)


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("lora_magnitude_vector", "DoRA"),
        ("lora_B.bias", "lora_bias"),
        ("lora_diag", "KaSA"),
        ("lora_embedding_A", "an adapter of an embedding"),
        ("lora_of_2027", "does not fit"),
    ],
)
def test_tensors_of_variants_are_refused_with_any_config(checkpoint, name, variant):
    lora = checkpoint("tiny_b_lora")
    file = lora / "adapter_model.safetensors"
    tensors = load_file(file)
    key = sorted(tensors)[0].rsplit(".lora_", 1)[0] + f".{name}"
    save_file(tensors | {key: torch.ones(4)}, file)
    base = GOLDEN / "tiny_b" / "model"
    with pytest.raises(LoraError, match=variant) as caught:
        apply_lora(load_checkpoint(base, load_config(base)), lora)
    assert key in str(caught.value)


def test_a_lora_is_recognised_by_its_config_and_lists_its_files(checkpoint):
    assert not is_lora(checkpoint("tiny_a"))
    a, b = checkpoint("tiny_a_lora"), checkpoint("tiny_b_lora")
    assert is_lora(a) and is_lora(b)
    assert [file.name for file in lora_files(a)] == ["adapter_model.bin", "non_lora_trainables.bin"]
    assert [file.name for file in lora_files(b)] == ["adapter_model.safetensors"]
    assert read_lora_config(b)["r"] == 4
    (b / "adapter_model.safetensors").unlink()
    with pytest.raises(LoraError, match="holds neither"):
        lora_files(b)


def test_base_tensors_in_an_unsupported_file_are_an_error(checkpoint):
    lora = checkpoint("tiny_b_lora")
    save_file({"model.norm.weight": torch.ones(4)}, lora / "non_lora_trainables.safetensors")
    with pytest.raises(LoraError, match=r"non_lora_trainables\.safetensors, which qalign does not read"):
        lora_files(lora)


def test_a_checkpoint_with_a_leftover_adapter_config_is_not_a_lora(checkpoint):
    a = checkpoint("tiny_a")
    shutil.copy(GOLDEN / "tiny_a_lora" / "adapter_config.json", a)
    assert not is_lora(a)
    shutil.copy(GOLDEN / "tiny_a_lora" / "adapter_model.bin", a)
    assert is_lora(a)
