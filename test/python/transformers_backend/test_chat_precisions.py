"""Quantised precisions of chat models: which layers are codes, their memory, drift and independence of the batch."""

import pytest
import torch

pytest.importorskip("transformers", reason="NOT RUN: needs the Python package transformers")

import tiny

from qalign.transformers_backend.inspection import inspect_model
from qalign.transformers_backend.load import load_scorer
from qalign.transformers_backend.quantised import quantisable, weight_bytes
from qalign.weights.answers import ChatPrompt, ScoreItem
from qalign.weights.codes import CODES
from qalign.weights.errors import ConfigError, DeviceUnavailable
from qalign.weights.quantised import CAPABILITY, QuantisedLinear, require_products

QUESTION = ChatPrompt("<|image|>How would you rate the quality of this image?", "The quality of the image is")
# Largest change of a logit of the tiny models, whose large random weights amplify rounding: bf16 moves them by 0.07.
DRIFT = {"fp8": 1.2, "int8": 0.5, "nf4": 4}
BATCH = 0.1  # of a logit: the products of bf16 round in an order that can depend on the batch


@pytest.fixture(scope="module", params=["qwen3_5", "internvl"])
def folder(request, tmp_path_factory):
    made = tmp_path_factory.mktemp(request.param)
    tiny.write(made, request.param)
    return made


def items():
    generator = torch.Generator().manual_seed(0)
    sizes = ((64, 64), (128, 64), (64, 192))
    pixels = [torch.randint(0, 256, (1, h, w, 3), dtype=torch.uint8, generator=generator) for h, w in sizes]
    return [ScoreItem([one], [QUESTION]) for one in pixels]


def logits(scorer, batch):
    found = scorer.score(batch, tiny.LEVELS)
    assert [one.error for one in found] == [None] * len(batch)
    return torch.tensor([one.prompts[0].logits for one in found])


@pytest.mark.parametrize("kind", CODES)
def test_scores_stay_near_fp32_and_do_not_depend_on_the_batch(folder, kind):
    plain, coded = load_scorer(str(folder)), load_scorer(str(folder), precision=kind)
    assert (coded.info.precision, coded.engine.dtype) == (kind, torch.bfloat16)
    assert coded.info.parameters == plain.info.parameters
    assert coded.info.weights_sha256 == plain.info.weights_sha256
    together, exact = logits(coded, items()), logits(plain, items())
    assert 0 < (together - exact).abs().max() < DRIFT[kind]
    alone = torch.cat([logits(coded, [item]) for item in items()])
    assert (together - alone).abs().max() < BATCH
    fixed = load_scorer(str(folder), precision=kind, deterministic=True)
    assert torch.equal(logits(fixed, items()), torch.cat([logits(fixed, [item]) for item in items()]))


@pytest.mark.parametrize("kind", CODES)
def test_blocks_are_codes_and_the_rest_is_bf16(folder, kind):
    model = load_scorer(str(folder), precision=kind).engine.model
    coded = {name for name, module in model.named_modules() if isinstance(module, QuantisedLinear)}
    assert any("language_model.layers" in name for name in coded)
    assert any("visual.blocks" in name or "vision_tower.encoder.layer" in name for name in coded)
    assert not any("merger" in name or "projector" in name or "head" in name for name in coded)
    assert not any(name.endswith(("in_proj_a", "in_proj_b")) for name in coded)
    assert all("weight" not in model.get_submodule(name)._parameters for name in coded)
    held = sum(value.nbytes for value in (*model.parameters(), *codes_of(model)))
    assert held == inspect_model(str(folder), offline=True)["memory_bytes"][kind]


def codes_of(model):
    return [value for name, value in model.named_buffers() if name.endswith((".codes", ".scales"))]


def test_only_8_bits_keep_the_ends_of_deep_stacks():
    shapes = {f"model.language_model.layers.{index}.mlp.up_proj.weight": (64, 32) for index in range(8)}
    shapes |= {"lm_head.weight": (64, 32), "model.language_model.layers.3.input_layernorm.weight": (32,)}
    kept = {kind: 8 - len(quantisable(shapes, kind)) for kind in CODES}
    assert kept == {"fp8": 2, "int8": 2, "nf4": 0}
    plain = 2 * (64 * 32 + 32)
    assert weight_bytes(shapes, "int8") == plain + 2 * 2 * 64 * 32 + 6 * (64 * 32 + 4 * 64)
    assert weight_bytes(shapes, "nf4") == plain + 8 * (64 * 32 // 2 + 4 * 64)


def test_gpus_without_the_products_are_refused_before_a_download(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old GPU")
    for kind, (major, minor) in CAPABILITY.items():
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, low=(major, minor - 1): low)
        with pytest.raises(DeviceUnavailable, match=kind):
            require_products(kind, torch.device("cuda", 0))


def test_a_model_whose_sizes_fit_no_code_is_refused(folder, monkeypatch):
    monkeypatch.setattr("qalign.transformers_backend.quantised.matrix_fits", lambda *shape: False)
    with pytest.raises(ConfigError, match="fits no layer of this model; use auto"):
        load_scorer(str(folder), precision="int8")
