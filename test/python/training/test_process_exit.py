"""The end of the processes of a run, and their output on a full disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from training_golden import ROOT


def python(code: str, *args: str) -> subprocess.CompletedProcess:
    env = {k: v for k, v in os.environ.items() if k != "QALIGN_BRIDGE"} | {"PYTHONPATH": str(ROOT / "python")}
    return subprocess.run([sys.executable, "-c", code, *args], env=env, capture_output=True, text=True, timeout=200)


def test_output_is_flushed_and_the_interpreter_is_not_finalised() -> None:
    code = (
        "import atexit, sys; atexit.register(print, 'FINALISED'); from qalign.training.process_exit import end_process;"
    )
    done = python(code + "sys.stdout.write('said'); end_process(3)")
    assert (done.returncode, done.stdout, done.stderr) == (3, "said", "")


@pytest.mark.parametrize("module", ["qalign.training", "qalign.worker.training_process"])
def test_processes_of_a_run_end_without_finalising_the_interpreter(module: str, tmp_path: Path) -> None:
    """Gloo's threads are still alive. A thread that needs the interpreter during finalisation aborts the process."""
    code = "import atexit, runpy, sys; atexit.register(print, 'FINALISED');"
    done = python(code + f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)", str(tmp_path / "none"))
    assert done.returncode == 1
    assert "FINALISED" not in done.stdout


def test_a_line_cut_off_by_a_full_disk_does_not_damage_the_next(tmp_path: Path) -> None:
    code = (
        "import resource, sys; from pathlib import Path; from qalign.training.events import EventLog;"
        "hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]; log = EventLog(Path(sys.argv[1]), 0);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard)); [log.emit('step', step=k) for k in range(9)];"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)); log.emit('end', status='completed')"
    )
    file = tmp_path / "events.jsonl"
    done = python(code, str(file))
    assert done.returncode == 0
    assert "could not be written" in done.stderr
    lines = file.read_text().splitlines()
    whole = [json.loads(line) for line in lines if line.endswith("}")]
    assert len(whole) == len(lines) - 1
    assert whole[-1]["event"] == "end"


def test_a_log_that_cannot_be_written_does_not_replace_the_error(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    code = "from qalign.training.process_exit import complain, end_process; complain('it broke'); end_process(4)"
    env = os.environ | {"PYTHONPATH": str(ROOT / "python")}
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], env=env, stdout=full, stderr=full, timeout=200, check=False)
    assert done.returncode == 4
