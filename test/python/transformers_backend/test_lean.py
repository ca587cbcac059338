"""A worker loads and scores with transformers without torch's compiler, as its own process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("transformers", reason="NOT RUN: needs the Python package transformers")

import tiny

ROOT = Path(__file__).parents[3] / "python"
SCRIPT = """
import json, sys
from qalign.worker.torch_import import import_torch
import_torch()
from qalign.worker.dispatch import dispatch
from qalign.worker.handlers import Handlers
handlers = Handlers(lambda: None)
load = {"model": sys.argv[1], "backend": "transformers", "device": "cpu", "precision": "fp32", "offline": True}
prompt = {"text": "<|image|>How would you rate the quality of this image?", "stem": "The quality of the image is"}
score = {
    "items": [{"id": "x", "visuals": [{"frames": 1}], "prompts": [prompt]}],
    "levels": ["good", "bad"],
    "buffers": [{"dtype": "uint8", "shape": [1, 64, 96, 3]}],
}
for method, params, buffers in (("load_model", load, []), ("score", score, [bytes(64 * 96 * 3)])):
    request = {"id": "1", "method": method, "params": params}
    answer = dispatch(handlers, request, buffers, lambda progress: None)
names = ("torch._dynamo", "torch.distributed.tensor", "sympy", "torchvision")
heavy = [name for name in names if name in sys.modules]
import torch
print(json.dumps({"answer": answer, "heavy": heavy, "available": torch.distributed.is_available()}))
"""


def run(folder):
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.parametrize("family", ["qwen3_5", "internvl"])
def test_a_score_imports_no_compiler(tmp_path, family):
    tiny.write(tmp_path, family)
    found = run(tmp_path)
    assert len(found["answer"]["result"]["items"][0]["prompts"][0]["logits"]) == 2
    assert found["heavy"] == [] and found["available"] is True


def test_a_kind_of_mask_can_still_import_it(tmp_path):
    tiny.write(tmp_path, "gemma3")
    assert len(run(tmp_path)["answer"]["result"]["items"][0]["prompts"][0]["logits"]) == 2
