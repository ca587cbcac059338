"""Models of transformers are described from their files, without the package transformers."""

import json
import sys

import pytest
import torch
from safetensors.torch import save_file

from qalign.transformers_backend.inspection import inspect_model
from qalign.weights.codes import CODES
from qalign.weights.errors import CheckpointError, ConfigError
from qalign.worker.handlers import Handlers


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen3_5", "text_config": {"hidden_size": 4}}))
    save_file({"a": torch.zeros(3, 4), "b": torch.zeros(5)}, tmp_path / "model.safetensors")
    return tmp_path


def test_counts_parameters_memory_and_files(folder):
    found = inspect_model(str(folder), offline=True)
    size = (folder / "model.safetensors").stat().st_size
    assert found["files"] == [{"name": "model.safetensors", "bytes": size}]
    assert (found["family"], found["parameters"], found["tensors"], found["views"]) == ("qwen3_5", 17, 2, ["whole"])
    assert found["memory_bytes"] == {"fp32": 68, **dict.fromkeys(("bf16", "fp16", *CODES), 34)}  # no blocks
    json.dumps(found)


def test_the_worker_picks_it_by_backend(folder):
    before = set(sys.modules)
    params = {"model": str(folder), "offline": True, "backend": "transformers"}
    found = Handlers(lambda: None).inspect_model(params, [], lambda progress: None)
    assert found["inspection"]["family"] == "qwen3_5"
    assert not any(name == "transformers" or name.startswith("transformers.") for name in set(sys.modules) - before)


def test_refuses_other_models_and_damaged_files(folder):
    (folder / "model.safetensors").write_bytes(b"\0" * 7)
    with pytest.raises(CheckpointError):
        inspect_model(str(folder))
    (folder / "config.json").write_text(json.dumps({"model_type": "mplug_owl2"}))
    with pytest.raises(ConfigError, match="supports qwen2_5_vl"):
        inspect_model(str(folder))
