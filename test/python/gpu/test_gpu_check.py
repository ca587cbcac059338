"""The GPU check and the paths that it measures, on a CUDA device. Without one, every test is skipped and reported."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

import qalign
from qalign.mplug_owl2.engine.staging import Staging
from qalign.protocol import LEVELS
from qalign.worker.check.subject import AESTHETICS, PROMPT, Subject, logits, logits_of

if not torch.cuda.is_available():
    warnings.warn("NOT RUN: test_gpu_check.py needs a CUDA device", stacklevel=1)

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="NOT RUN: needs a CUDA device")
PACKAGE = Path(qalign.__file__).parents[1]

# an index outside a tensor of the device: every later call of the process fails
STICKY = """
import sys, torch
from pathlib import Path
from qalign.worker.check import run
from qalign.worker.check.report import Report
from qalign.worker.check.subject import Subject

def rates(subject, section, budget):
    section.figure("batch 1", 1.0, "ms")

def work(subject, section, budget):
    torch.zeros(2, device="cuda:0")[torch.tensor([5], device="cuda:0")].cpu()

device = torch.device("cuda", 0)
report = Report(Path(sys.argv[1]), "tiny", "bf16", device, 60)
steps = [run.Step(call, 1) for call in (rates, work, rates)]
run.end_process(run.run_steps(steps, Subject("tiny", device, "bf16"), report, 60))
"""


@pytest.fixture(scope="module")
def subject():
    return Subject("tiny", torch.device("cuda", 0), "fp32")


def python(*words, timeout=170):
    env = os.environ | {"PYTHONPATH": str(PACKAGE)}
    return subprocess.run([sys.executable, *words], env=env, capture_output=True, text=True, timeout=timeout)


def test_the_whole_check_runs(tmp_path):
    file = tmp_path / "gpu.json"
    done = python("-m", "qalign.worker", "--gpu-check", "--out", str(file), "--architecture", "tiny", "--seconds", "90")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    sections = json.loads(file.read_text())["sections"]
    assert {name: section["failed"] for name, section in sections.items() if section["failed"]} == {}
    assert sections["stages"]["details"]["batch 1"]["kernels"]


def test_a_sticky_error_ends_the_check_with_a_written_file(tmp_path):
    file = tmp_path / "gpu.json"
    done = python("-c", STICKY, str(file))
    assert done.returncode == 3, done.stderr[-3000:]
    written = json.loads(file.read_text())
    assert written["ended"].startswith("device failed in work: device-side assert")
    assert list(written["sections"]) == ["rates", "work"]


def test_batches_submitted_before_earlier_ones_are_read_have_the_scores_of_single_batches(subject):
    scorer = subject.scorer
    batches = [subject.items(size, seed=size) for size in (3, 16, 1, 20, 16)]
    one_by_one = [logits(scorer, items) for items in batches]
    pending = [scorer.submit(items, LEVELS) for items in batches]
    for expected, found in zip(one_by_one, pending, strict=True):
        assert (logits_of(found.result()) - expected).abs().max() < 1e-5


def test_staging_never_reads_a_buffer_after_its_release(subject, monkeypatch):
    scorer = subject.scorer
    batches = [subject.items(size, seed=size) for size in (20, 16, 24, 9, 16)]
    expected = [logits(scorer, items) for items in batches]

    def poison(staging, slot):
        if slot.copied is not None:
            slot.copied.synchronize()
        if slot.host is not None:
            slot.host.fill_(255)
        if slot.room is not None:
            slot.room.fill_(255)  # in the order of the computations, so after those that read it
            slot.read = staging._lanes.mark()

    monkeypatch.setattr(Staging, "_release", poison)
    pending = [scorer.submit(items, LEVELS) for items in batches]
    for want, found in zip(expected, pending, strict=True):
        assert (logits_of(found.result()) - want).abs().max() < 1e-5


def test_graphs_of_two_tasks_equal_the_plain_path_at_every_bucket(subject):
    scorer = subject.build(subject.config, "fp32")

    def answers(items):
        rows = scorer.score(items, LEVELS)
        return torch.tensor([[prompt.logits for prompt in row.prompts] for row in rows])

    for size in (1, 2, 3, 5, 8):
        items = subject.items(size, prompts=(PROMPT, AESTHETICS))
        scorer._graphs.enabled = False
        plain = answers(items)
        scorer._graphs.enabled = True
        replayed = [answers(items) for _ in range(3)][-1]
        assert not scorer._graphs.failed, "a capture failed; see the log"
        assert (plain - replayed).abs().max() < 1e-5
    assert len(scorer._graphs.captured) == 4  # buckets 1, 2, 4, 8
