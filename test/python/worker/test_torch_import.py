"""The import of torch that a worker makes, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
NANO = ROOT / "configs" / "models" / "nano"

SCORE = """
import json, sys
from qalign.worker.torch_import import Postponed, import_torch
if sys.argv[2] == "postponed":
    import_torch()
import torch
from qalign.mplug_owl2.engine.load import load_scorer
from qalign.weights.answers import ScoreItem
threads = torch.get_num_threads()
scorer = load_scorer(sys.argv[1])
assert torch.get_num_threads() == threads
shape = scorer.engine.config.frame_shape
pixels = torch.arange(torch.Size(shape).numel()).view(1, *shape).remainder(251).to(torch.uint8)
(answer,) = scorer.score([ScoreItem([pixels], ["USER: rate\\n<|image|>\\nASSISTANT: The quality is"])], ["good", "bad"])
loaded = [name for name, module in sys.modules.items() if not isinstance(module, Postponed)]
print(json.dumps({"logits": answer.prompts[0].logits, "version": torch.__version__, "loaded": loaded}))
"""

COMPLETE = """
import sys
from qalign.worker.torch_import import POSTPONED, Postponed, Postponing, import_torch
import_torch()
import torch
was_postponed = isinstance(sys.modules["torch.export"], Postponed)
assert callable(torch.export.export)
import torch._dynamo
assert not [name for name in POSTPONED if isinstance(sys.modules[name], Postponed)]
assert not [finder for finder in sys.meta_path if isinstance(finder, Postponing)]
assert torch.nn.functional.grid_sample(
    torch.empty(1, 1, 4, 4, device="meta"), torch.empty(1, 2, 2, 2, device="meta"), align_corners=False
).shape == (1, 1, 2, 2)
print(was_postponed)
"""

HEAVY = ("torch._dynamo", "torch._inductor", "sympy", "triton", "transformers", "huggingface_hub", "scipy")


def run(script: str, *args: str) -> str:
    ran = subprocess.run([sys.executable, "-c", script, *args], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_first_score_imports_no_compiler_and_has_the_same_bits():
    lean, whole = (json.loads(run(SCORE, str(NANO), how)) for how in ("postponed", "whole"))
    assert lean["logits"] == whole["logits"]
    assert not [name for name in lean["loaded"] if name in HEAVY]
    if lean["version"].startswith("2.13."):
        assert not {"torch._refs", "torch._decomp", "torch._meta_registrations", "torch.export"} & {*lean["loaded"]}
        assert "torch._refs" in whole["loaded"]


def test_postponed_modules_are_imported_at_their_first_use():
    assert run(COMPLETE).strip() in ("True", "False")
