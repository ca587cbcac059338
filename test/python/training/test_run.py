"""Whole runs on a tiny checkpoint: one process or two, interrupted or not, LoRA, export."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from training_golden import GOLDEN, ROOT

from qalign.mplug_owl2.engine.load import load_scorer
from qalign.training.files.model_files import load_network
from qalign.weights.answers import ScoreItem

LEVELS = ("excellent", "good", "fair", "poor", "bad")


def prepare_data(folder: Path, count: int = 24, size: int = 56, views: tuple[str, ...] = ("whole",)) -> Path:
    """Pictures of falling brightness, of which every fifth is a clip of two frames. Eight are also the dev split."""
    folder.mkdir()
    random = np.random.default_rng(0)
    splits = {}
    for split, items in (("train", count), ("dev", 8)):
        rows, frames = [], 0
        with (folder / f"{split}.pixels").open("wb") as pixels:
            for k in range(items):
                level = k % 5
                number = 2 if k % 5 == 4 else 1
                picture = random.integers(0, 60, (number, len(views) * size, size, 3)) + 190 - 40 * level
                pixels.write(picture.astype(np.uint8).tobytes())
                word = LEVELS[level]
                probs = [float(j == level) for j in range(5)]
                rows.append(
                    {"id": f"{split}{k}", "question": "How is it?", "answer": f"The quality of the image is {word}.",
                     "level": word, "first_frame": frames, "frames": number, "dataset": "toy", "mos": 5.0 - level,
                     "mos_std": 0.3, "level_probs": probs}
                )  # fmt: skip
                frames += number
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(text)
        splits[split] = {"size": size, "sha256": hashlib.sha256(text.encode()).hexdigest()}
        if len(views) > 1:
            splits[split]["views"] = views
    (folder / "manifest.json").write_text(json.dumps({"splits": splits}))
    return folder


def make_run(folder: Path, data: Path, **changes: object) -> Path:
    folder.mkdir()
    model = str(GOLDEN / "tiny_a" / "model")
    recipe = {
        "model": "tiny_a", "model_path": model, "data_path": str(data), "init": "pretrained", "encoder_weights": None,
        "base_path": None, "compute": "fp32", "ema": None, "trackers": [], "skipped": 0, "score_text": False,
        "data": {"weights": {}},
        "weights": "fp32", "device": "cpu", "seed": 7, "epochs": 2, "max_steps": None, "batch_size": 8,
        "micro_batch": 4,
        "learning_rates": {"default": 1e-3}, "schedule": "cosine", "warmup": 0.1, "weight_decay": 0.0,
        "betas": [0.9, 0.999], "clip": 1.0, "optimizer": "adamw", "freeze": [], "lora": None, "recompute": True,
        "dropout": 0.1, "augment": {"flip": True}, "cache_features": False, "fixed_pair_std": True,
        "objective": {"next_token": 1.0, "soft_label": 0.5, "fidelity": 0.5, "in_level": 0.0},
        "save_every": 2, "keep_checkpoints": 3, **changes,
    }  # fmt: skip
    (folder / "recipe.json").write_text(json.dumps(recipe))
    return folder


def command(folder: Path, processes: int) -> list[str]:
    run = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m", "qalign.training"]
    return [sys.executable, *run, str(folder)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT / "python"), "OMP_NUM_THREADS": "1"}


def train(folder: Path, processes: int = 1) -> subprocess.CompletedProcess:
    done = subprocess.run(command(folder, processes), env=environment(), capture_output=True, text=True, timeout=200)
    return done


def events(folder: Path, kind: str) -> list[dict]:
    lines = (folder / "events.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return [row for row in rows if row["event"] == kind]


def curve(folder: Path) -> dict[int, float]:
    return {row["step"]: row["loss"] for row in events(folder, "step")}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("whole")
    run = make_run(base / "run", prepare_data(base / "data"))
    done = train(run)
    assert done.returncode == 0, done.stderr[-3000:]
    return run


def score_of(model: Path, base: str | None = None) -> list[float]:
    """Five level logits of a grey picture, from the scorer instead of the training code."""
    scorer = load_scorer(str(model), base=base)
    item = ScoreItem(
        [torch.full((1, 56, 56, 3), 90, dtype=torch.uint8)], ["USER: How is it?\n<|image|>\nASSISTANT: It is"]
    )
    return scorer.score([item], list(LEVELS))[0].prompts[0].logits


def test_a_run_ends_with_a_model_that_loads(whole: Path) -> None:
    assert events(whole, "end")[-1]["status"] == "completed"
    losses = list(curve(whole).values())
    assert losses[-1] < losses[0]
    assert {row["items"] for row in events(whole, "evaluation")} == {8}
    before, after = load_network(GOLDEN / "tiny_a" / "model"), load_network(whole / "model")
    assert not torch.equal(before.lm_head.weight, after.lm_head.weight)
    assert score_of(whole / "model") != score_of(GOLDEN / "tiny_a" / "model")


def test_two_processes_equal_one_with_accumulation(whole: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", whole.parent / "data")
    done = train(run, processes=2)
    assert done.returncode == 0, done.stderr[-3000:]
    assert curve(run) == pytest.approx(curve(whole), rel=1e-5)


def test_resume_after_kill_equals_the_uninterrupted_run(whole: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", whole.parent / "data")
    victim = subprocess.Popen(command(run, 1), env=environment(), start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 100
    while not list((run / "checkpoints").glob("step-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(victim.pid, signal.SIGKILL)
    victim.wait()
    assert not (run / "model").exists()
    done = train(run)
    assert done.returncode == 0, done.stderr[-3000:]
    assert events(run, "resumed")[0]["step"] >= 2
    assert curve(run) == curve(whole)


def test_stop_file_ends_after_the_step_with_a_checkpoint(whole: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", whole.parent / "data")
    (run / "stop").touch()
    assert train(run).returncode == 0
    assert events(run, "end")[-1] | {"time": 0} == {"event": "end", "time": 0, "status": "stopped", "step": 1}
    (run / "stop").unlink()
    assert train(run).returncode == 0
    assert curve(run) == curve(whole)


def test_lora_exports_an_adapter_and_the_merged_model(whole: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="NOT RUN: needs the Python package peft")
    lora = {"r": 4, "alpha": 8, "dropout": 0.05, "abstractor": True, "quantise_base": None}
    run = make_run(tmp_path / "run", whole.parent / "data", lora=lora, max_steps=2)
    done = train(run)
    assert done.returncode == 0, done.stderr[-3000:]
    assert (run / "adapter" / "adapter_model.safetensors").is_file()
    before, after = load_network(GOLDEN / "tiny_a" / "model"), load_network(run / "model")
    changed = [k for k, v in after.state_dict().items() if not torch.equal(v, before.state_dict()[k])]
    by_adapter = score_of(run / "adapter", base=str(GOLDEN / "tiny_a" / "model"))
    assert by_adapter == pytest.approx(score_of(run / "model"), abs=1e-4)
    assert all("q_proj" in k or "v_proj.multiway.1" in k or "visual_abstractor" in k for k in changed)
    assert all(any(part in k for k in changed) for part in ("q_proj", "v_proj.multiway.1", "visual_abstractor"))


def test_divergence_is_an_event_and_exit_code(whole: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", whole.parent / "data", learning_rates={"default": 1e30}, clip=1e9, warmup=0.0)
    assert train(run).returncode != 0
    assert events(run, "end")[-1]["code"] == "TRAINING_DIVERGED"
    assert not (run / "model").exists()


def test_a_full_disk_keeps_the_last_checkpoint_and_the_run_can_resume(whole: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", whole.parent / "data")
    (run / "stop").touch()
    assert train(run).returncode == 0
    (run / "stop").unlink()
    limited = "import resource,runpy,sys; resource.setrlimit(resource.RLIMIT_FSIZE,(500_000,500_000));"
    limited += "sys.argv=['qalign.training',sys.argv[1]]; runpy.run_module('qalign.training',run_name='__main__')"
    failed = subprocess.run([sys.executable, "-c", limited, str(run)], env=environment(), timeout=100, check=False)
    assert failed.returncode != 0
    assert events(run, "checkpoint_failed")
    assert events(run, "end")[-1]["code"] == "OUTPUT_UNWRITABLE"
    assert [p.name for p in (run / "checkpoints").iterdir()] == ["step-1"]
    assert train(run).returncode == 0
    assert curve(run) == curve(whole)


def test_a_lost_parent_ends_the_run_with_a_checkpoint(whole: Path, tmp_path: Path) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    run = make_run(tmp_path / "run", whole.parent / "data")
    parent = {"QALIGN_PARENT_PID": str(gone.pid)}
    assert subprocess.run(command(run, 1), env=environment() | parent, timeout=100, check=False).returncode == 0
    assert events(run, "end")[-1]["status"] == "stopped"
    assert (run / "checkpoints" / "step-1" / "state.json").is_file()


def test_other_data_is_refused_on_resume(whole: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", whole.parent / "data", max_steps=1)
    assert train(run).returncode == 0
    other = json.loads((run / "recipe.json").read_text()) | {"data_path": str(prepare_data(tmp_path / "d2", count=16))}
    (run / "recipe.json").write_text(json.dumps(other))
    assert train(run).returncode != 0
    assert events(run, "end")[-1]["code"] == "RESUME_MISMATCH"


def test_training_on_cached_features_equals_training_with_the_encoder(tmp_path: Path) -> None:
    data = prepare_data(tmp_path / "data")
    losses = {}
    for kept in (False, True, "again"):
        changes = {"cache_features": bool(kept), "freeze": ["vision"], "augment": {"flip": False}, "dropout": 0.0}
        folder = make_run(tmp_path / f"run-{kept}", data, epochs=1, **changes)
        train(folder)
        lines = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        losses[kept] = [line["loss"] for line in lines if line["event"] == "step"]
        assert any(line["event"] == "measured" for line in lines) == (kept is True), "the second run reads the files"
    assert losses[True] == pytest.approx(losses[False], abs=2e-3)
    assert losses["again"] == losses[True]
