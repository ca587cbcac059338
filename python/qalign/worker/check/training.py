"""Full tuning with random weights, measured by qalign.training.measure in a process of its own."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...mplug_owl2.engine.memory import give_back
from .report import Section
from .subject import Subject
from .timing import Budget

PYTHON_ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Run:
    """One measurement of `steps` updates after `warm` others. `recompute` is a share of the blocks."""

    micro: int
    batch: int
    steps: int
    warm: int
    recompute: float = 1.0
    kernels: str = "auto"

    @property
    def name(self) -> str:
        words = [f"micro-batch {self.micro}", f"batch {self.batch}"]
        words += {1.0: [], 0.0: ["activations kept"]}.get(self.recompute, [f"{self.recompute:g} recomputed"])
        return ", ".join([*words, *(["plain kernels"] if self.kernels == "plain" else [])])

    def arguments(self) -> list[str]:
        words = ["--micro-batch", self.micro, "--batch", self.batch, "--steps", self.steps, "--warm-up", self.warm]
        return [str(word) for word in (*words, "--recompute", self.recompute, "--kernels", self.kernels)]


# the runs with the goal come first
RUNS = {
    "cuda": (
        Run(32, 64, 4, 2),
        Run(32, 64, 4, 2, recompute=0.0),
        Run(8, 64, 3, 1),
        Run(32, 64, 3, 1, kernels="plain"),
        Run(8, 64, 2, 1, kernels="plain"),
    ),
    "cpu": (Run(2, 4, 1, 1, recompute=0.5, kernels="plain"),),
}
LEAST_S = {"cuda": 15, "cpu": 4}  # a new process imports torch and creates the model first


def training(subject: Subject, section: Section, budget: Budget) -> None:
    subject.drop()
    give_back()
    for planned in RUNS[subject.device.type]:
        if budget.left < LEAST_S[subject.device.type]:
            section.skip(planned.name, f"less than {LEAST_S[subject.device.type]} s are left; give more with --seconds")
            continue
        record(section, planned.name, run(subject, planned.arguments(), budget.left))


def run(subject: Subject, arguments: list[str], seconds: float) -> dict[str, Any] | str:
    """The result of one measurement, or what went wrong."""
    device = subject.device
    env = dict(os.environ)
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PYTHON_ROOT), env.get("PYTHONPATH")]))
    if device.type == "cuda" and device.index:
        env["LOCAL_RANK"] = str(device.index)  # the measured process uses this device
    command = [sys.executable, "-m", "qalign.training.measure", "--device", device.type]
    command += ["--architecture", subject.name, *arguments]
    started = time.monotonic()
    try:
        ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return f"no result after {time.monotonic() - started:.0f} s"
    if ran.returncode != 0:
        return ran.stderr[-2000:] or f"exit code {ran.returncode}"
    return json.loads(ran.stdout.strip().splitlines()[-1])


def record(section: Section, name: str, result: dict[str, Any] | str) -> None:
    if isinstance(result, str):
        memory = "out of memory" in result.lower()
        advice = (
            "The device is too small for full tuning at this micro-batch."
            if memory
            else "Run python -m qalign.training.measure alone, or give more time with --seconds."
        )
        section.fail(name, result, advice)
        return
    section.figure(name, result["images_per_s"], "img/s")
    section.figure(f"{name}, peak memory", result["peak_memory_bytes"] / 1e9, "GB")
    if result["mfu"] is not None:
        section.figure(f"{name}, MFU", result["mfu"] * 100, "%")
    section.details[name] = {key: result[key] for key in ("seconds_per_step", "recompute", "fused_kernels")}
