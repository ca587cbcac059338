"""Requests about a model of transformers, called with messages."""

import pytest
import torch
from golden import GOLDEN, LEVELS

pytest.importorskip("transformers", reason="NOT RUN: needs the Python package transformers")

import tiny

from qalign.worker.dispatch import dispatch
from qalign.worker.handlers import Handlers

PROMPT = {"text": "<|image|>How would you rate the quality of this image?", "stem": "The quality of the image is"}


def asking():
    handlers = Handlers(lambda: None)

    def call(method, params, *buffers):
        answer = dispatch(handlers, {"id": "1", "method": method, "params": params}, buffers, lambda progress: None)
        return answer.get("result", answer.get("error"))

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("qwen3_vl")
    tiny.write(made, "qwen3_vl")
    return made


def load(ask, folder, **more):
    params = {"model": str(folder), "device": "cpu", "precision": "auto", "offline": True, "backend": "transformers"}
    return ask("load_model", {**params, **more})


def score(ask, prompt=PROMPT, shape=(1, 64, 96, 3), **visual):
    pixels = torch.zeros(shape, dtype=torch.uint8)
    params = {
        "items": [{"id": "x", "visuals": [visual or {"frames": shape[0]}], "prompts": [prompt]}],
        "levels": LEVELS,
        "buffers": [] if visual else [{"dtype": "uint8", "shape": list(shape)}],
    }
    return ask("score", params, *([] if visual else [pixels.numpy().tobytes()]))


@pytest.fixture(scope="module")
def ask(folder):
    call = asking()
    call.model = load(call, folder)["model"]
    return call


def test_the_loaded_model_is_described(ask):
    assert ask.model["family"] == "qwen3_vl" and ask.model["views"] == ["whole"]
    assert ask.model["preparation"] == {"kind": "smart", "multiple": 32, "min_pixels": 4096, "max_pixels": 65536}
    assert len(ask.model["processing_sha256"]) == 64


def test_a_score_has_the_rendered_text_and_the_tokens(ask):
    (item,) = score(ask)["items"]
    (prompt,) = item["prompts"]
    assert prompt["rendered"].endswith("assistant\nThe quality of the image is")
    assert set(prompt["level_tokens"]) == set(LEVELS) and len(prompt["logits"]) == 5
    assert prompt["log_sum_exp"] > max(prompt["logits"])


def test_what_chat_models_do_not_do_is_refused(ask):
    (item,) = score(ask, {"text": PROMPT["text"]})["items"]
    assert item["error"]["code"] == "INVALID_REQUEST" and "stem" in item["error"]["message"]
    (item,) = score(ask, clip="a", first=0, frames=2)["items"]
    assert item["error"]["code"] == "INVALID_REQUEST" and "whole" in item["error"]["message"]
    assert score(ask, {**PROMPT, "frames": [0, 1]})["code"] == "INVALID_REQUEST"
    pixels = {"buffers": [{"dtype": "uint8", "shape": [1, 64, 64, 3]}]}
    encoded = ask("encode", {"clip": "a", "first": 0, **pixels}, bytes(64 * 64 * 3))
    assert encoded["code"] == "INVALID_REQUEST"
    said = {"items": [{"id": "x", "visuals": [{"frames": 1}], "prompts": ["<|image|>"]}], "max_new_tokens": 4}
    assert ask("generate", {**said, **pixels}, bytes(64 * 64 * 3))["code"] == "INVALID_REQUEST"
    assert ask("release", {"clip": "a"}) == {"clips": 0, "bytes": 0}


def test_settings_of_the_other_backend_are_refused(folder):
    ask = asking()
    warm_up = {"prompts": [["a"]], "levels": LEVELS}
    assert load(ask, folder, warm_up=warm_up)["code"] == "INVALID_REQUEST"
    tiny_a = GOLDEN / "tiny_a" / "model"
    plain = {"model": str(tiny_a), "device": "cpu", "precision": "fp32", "offline": True}
    assert ask("load_model", {**plain, "chat": {"thinking": False}})["code"] == "INVALID_REQUEST"
    assert ask("load_model", plain)["model"]["image_size"] == 56
    (item,) = score(ask, PROMPT, (1, 56, 56, 3))["items"]
    assert item["error"]["code"] == "INVALID_REQUEST" and "stem" in item["error"]["message"]


def test_the_models_of_both_backends_replace_each_other(folder):
    ask = asking()
    tiny_a = GOLDEN / "tiny_a" / "model"
    plain = {"model": str(tiny_a), "device": "cpu", "precision": "fp32", "offline": True}
    assert "family" not in ask("load_model", plain)["model"]
    assert load(ask, folder, chat={"thinking": False, "system": "Be exact."})["model"]["family"] == "qwen3_vl"
    assert "system" in score(ask)["items"][0]["prompts"][0]["rendered"]
    assert "family" not in ask("load_model", plain)["model"]
