"""The best checkpoint by a metric is kept beside the last, survives a kill, and is exported."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from test_run import environment, events, make_run, prepare_data

from qalign.training.files.model_files import load_network

CHANGES = {
    **{"keep_best": "srcc", "keep_checkpoints": 1, "save_every": 1, "epochs": 5, "schedule": "constant"},
    **{"learning_rates": {"default": 2e-2}, "dropout": 0.0, "ema": 0.5},
}


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "qalign.training", str(folder)]


def train(folder: Path) -> None:
    done = subprocess.run(command(folder), env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def best_of(folder: Path) -> tuple[int, float]:
    """The step and value of the first highest evaluation."""
    found = {row["step"]: row["srcc"] for row in events(folder, "evaluation")}
    return max(found.items(), key=lambda row: (row[1], -row[0]))


def checkpoints(folder: Path) -> set[str]:
    return {p.name for p in (folder / "checkpoints").iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("best")
    run = make_run(base / "run", prepare_data(base / "data"), **CHANGES)
    train(run)
    return run


def test_the_best_is_kept_and_exported(whole: Path) -> None:
    step, value = best_of(whole)
    last = events(whole, "end")[-1]["step"]
    assert step < last, "the case needs a last evaluation that is not the best"
    told = events(whole, "best")[-1]
    assert (told["step"], told["metric"], told["value"]) == (step, "srcc", value)
    assert checkpoints(whole) == {f"step-{step}", f"step-{last}"}
    best, final = load_network(whole / "best" / "model"), load_network(whole / "model")
    assert not torch.equal(best.lm_head.weight, final.lm_head.weight)
    assert [row["path"] for row in events(whole, "exported")] == ["model", "best/model"]


def test_the_best_survives_a_kill(whole: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", whole.parent / "data", **CHANGES)
    victim = subprocess.Popen(command(run), env=environment(), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and not ((run / "events.jsonl").is_file() and events(run, "best")):
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert not (run / "model").exists()
    train(run)
    assert best_of(run) == best_of(whole)
    assert checkpoints(run) == checkpoints(whole)
    state = load_network(run / "best" / "model").state_dict()
    assert all(value.equal(state[key]) for key, value in load_network(whole / "best" / "model").state_dict().items())


def test_a_last_evaluation_that_is_the_best_shares_the_files(whole: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", whole.parent / "data", **CHANGES | {"epochs": 1, "keep_best": "plcc"})
    train(run)
    assert events(run, "best")[-1]["step"] == events(run, "end")[-1]["step"]
    name = "model/model.safetensors"
    assert (run / name).samefile(run / "best" / name)


def test_another_metric_is_refused(whole: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", whole.parent / "data", **CHANGES | {"keep_best": "loss"})
    assert subprocess.run(command(run), env=environment(), capture_output=True, timeout=300, check=False).returncode
    assert events(run, "end")[-1]["code"] == "CONFIG_INVALID"
    assert "keep_best" in json.dumps(events(run, "end"))
