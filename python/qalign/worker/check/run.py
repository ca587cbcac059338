"""Runs the sections in order: each has a time budget, and an error in one does not affect the next."""

import argparse
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...mplug_owl2.engine.memory import give_back, make_current
from ...mplug_owl2.random_weights import ARCHITECTURES
from ...training.process_exit import complain, end_process
from ...weights.answers import pick_device
from ...weights.errors import DeviceUnavailable
from ..device_failure import device_failure
from .agreement import agreement
from .candidates import candidates
from .environment import environment
from .optimizer import optimizer
from .precisions import precisions
from .rates import rates
from .report import Report, Section, table
from .stages import stages
from .subject import Subject
from .timing import Budget
from .training import training
from .work import work

SECONDS = 420.0
GRACE = 40.0  # seconds after its budget until a section counts as hung
EXAMPLES = (
    "--out gpu.json",
    "--out part.json --sections environment,rates --seconds 60",
    "--out cpu.json --device cpu --architecture tiny --seconds 20",
)


@dataclass(frozen=True)
class Step:
    """One section: `share` is its part of the whole time, in seconds of the default limit."""

    run: Callable[[Subject, Section, Budget], None]
    share: float

    @property
    def name(self) -> str:
        return self.run.__name__


STEPS = (
    Step(environment, 10),
    Step(rates, 55),
    Step(stages, 35),
    Step(agreement, 45),
    Step(work, 35),
    Step(candidates, 40),
    Step(precisions, 55),
    Step(optimizer, 25),
    Step(training, 100),
)


def main(argv: list[str]) -> int:
    """Measure and write the file. → 0; 1: a part failed; 2: wrong arguments, no such device; 3: ended early."""
    options = _arguments(argv)
    try:
        device = pick_device(options.device)
    except DeviceUnavailable as error:
        complain(f"gpu-check: {error} Without a GPU: --device cpu --architecture tiny.")
        return 2
    make_current(device)
    subject = Subject(options.architecture, device, "bf16" if device.type == "cuda" else "fp32")
    report = Report(options.out, options.architecture, subject.precision, device, options.seconds)
    try:
        report.write()
    except OSError as error:
        complain(f"gpu-check: {options.out} cannot be written ({error.strerror}). Choose another file with --out.")
        return 2
    chosen = [step for step in STEPS if not options.sections or step.name in options.sections]
    code = run_steps(chosen, subject, report, options.seconds)
    print(table(report.as_json()))
    complain(f"gpu-check: written to {options.out}")
    return code


def run_steps(steps: list[Step], subject: Subject, report: Report, seconds: float) -> int:
    """Run the steps within `seconds` and write the report after each. → the exit code."""
    end = report.started + seconds
    for index, step in enumerate(steps):
        section = report.section(step.name)
        left = end - time.monotonic()
        if left <= 0:
            section.skip(step.name, f"the limit of {seconds:g} s is used up; give more with --seconds")
            report.write()
            continue
        share = left * step.share / sum(other.share for other in steps[index:])
        failure = _run_step(step, subject, section, report, share)
        report.ended = f"device failed in {step.name}: {failure}" if failure else report.ended
        report.write()
        if failure:
            complain(f"gpu-check: the device failed ({failure}). Start the check again in a new process.")
            return 3
    report.ended = "complete"
    report.write()
    return 1 if any(section.failed for section in report.sections.values()) else 0


def _run_step(step: Step, subject: Subject, section: Section, report: Report, share: float) -> str | None:
    """Run one step. Errors are recorded. → the failure of the device, if it needs a new process."""
    complain(f"gpu-check: {step.name} (at most about {share:.0f} s) …")
    started = time.monotonic()

    def hung() -> None:
        section.seconds = time.monotonic() - started
        section.fail(step.name, f"no end after {section.seconds:.0f} s", "Check the device with nvidia-smi and dmesg.")
        report.ended = f"hung in {step.name}"
        report.write()
        complain(f"gpu-check: {step.name} hangs. The results until here are in {report.file}.")
        end_process(3)

    watch = threading.Timer(share + GRACE, hung)
    watch.daemon = True
    watch.start()
    failure = None
    try:
        step.run(subject, section, Budget(started + share))
    except Exception as error:  # every error of a section is a result
        failure = device_failure(error)
        section.error(step.name, error)
    finally:
        watch.cancel()
        section.seconds = time.monotonic() - started
    if failure is None:
        give_back()
    complain(f"gpu-check: {step.name} took {section.seconds:.1f} s")
    return failure


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m qalign.worker --gpu-check",
        description="Measures a device and the engine on it with random weights, and writes one JSON file.",
        epilog="\n".join(["examples:", *(f"  python -m qalign.worker --gpu-check {words}" for words in EXAMPLES)]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the JSON file, rewritten after each section"
    )
    parser.add_argument("--device", default="cuda:0", help="cuda:N or cpu (default: cuda:0)")
    parser.add_argument("--architecture", default="mplug_owl2_7b", choices=sorted(ARCHITECTURES))
    parser.add_argument("--seconds", type=_positive, default=SECONDS, help="limit for the whole run (default: 420)")
    parser.add_argument(
        "--sections", type=_sections, metavar="A,B", help=f"only these of: {', '.join(s.name for s in STEPS)}"
    )
    return parser.parse_args(argv)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e6:
        raise argparse.ArgumentTypeError(f"the limit must be above 0 and below a million seconds, not {text}")
    return value


def _sections(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    known = [step.name for step in STEPS]
    wrong = [name for name in names if name not in known]
    if wrong:
        raise argparse.ArgumentTypeError(f"there is no section {', '.join(wrong)}; the sections are {', '.join(known)}")
    return names
