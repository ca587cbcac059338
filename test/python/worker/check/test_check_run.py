import gc
import json
import os
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest
import torch

from qalign.schemas import problem_with
from qalign.worker.check import run
from qalign.worker.check.report import GOALS, Report, table
from qalign.worker.check.subject import Subject
from qalign.worker.check.training import RUNS

CPU = torch.device("cpu")
PACKAGE = Path(run.__file__).parents[3]


@pytest.fixture
def report(tmp_path):
    return Report(tmp_path / "gpu.json", "tiny", "fp32", CPU, 60)


def step(name, call):
    def section(subject, section, budget):
        call(section)

    section.__name__ = name
    return run.Step(section, 1)


def ran(steps, report, seconds=60.0):
    code = run.run_steps(steps, Subject("tiny", CPU, "fp32"), report, seconds)
    return code, json.loads(report.file.read_text())


def raises(error):
    def call(section):
        raise error

    return call


def test_all_sections_run_on_a_cpu_with_torch_safetensors_and_sentencepiece_only(tmp_path):
    for module in ("zmq", "fastjsonschema", "huggingface_hub", "peft"):
        (tmp_path / f"{module}.py").write_text("raise ImportError('this package is not on a measuring machine')")
    file = tmp_path / "gpu.json"
    command = [sys.executable, "-m", "qalign.worker", "--gpu-check", "--out", str(file), "--device", "cpu"]
    command += ["--architecture", "tiny", "--seconds", "200"]  # never reached on a quiet machine
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(PACKAGE)])}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    written = json.loads(file.read_text())
    assert problem_with("gpu_check", written) is None
    assert written["ended"] == "complete" and written["weights"] == "random"
    assert list(written["sections"]) == [step.name for step in run.STEPS]
    for name, section in written["sections"].items():
        assert section["figures"] and not section["failed"], name
    agreement = {f["name"]: f["value"] for f in written["sections"]["agreement"]["figures"]}
    assert agreement["fp32 engine, to the literal model in fp32: logit"] < 1e-4
    assert all(goal["met"] is None for goal in written["goals"]), "the goals are for the published architecture"
    assert "gpu-check: training took" in done.stderr and "training" in done.stdout
    training = {f["name"]: f["value"] for f in written["sections"]["training"]["figures"]}
    assert training["micro-batch 2, batch 4, 0.5 recomputed, plain kernels"] > 0
    optimizer = {f["name"] for f in written["sections"]["optimizer"]["figures"]}
    assert {"adamw_8bit, all parameters", "adamw_8bit, plain, all parameters"} <= optimizer


def test_the_runs_of_training_have_their_goals_and_both_forms_at_both_micro_batches():
    runs = RUNS["cuda"]
    names = [planned.name for planned in runs]
    assert len(set(names)) == len(names)
    assert {name for section, name in GOALS if section == "training"} == set(names[:2])
    assert {(r.micro, r.kernels) for r in runs} == {(m, k) for m in (8, 32) for k in ("auto", "plain")}


def test_a_dropped_model_is_freed_before_the_next_section(report):
    held = []

    def drops(subject, section, budget):
        held.append(weakref.ref(subject.scorer.model))
        subject.drop()

    gc.disable()  # a collection by chance would hide a missing one
    try:
        run.run_steps([run.Step(drops, 1)], Subject("tiny", CPU, "fp32"), report, 60.0)
        assert held[0]() is None
    finally:
        gc.enable()


def test_an_error_of_one_section_does_not_stop_the_next(report):
    steps = [
        step("rates", raises(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB"))),
        step("work", raises(ValueError("broken"))),
        step("stages", lambda section: section.figure("batch 1", 3.0, "ms")),
    ]
    code, written = ran(steps, report)
    assert code == 1 and written["ended"] == "complete"
    memory, broken = (written["sections"][name]["failed"][0] for name in ("rates", "work"))
    assert "out of memory" in memory["error"] and "more memory" in memory["advice"]
    assert "broken" in broken["error"] and "--sections work" in broken["advice"]
    assert written["sections"]["stages"]["figures"] == [{"name": "batch 1", "value": 3.0, "unit": "ms"}]
    assert problem_with("gpu_check", written) is None


def test_a_failed_device_ends_the_run_with_a_written_file(report):
    error = RuntimeError("CUDA error: an illegal memory access was encountered")
    inner = step("work", lambda section: section.attempt("64 pairs", lambda: raises(error)(section)))
    code, written = ran([step("rates", lambda section: section.figure("a", 1, "ms")), inner, inner], report)
    assert code == 3
    assert written["ended"] == "device failed in work: an illegal memory access was encountered"
    assert list(written["sections"]) == ["rates", "work"]
    assert problem_with("gpu_check", written) is None


def test_sections_after_the_limit_are_skipped_with_a_reason(report):
    steps = [step("rates", lambda section: time.sleep(0.05)), step("work", lambda section: None)]
    code, written = ran(steps, report, seconds=0.04)
    assert code == 0
    assert "the limit of 0.04 s is used up" in written["sections"]["work"]["skipped"][0]["reason"]


def test_a_section_that_hangs_ends_the_process_with_a_written_file(report, monkeypatch):
    codes = []
    monkeypatch.setattr(run, "GRACE", 0.05)
    monkeypatch.setattr(run, "end_process", codes.append)
    seen = []

    def hangs(section):
        time.sleep(0.6)
        seen.append(json.loads(report.file.read_text()))

    ran([step("rates", hangs)], report, seconds=0.05)
    assert codes == [3]
    assert seen[0]["ended"] == "hung in rates"
    assert "nvidia-smi" in seen[0]["sections"]["rates"]["failed"][0]["advice"]


def test_values_that_json_does_not_have_are_failures(report):
    code, written = ran([step("rates", lambda section: section.figure("batch 1", float("nan"), "ms"))], report)
    assert code == 1 and not written["sections"]["rates"]["figures"]


def test_goals_are_beside_their_figures_and_complete(report):
    report.goals_apply = True
    rates = report.section("rates")
    rates.figure("batch 64", 300, "img/s")
    rates.figure("batch 1, median", 5.5, "ms")
    assert [figure["met"] for figure in rates.figures] == [False, True]
    goals = report.as_json()["goals"]
    assert len(goals) == len(GOALS) == 9
    assert {goal["name"]: goal["met"] for goal in goals}["rates: batch 64"] is False
    assert [goal["met"] for goal in goals].count(None) == 7
    assert "goal 320: not met" in table(report.as_json())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--out", "x.json", "--device", "cuda:99"], "--device cpu --architecture tiny"),
        (["--out", "/nowhere/x.json", "--device", "cpu"], "cannot be written"),
    ],
)
def test_wrong_arguments_exit_with_two(words, told, capsys):
    assert run.main([*words, "--architecture", "tiny"]) == 2
    assert told in capsys.readouterr().err


def test_an_unknown_section_is_refused_with_the_names(capsys):
    with pytest.raises(SystemExit):
        run.main(["--out", "x.json", "--sections", "rates,speed"])
    assert "no section speed; the sections are environment, rates" in capsys.readouterr().err
