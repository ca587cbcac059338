"""adapter_config.json: plain LoRA is read, everything else is refused by name."""

import json

import pytest

from qalign.weights.errors import LoraError
from qalign.weights.lora_config import is_lora, lora_files, read_lora_config


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
        read_lora_config(lora)


def test_a_lora_is_known_by_its_config_and_names_its_files(checkpoint):
    assert not is_lora(checkpoint("tiny_a"))
    a, b = checkpoint("tiny_a_lora"), checkpoint("tiny_b_lora")
    assert is_lora(a) and is_lora(b)
    assert [file.name for file in lora_files(a)] == ["adapter_model.bin", "non_lora_trainables.bin"]
    assert [file.name for file in lora_files(b)] == ["adapter_model.safetensors"]
    assert read_lora_config(b)["r"] == 4
    (b / "adapter_model.safetensors").unlink()
    with pytest.raises(LoraError, match="holds neither"):
        lora_files(b)
