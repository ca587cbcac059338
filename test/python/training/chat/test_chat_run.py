"""Whole runs of tiny chat models: the loss falls, a killed run resumes, and the exported model scores the same."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

pytest.importorskip("transformers", reason="NOT RUN: needs the Python package transformers")

import chat_data
import numpy as np
import tiny
from training_golden import ROOT

from qalign.transformers_backend.families import FAMILIES
from qalign.transformers_backend.library import library_class, without_network
from qalign.transformers_backend.load import load_scorer
from qalign.weights.answers import ChatPrompt, ScoreItem

SMART = {"kind": "smart", "multiple": 32, "min_pixels": 4096, "max_pixels": 65536}
NATIVE = {"kind": "native"}
QUESTION = ChatPrompt("<|image|>How would you rate the quality of this image?", "The quality of the image is")
LORA = {"r": 4, "alpha": 8, "dropout": 0.05, "abstractor": True, "quantise_base": None}


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "python"), "OMP_NUM_THREADS": "1"}


def command(folder: Path, processes: int = 1) -> list[str]:
    run = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m", "qalign.training"]
    return [sys.executable, *run, str(folder)]


def train(folder: Path, processes: int = 1) -> subprocess.CompletedProcess:
    return subprocess.run(
        command(folder, processes), env=environment(), capture_output=True, text=True, timeout=300, check=False
    )


def events(folder: Path, kind: str) -> list[dict]:
    rows = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines() if line.endswith("}")]
    return [row for row in rows if row["event"] == kind]


def curve(folder: Path) -> dict[int, float]:
    return {row["step"]: row["loss"] for row in events(folder, "step")}


def pixels() -> torch.Tensor:
    noise = np.random.default_rng(5).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    return torch.from_numpy(noise)


def logits_of(model: Path) -> list[float]:
    (found,) = load_scorer(str(model)).score([ScoreItem([pixels()], [QUESTION])], list(chat_data.LEVELS))
    return found.prompts[0].logits


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run over 200 pictures drawn here."""
    base = tmp_path_factory.mktemp("chat")
    tiny.write(base / "tiny", "qwen3_5")
    data = chat_data.prepare_rectangles(base / "data", SMART, count=200)
    run = chat_data.make_run(base / "run", base / "tiny", data, batch_size=40, micro_batch=20, epochs=2)
    done = train(run)
    assert done.returncode == 0, done.stderr[-3000:]
    return run


def test_training_on_200_pictures_lowers_the_loss(whole: Path) -> None:
    losses = list(curve(whole).values())
    assert len(losses) == 10 and losses[-1] < 0.5 * losses[0]
    assert events(whole, "end")[-1]["status"] == "completed"
    assert {row["items"] for row in events(whole, "evaluation")} == {8}
    assert {row["mfu"] for row in events(whole, "step")} == {None}


def test_a_killed_run_resumes_to_the_same_steps(whole: Path, tmp_path: Path) -> None:
    run = chat_data.make_run(
        tmp_path / "run", whole.parent / "tiny", whole.parent / "data", batch_size=40, micro_batch=20, epochs=2
    )
    victim = subprocess.Popen(command(run), env=environment(), start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not list((run / "checkpoints").glob("step-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    assert not (run / "model").exists()
    done = train(run)
    assert done.returncode == 0, done.stderr[-3000:]
    assert events(run, "resumed")[0]["step"] >= 2
    assert curve(run) == curve(whole)


def theirs(network, processor, family: str) -> list[float]:
    """The level logits of the library's own forward pass."""
    scorer = load_scorer(str(processor))
    text = scorer._chat.render(QUESTION, [1])
    pictures = scorer._preparing.prepare([pixels()])
    asked = scorer._asked(QUESTION, [1], pictures, list(chat_data.LEVELS))
    assert asked.rendered == text
    options = {"input_ids": torch.tensor([asked.ids])}
    if pictures.tensors is None:
        options["pixel_values"] = torch.cat([scorer._preparing.patches(frame) for frame in pictures.frames])
        options["image_grid_thw"] = torch.tensor(pictures.grids)
        options["mm_token_type_ids"] = torch.tensor(scorer._processor.create_mm_token_type_ids([asked.ids]))
    else:
        options |= pictures.tensors
    with torch.inference_mode():
        row = network(**options, use_cache=False).logits[0, -1]
    return [row[asked.levels[word][0]].item() for word in chat_data.LEVELS]


def test_the_exported_model_scores_the_same_in_transformers_and_in_qalign(whole: Path) -> None:
    model = whole / "model"
    with without_network():
        network = library_class(FAMILIES["qwen3_5"].model).from_pretrained(str(model)).eval()
    assert theirs(network, model, "qwen3_5") == pytest.approx(logits_of(model), abs=2e-5)
    assert logits_of(model) != pytest.approx(logits_of(whole.parent / "tiny"), abs=0.1)
    names = {file.name for file in model.iterdir()}
    assert {"config.json", "tokenizer.json", "preprocessor_config.json", "chat_template.jinja", "qalign.json"} <= names


@pytest.mark.parametrize("family", ["internvl", "qwen2_5_vl", "llava_onevision"])
def test_other_families_are_exported_by_the_names_of_their_files(family: str, tmp_path: Path) -> None:
    from safetensors import safe_open

    tiny.write(tmp_path / "tiny", family)
    shown = load_scorer(str(tmp_path / "tiny")).info.preparation
    sizes = ((56, 84), (84, 84), (56, 56)) if family == "qwen2_5_vl" else chat_data.SIZES
    data = chat_data.prepare_rectangles(tmp_path / "data", shown, count=8, sizes=sizes)
    run = chat_data.make_run(tmp_path / "run", tmp_path / "tiny", data, max_steps=1, export_weights="bf16")
    done = train(run)
    assert done.returncode == 0, done.stderr[-3000:]
    keys = [set(safe_open(place / "model.safetensors", "pt").keys()) for place in (tmp_path / "tiny", run / "model")]
    assert keys[0] == keys[1]
    network = load_scorer(str(run / "model"), precision="bf16").engine.model
    assert {value.dtype for value in network.parameters()} == {torch.bfloat16}


def test_lora_exports_an_adapter_that_peft_loads_and_the_merged_model(whole: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="NOT RUN: needs the Python package peft")
    tiny_model = whole.parent / "tiny"
    run = chat_data.make_run(
        tmp_path / "run", tiny_model, whole.parent / "data", lora=LORA, max_steps=3, batch_size=20, micro_batch=20,
        learning_rates={"default": 1e-2, "merger": 1e-3}, objective={"next_token": 1.0, "soft_label": 1.0,
        "fidelity": 0.5, "in_level": 0.1},
    )  # fmt: skip
    done = train(run)
    assert done.returncode == 0, done.stderr[-3000:]
    with without_network():
        base = library_class(FAMILIES["qwen3_5"].model).from_pretrained(str(tiny_model))
        adapted = peft.PeftModel.from_pretrained(base, str(run / "adapter")).merge_and_unload().eval()
    assert theirs(adapted, tiny_model, "qwen3_5") == pytest.approx(logits_of(run / "model"), abs=1e-4)
    assert logits_of(run / "model") != pytest.approx(logits_of(tiny_model), abs=1e-2)


def test_two_processes_equal_one_with_accumulation(whole: Path, tmp_path: Path) -> None:
    run = chat_data.make_run(
        tmp_path / "run", whole.parent / "tiny", whole.parent / "data", batch_size=40, micro_batch=20, epochs=2
    )
    done = train(run, processes=2)
    assert done.returncode == 0, done.stderr[-3000:]
    found, wanted = list(curve(run).values()), list(curve(whole).values())
    assert found[:3] == pytest.approx(wanted[:3], rel=1e-5)
    assert found == pytest.approx(wanted, rel=1e-2)  # Adam enlarges the rounding of gradients that are almost zero


def test_settings_of_the_first_family_are_refused(whole: Path, tmp_path: Path) -> None:
    for changes, words in (
        ({"dropout": 0.1, "cache_features": True}, "cache_features, dropout"),
        ({"freeze": ["abstractor"]}, "no part abstractor"),
        ({"lora": {**LORA, "quantise_base": "nf4"}}, "quantise_base"),
    ):
        run = chat_data.make_run(
            tmp_path / f"run-{len(words)}", whole.parent / "tiny", whole.parent / "data", **changes
        )
        assert train(run).returncode != 0
        end = events(run, "end")[-1]
        assert end["code"] == "CONFIG_INVALID" and words in end["message"]
