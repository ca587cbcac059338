"""The reference cases of test/fixtures/golden as tensors, for the tests in this directory."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from qalign.mplug_owl2.checkpoint import load_checkpoint
from qalign.mplug_owl2.config import load_config
from qalign.mplug_owl2.model import MPLUGOwl2
from qalign.mplug_owl2.normalise import CLIP, normalisation_table, normalise
from qalign.mplug_owl2.tokenizer import Tokenizer

GOLDEN = Path(__file__).parents[2] / "fixtures" / "golden"
SHARED = Path(__file__).parents[3].parent / "shared" / "golden"
LEVELS = ["excellent", "good", "fair", "poor", "bad"]
TOLERANCE = 1e-4
TINY = ("tiny_a", "tiny_b")


@dataclass(frozen=True)
class Case:
    name: str
    prompt: str
    input_ids: list[int]
    frames: list[int]  # frames per visual
    pixels: Tensor  # uint8 [ΣF, S, S, 3]
    level_logits: Tensor
    last_logits: Tensor | None

    @property
    def visuals(self) -> list[Tensor]:
        return list(self.pixels.split(self.frames))


@cache
def tensors(name: str) -> dict[str, Tensor]:
    return load_file(GOLDEN / name / "scores.safetensors")


@cache
def prepared(name: str) -> dict[str, Tensor]:
    return load_file(GOLDEN / name / "prepared.safetensors")


@cache
def scores(name: str) -> dict:
    return json.loads((GOLDEN / name / "scores.json").read_text())


@cache
def cases(name: str) -> dict[str, Case]:
    inputs = scores(name).get("inputs_of", name)
    found = {}
    for index, case in enumerate(scores(name)["cases"]):
        several = case.get("kind") == "images"
        count = len(case["inputs"])
        label = case.get("name", f"case_{index}")
        last = tensors(name).get(f"{label}.last_logits") if "name" in case else None
        found[label] = Case(
            name=label,
            prompt=case["prompt"],
            input_ids=case.get("input_ids", []),
            frames=[1] * count if several else [count],
            pixels=torch.stack([prepared(inputs)[file] for file in case["inputs"]]),
            level_logits=torch.tensor(case["level_logits"]),
            last_logits=last,
        )
    return found


@cache
def tokenizer(name: str) -> Tokenizer:
    return Tokenizer(GOLDEN / name / "model")


def load_tiny(name: str) -> MPLUGOwl2:
    directory = GOLDEN / name / "model"
    return load_checkpoint(directory, load_config(directory))


@torch.inference_mode()
def literal_logits(model: MPLUGOwl2, case: Case) -> Tensor:
    """The literal path's logits at the last position, [V]."""
    pixels = normalise(case.pixels, normalisation_table(CLIP), torch.float32)
    return model([case.input_ids], [case.frames], pixels)[0, -1]


def worst(a: Tensor, b: Tensor) -> float:
    """Largest absolute difference. NaN counts as infinite."""
    return float((a - b).abs().nan_to_num(nan=float("inf")).max())
