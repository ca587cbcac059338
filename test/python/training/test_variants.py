"""Whole runs of recipe options: optimizer, precision, average, quantised base, trackers, hosts, signals."""

import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from test_run import command, curve, environment, events, make_run, prepare_data, score_of, train
from training_golden import GOLDEN

from qalign.training.files.model_files import load_network

LORA = {"r": 4, "alpha": 8, "dropout": 0.05, "abstractor": True}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_data(tmp_path_factory.mktemp("variants") / "data")


def stop_then_resume(run: Path) -> None:
    """Run one step, save a checkpoint, and resume from it."""
    (run / "stop").touch()
    assert train(run).returncode == 0
    (run / "stop").unlink()
    done = train(run)
    assert done.returncode == 0, done.stderr[-2000:]


def test_8_bit_bf16_and_average_resume_without_a_difference(data: Path, tmp_path: Path) -> None:
    choice = {"optimizer": "adamw_8bit", "weights": "bf16", "compute": "bf16", "ema": 0.5, "max_steps": 3}
    whole = make_run(tmp_path / "whole", data, **choice)
    done = train(whole)
    assert done.returncode == 0, done.stderr[-2000:]
    parted = make_run(tmp_path / "parted", data, **choice)
    stop_then_resume(parted)
    assert curve(parted) == curve(whole)
    ours, other = (load_file(run / "model" / "model.safetensors") for run in (whole, parted))
    assert all(torch.equal(value, other[key]) for key, value in ours.items())
    assert ours["lm_head.weight"].dtype == torch.bfloat16
    assert events(parted, "evaluation")[-1]["srcc"] == events(whole, "evaluation")[-1]["srcc"]


def test_8_bit_states_are_resharded_for_another_number_of_processes(data: Path, tmp_path: Path) -> None:
    choice = {"optimizer": "adamw_8bit", "max_steps": 3}
    whole = make_run(tmp_path / "whole", data, **choice)
    assert train(whole).returncode == 0
    run = make_run(tmp_path / "run", data, **choice)
    (run / "stop").touch()
    assert train(run).returncode == 0
    (run / "stop").unlink()
    done = train(run, processes=2)
    assert done.returncode == 0, done.stderr[-2000:]
    assert curve(run) == pytest.approx(curve(whole), rel=1e-4)


def test_fp32_weights_with_products_in_bf16_stay_near_fp32(data: Path, tmp_path: Path) -> None:
    runs = [make_run(tmp_path / kind, data, compute=kind, max_steps=2, dropout=0.0) for kind in ("fp32", "bf16")]
    assert [train(run).returncode for run in runs] == [0, 0]
    exact, rounded = map(curve, runs)
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.02)
    state = load_file(runs[1] / "model" / "model.safetensors")
    assert {value.dtype for value in state.values()} == {torch.float32}
    tables = {key: value for key, value in state.items() if key.endswith("_pos_embed")}
    stored = load_file(GOLDEN / "tiny_a" / "model" / "model.safetensors")
    assert tables and all(torch.equal(value, stored[key]) for key, value in tables.items())


RUNS = (("run", {"ema": 0.9}), ("two", {}))


def test_the_exported_model_is_the_average(data: Path, tmp_path: Path) -> None:
    run, two = (make_run(tmp_path / name, data, max_steps=2, schedule="constant", **more) for name, more in RUNS)
    one = make_run(tmp_path / "one", data, max_steps=1, schedule="constant")
    assert [train(r).returncode for r in (run, two, one)] == [0, 0, 0]
    mean, second, first = (load_file(r / "model" / "model.safetensors")["lm_head.weight"] for r in (run, two, one))
    assert not torch.equal(first, second)
    assert (mean - (0.9 * first + second) / 1.9).abs().max() < 1e-6  # the initial weights are not included
    assert curve(run) == curve(two)


def test_weights_are_exported_in_the_precision_of_the_recipe(data: Path, tmp_path: Path) -> None:
    still = {"max_steps": 1, "learning_rates": {"default": 1e-12}, "weight_decay": 0}
    run = make_run(tmp_path / "run", data, export_weights="fp16", **still)
    assert train(run).returncode == 0
    before = load_file(GOLDEN / "tiny_a" / "model" / "model.safetensors")
    after = load_file(run / "model" / "model.safetensors")
    assert {value.dtype for value in after.values()} == {torch.float16}
    assert all(torch.equal(value.half(), after[key]) for key, value in before.items())
    assert json.loads((run / "model" / "config.json").read_text())["torch_dtype"] == "float16"


@pytest.mark.parametrize("kind", ["int8", "nf4"])
def test_adapters_on_a_quantised_base_are_merged_into_the_original_base(data: Path, tmp_path: Path, kind: str) -> None:
    pytest.importorskip("peft", reason="NOT RUN: needs the Python package peft")
    run = make_run(tmp_path / "run", data, lora=LORA | {"quantise_base": kind}, max_steps=2)
    done = train(run)
    assert done.returncode == 0, done.stderr[-2000:]
    by_adapter = score_of(run / "adapter", base=str(GOLDEN / "tiny_a" / "model"))
    assert by_adapter == pytest.approx(score_of(run / "model"), abs=1e-4)
    before = load_file(GOLDEN / "tiny_a" / "model" / "model.safetensors")
    after = load_file(run / "model" / "model.safetensors")
    assert before.keys() == after.keys()
    untouched = "model.layers.0.mlp.up_proj.weight"
    assert torch.equal(before[untouched], after[untouched])


def test_training_can_start_from_a_published_lora(data: Path, tmp_path: Path) -> None:
    adapter, base = GOLDEN / "tiny_a_lora", GOLDEN / "tiny_a" / "model"
    folder = adapter / "model" if (adapter / "model").is_dir() else adapter
    run = make_run(tmp_path / "run", data, model_path=str(folder), base_path=str(base), max_steps=1,
                   learning_rates={"default": 1e-12})  # fmt: skip
    done = train(run)
    assert done.returncode == 0, done.stderr[-2000:]
    assert score_of(run / "model") == pytest.approx(score_of(folder, base=str(base)), abs=1e-4)


def test_checkpoints_hold_no_pickle(data: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", data, max_steps=1)
    assert train(run).returncode == 0
    files = sorted(p.name for p in (run / "checkpoints" / "step-1").iterdir())
    assert files[-1] == "state.json"
    assert all(name.endswith(".safetensors") for name in files[:-1])
    for file in (run / "checkpoints" / "step-1").iterdir():
        with pytest.raises(Exception), file.open("rb") as stream:  # noqa: B017 – any error is correct
            pickle.load(stream)


def test_a_truncated_checkpoint_is_refused_by_name(data: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", data, max_steps=2)
    (run / "stop").touch()
    assert train(run).returncode == 0
    (run / "stop").unlink()
    file = next((run / "checkpoints" / "step-1").glob("*.safetensors"))
    with file.open("r+b") as stream:
        stream.truncate(file.stat().st_size // 2)
    assert train(run).returncode != 0
    end = events(run, "end")[-1]
    assert end["code"] == "CHECKPOINT_INVALID"
    assert "step-1" in end["message"]


def test_sigterm_ends_after_the_step_with_a_checkpoint(data: Path, tmp_path: Path) -> None:
    """Sends the signal to every process of the job, like a scheduler."""
    run = make_run(tmp_path / "run", data, epochs=200, save_every=1000)
    job = subprocess.Popen(command(run, 1), env=environment(), start_new_session=True, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not ((run / "events.jsonl").is_file() and events(run, "step")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(job.pid, signal.SIGTERM)
    job.wait(timeout=100)
    end = events(run, "end")[-1]
    assert end["status"] == "stopped"
    assert (run / "checkpoints" / f"step-{end['step']}" / "state.json").is_file()


def test_two_hosts_equal_one(data: Path, tmp_path: Path) -> None:
    """Two agents with the same static rendezvous, as on two machines with a shared directory."""
    alone = make_run(tmp_path / "alone", data, max_steps=2)
    assert train(alone).returncode == 0
    run = make_run(tmp_path / "run", data, max_steps=2)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hosts = []
    for rank in range(2):
        place = ["--nnodes=2", f"--node-rank={rank}", "--master-addr=127.0.0.1", f"--master-port={port}"]
        line = [sys.executable, "-m", "torch.distributed.run", *place, "--nproc-per-node=1", "-m", "qalign.training"]
        hosts.append(subprocess.Popen([*line, str(run)], env=environment(), stderr=subprocess.DEVNULL))
    assert [host.wait(timeout=200) for host in hosts] == [0, 0]
    assert curve(run) == pytest.approx(curve(alone), rel=1e-5)


def test_a_missing_tracker_is_reported_before_training(data: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", data, trackers=["tensorboard"])
    without = "import sys; sys.modules['torch.utils.tensorboard'] = None; import runpy; sys.argv = ['x', sys.argv[1]];"
    without += "runpy.run_module('qalign.training', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", without, str(run)], env=environment(), timeout=200, check=False)
    assert done.returncode != 0
    assert events(run, "end")[-1]["code"] == "TRAINING_EXTRA_MISSING"
    assert "tensorboard" in events(run, "end")[-1]["message"]
    assert not events(run, "step")


def test_a_tracker_that_fails_is_dropped_and_the_run_continues(data: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", data, trackers=["wandb"], max_steps=2)
    package = tmp_path / "packages" / "wandb.py"  # replaces a service whose connection breaks
    package.parent.mkdir()
    package.write_text(
        "import json\n"
        "class Run:\n"
        "    def log(self, values, step):\n"
        "        print('LOGGED', json.dumps(values), flush=True)\n"
        "        raise ConnectionError('the service is gone')\n"
        "    def finish(self): pass\n"
        "def init(**options): return Run()\n"
    )
    paths = {"PYTHONPATH": f"{package.parent}:{environment()['PYTHONPATH']}"}
    done = subprocess.run(command(run, 1), env=environment() | paths, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    assert [row["tracker"] for row in events(run, "tracker_failed")] == ["wandb"]
    logged = json.loads(next(line for line in done.stdout.splitlines() if "LOGGED" in line).split("LOGGED ")[1])
    assert {"train/loss", "train/learning_rate", "train/grad_norm", "train/next_token"} <= logged.keys()
    assert events(run, "end")[-1]["status"] == "completed"


def test_written_scores_are_read_back(data: Path, tmp_path: Path) -> None:
    """The score-text ablation: after training on one sentence, the model writes it and evaluation reads the number."""
    text = prepare_data(tmp_path / "data", count=8)
    for split in ("train", "dev"):
        rows = [json.loads(line) for line in (text / f"{split}.jsonl").read_text().splitlines()]
        for row in rows:
            del row["level"], row["level_probs"]
            row["answer"] = "The quality of the image is 4.25."
        (text / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = make_run(
        tmp_path / "run", text, score_text=True, epochs=60, schedule="constant", dropout=0.0, save_every=1000,
        learning_rates={"default": 5e-3}, objective={"next_token": 1, "soft_label": 0, "fidelity": 0, "in_level": 0},
    )  # fmt: skip
    done = train(run)
    assert done.returncode == 0, done.stderr[-2000:]
    first, last = (events(run, "evaluation")[k] for k in (0, -1))
    assert last["items"] == 8
    assert first["level_mass"] < 1 == last["level_mass"]
    assert last["score_std"] == 0


def test_peft_reads_the_adapter_and_merges_it_to_the_exported_model(data: Path, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft", reason="NOT RUN: needs the Python package peft")
    run = make_run(tmp_path / "run", data, lora=LORA | {"quantise_base": None}, max_steps=2)
    assert train(run).returncode == 0
    config = json.loads((run / "adapter" / "adapter_config.json").read_text())
    assert config["task_type"] == "CAUSAL_LM"  # as published; it requires methods of transformers' models
    (run / "adapter" / "adapter_config.json").write_text(json.dumps(config | {"task_type": None}))
    base = load_network(GOLDEN / "tiny_a" / "model")
    merged = peft.PeftModel.from_pretrained(base, str(run / "adapter")).merge_and_unload().state_dict()
    ours = load_file(run / "model" / "model.safetensors")
    start = load_file(GOLDEN / "tiny_a" / "model" / "model.safetensors")
    language = [key for key in ours if "visual_abstractor" not in key]
    assert all(torch.allclose(merged[key], ours[key], atol=1e-6) for key in language)
    assert any(not torch.equal(start[key], ours[key]) for key in language)


def test_resume_writes_a_model_that_could_not_be_written(data: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", data, max_steps=1)
    (run / "model.part").write_text("in the way")
    assert train(run).returncode != 0
    assert events(run, "end")[-1]["code"] == "OUTPUT_UNWRITABLE"
    assert (run / "checkpoints" / "step-1" / "state.json").is_file()
    (run / "model.part").unlink()
    (run / "checkpoints" / ".part-77").mkdir()  # leftover of a process that was killed while writing
    assert train(run).returncode == 0
    assert len(events(run, "step")) == 1
    assert len(events(run, "checkpoint")) == 1, "the checkpoint that the run resumed from was written again"
    assert [p.name for p in (run / "checkpoints").iterdir()] == ["step-1"]
    assert (run / "model" / "model.safetensors").is_file()
