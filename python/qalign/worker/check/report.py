"""The JSON of a check: figures by section, goals, and what was skipped or failed. Its schema is gpu_check.json."""

import contextlib
import json
import math
import os
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ... import __version__
from ..device_failure import device_failure

KIND, FORMAT = "qalign_gpu_check", 1


@dataclass(frozen=True)
class Goal:
    """A target for one H200 and the published architecture. `most` is for values that should be small."""

    value: float
    unit: str
    most: bool = False

    def met(self, value: float) -> bool:
        return value <= self.value if self.most else value >= self.value


# section and name of a figure → its goal
GOALS = {
    ("rates", "batch 1, median"): Goal(6, "ms", most=True),
    ("rates", "batch 64"): Goal(320, "img/s"),
    ("rates", "end to end of the model's own rate"): Goal(95, "%"),
    ("work", "64 pairs"): Goal(200, "pairs/s"),
    ("work", "10 clips of 12 frames"): Goal(28, "clips/s"),
    ("precisions", "fp8, batch 64"): Goal(450, "img/s"),
    ("optimizer", "adamw_8bit, bytes in this time at the speed of a copy"): Goal(20, "B/parameter", most=True),
    ("training", "micro-batch 32, batch 64"): Goal(55, "img/s"),
    ("training", "micro-batch 32, batch 64, activations kept"): Goal(55, "img/s"),
}


@dataclass
class Section:
    """The results of one section. Units belong to figures; `details` is for people."""

    name: str
    goals: bool = False  # whether the goals apply to this architecture and device
    seconds: float = 0.0
    figures: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def figure(self, name: str, value: float, unit: str) -> None:
        """Record a measured value. NaN and infinity are recorded as failures, because JSON has neither."""
        if not math.isfinite(value):
            self.fail(name, f"the value is {value}", "Look at the log, and run this section alone with --sections.")
            return
        entry: dict[str, Any] = {"name": name, "value": float(f"{value:.5g}"), "unit": unit}
        goal = GOALS.get((self.name, name))
        if goal and self.goals:
            entry |= {"goal": goal.value, "met": goal.met(value)}
        self.figures.append(entry)

    def skip(self, part: str, reason: str) -> None:
        self.skipped.append({"part": part, "reason": reason})

    def fail(self, part: str, error: str, advice: str) -> None:
        self.failed.append({"part": part, "error": error[-2000:], "advice": advice})

    def error(self, part: str, error: Exception) -> None:
        """Add an error, with advice for its kind."""
        if isinstance(error, torch.OutOfMemoryError):
            advice = "End other processes on the device, or use a device with more memory."
        elif device_failure(error):
            advice = "Start the check again. If the error returns, check the device with nvidia-smi and dmesg."
        else:
            advice = f"Run the section alone with --sections {self.name} and report the error."
        self.fail(part, "".join(traceback.format_exception(error, limit=-6)), advice)

    def attempt(self, part: str, call: Callable[[], None]) -> None:
        """Run one part of the section and record its error. Raises only errors after which the device is unusable."""
        try:
            call()
        except Exception as error:  # an error of a part is a result
            if device_failure(error):
                raise
            self.error(part, error)

    def as_json(self) -> dict[str, Any]:
        body = {"seconds": round(self.seconds, 1), "figures": self.figures, "skipped": self.skipped}
        return {**body, "failed": self.failed, "details": self.details}


class Report:
    """Collects sections and writes the file after each one. Thread-safe: the watchdog writes from its own thread."""

    def __init__(self, file: Path, architecture: str, precision: str, device: torch.device, limit_s: float) -> None:
        self.file, self.started = file, time.monotonic()
        cuda = device.type == "cuda"
        self.goals_apply = cuda and architecture == "mplug_owl2_7b"
        self.head = {
            "kind": KIND,
            "format": FORMAT,
            "qalign": __version__,
            "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "architecture": architecture,
            "weights": "random",
            "precision": precision,
            "device": str(device),
            "device_name": torch.cuda.get_device_name(device) if cuda else "cpu",
            "torch": torch.__version__,
            "cuda": torch.version.cuda if cuda else None,
            "limit_s": limit_s,
        }
        self.sections: dict[str, Section] = {}
        self.ended = "running"
        self._lock = threading.RLock()

    def section(self, name: str) -> Section:
        self.sections[name] = Section(name, self.goals_apply)
        return self.sections[name]

    def goals(self) -> list[dict[str, Any]]:
        """Every goal with its figure. `value` and `met` are null for a goal that was not measured."""
        rows = []
        for (section, name), goal in GOALS.items():
            found = self.sections.get(section)
            value = next((f["value"] for f in found.figures if f["name"] == name), None) if found else None
            met = goal.met(value) if value is not None and self.goals_apply else None
            title = f"{section}: {name}"
            rows.append({"name": title, "value": value, "unit": goal.unit, "goal": goal.value, "met": met})
        return rows

    def as_json(self) -> dict[str, Any]:
        sections = {name: section.as_json() for name, section in self.sections.items()}
        seconds = round(time.monotonic() - self.started, 1)
        return {**self.head, "seconds": seconds, "ended": self.ended, "goals": self.goals(), "sections": sections}

    def write(self) -> None:
        """Replace the file atomically, so that a reader never sees half of it. Raises OSError."""
        with self._lock:
            draft = self.file.with_name(f"{self.file.name}.{os.getpid()}.part")
            try:
                draft.write_text(json.dumps(self.as_json(), indent=1, allow_nan=False) + "\n", "utf-8")
                draft.replace(self.file)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    draft.unlink()


def table(report: dict[str, Any]) -> str:
    """The report as text for a terminal."""
    lines = [
        f"{report['architecture']} with random weights, {report['precision']}, {report['device_name']}, "
        f"torch {report['torch']}, {report['seconds']:.0f} s, {report['ended']}"
    ]
    for name, section in report["sections"].items():
        lines.append(f"\n{name} ({section['seconds']:.0f} s)")
        for figure in section["figures"]:
            goal = f"  goal {figure['goal']:g}: {'met' if figure['met'] else 'not met'}" if "goal" in figure else ""
            lines.append(f"  {figure['name']:<58} {figure['value']:>11g} {figure['unit']}{goal}")
        lines += [f"  skipped {entry['part']}: {entry['reason']}" for entry in section["skipped"]]
        for entry in section["failed"]:
            error = entry["error"].strip() or "unknown"
            lines.append(f"  FAILED {entry['part']}: {error.splitlines()[-1]} {entry['advice']}")
    return "\n".join(lines)
