"""A shard worker ends with its actor and with the raylet, and nothing of the process group is left."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from qalign.ray.tether import start_of
from qalign.ray.worker_process import WorkerProcess, read_event

FAKE = [sys.executable, str(Path(__file__).with_name("fake_qalign.py"))]
ACTOR = """
import json, os, sys, time
from qalign.ray.worker_process import WorkerProcess
os.setpgid(0, 0)
worker = WorkerProcess(sys.argv[2:], int(sys.argv[1]), dict(os.environ))
print(json.dumps(worker.take(20)), flush=True)
worker.give({"shard": "hangs", "index": 0})
time.sleep(600)
"""
# it ignores SIGTERM and has a child, as a worker that hangs
STUBBORN = """
import json, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(json.dumps({"event": "ready"}), flush=True)
time.sleep(600)
"""


def group(pid: int) -> list[int]:
    """The live processes of a group."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if os.getpgid(int(folder.name)) == pid and start_of(int(folder.name)) is not None:
                    found.append(int(folder.name))
            except ProcessLookupError:
                pass
    return found


@pytest.fixture
def raylet() -> Iterator[subprocess.Popen]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield process
    process.kill()
    process.wait()


def start_actor(raylet: subprocess.Popen, command: list[str]) -> subprocess.Popen:
    actor = subprocess.Popen(
        [sys.executable, "-c", ACTOR, str(raylet.pid), *command], stdout=subprocess.PIPE, text=True
    )
    assert json.loads(actor.stdout.readline())[0]["event"] == "ready"
    return actor


@pytest.mark.parametrize("victim", ["actor", "raylet"])
@pytest.mark.parametrize("kind", ["fake", "stubborn"])
def test_everything_ends_within_five_seconds(tmp_path: Path, raylet: subprocess.Popen, victim: str, kind: str) -> None:
    fake = [*FAKE, "--out", str(tmp_path)]
    actor = start_actor(raylet, fake if kind == "fake" else [sys.executable, "-c", STUBBORN])
    assert len(group(actor.pid)) == (3 if kind == "fake" else 4)
    killed = actor if victim == "actor" else raylet
    killed.kill()
    killed.wait()
    start = time.monotonic()
    while group(actor.pid) and time.monotonic() - start < 10:
        actor.poll()  # an ended child stays in the table until it is asked
        time.sleep(0.05)
    try:
        assert group(actor.pid) == [] and time.monotonic() - start < 5
    finally:
        for pid in group(actor.pid):
            os.kill(pid, signal.SIGKILL)
        actor.wait()


def take_all(worker: WorkerProcess, last: str) -> list[dict]:
    events: list[dict] = []
    limit = time.monotonic() + 20
    while not any(event["event"] == last for event in events) and time.monotonic() < limit:
        events += worker.take(1)
    return events


def test_events_of_a_worker_and_its_end(tmp_path: Path) -> None:
    env = {**os.environ, "FAKE_STEPS": "1"}
    worker = WorkerProcess([*FAKE, "--out", str(tmp_path)], os.getppid(), env)
    worker.give({"shard": "a ä.tar", "index": 3})
    events = take_all(worker, "done")
    assert [event["event"] for event in events] == ["ready", "progress", "done"]
    assert (events[-1]["shard"], events[-1]["index"], events[-1]["commit"]) == ("a ä.tar", 3, "written")
    worker.give({"shard": "kills", "index": 4})
    lost = take_all(worker, "lost")
    assert lost == [{"event": "lost", "reason": "the shard worker ended with code 137", "blame": "worker"}]
    worker.give({"shard": "late", "index": 5})  # is no error
    assert worker.take(0.1) == []


def test_a_stopped_worker_commits_nothing(tmp_path: Path) -> None:
    worker = WorkerProcess([*FAKE, "--out", str(tmp_path)], os.getppid(), dict(os.environ))
    worker.give({"shard": "long", "index": 0})
    take_all(worker, "progress")
    start = time.monotonic()
    worker.stop()
    assert time.monotonic() - start < 2
    assert not (tmp_path / "long.scores.jsonl").exists()


def test_a_missing_command_and_the_last_line_of_stderr_are_reported() -> None:
    missing = WorkerProcess(["/no/qalign"], os.getppid(), dict(os.environ))
    assert "/no/qalign cannot be started: No such file" in take_all(missing, "lost")[-1]["reason"]
    script = "import sys; print('CUDA is gone', file=sys.stderr); sys.exit(3)"
    failing = WorkerProcess([sys.executable, "-c", script], os.getppid(), dict(os.environ))
    assert take_all(failing, "lost")[-1]["reason"] == "the shard worker ended with code 3: CUDA is gone"


def test_an_error_is_the_last_event() -> None:
    error = {"event": "error", "error": {"code": "MODEL_NOT_FOUND", "message": "no", "retry": False}}
    worker = WorkerProcess(
        [sys.executable, "-c", f"print({json.dumps(json.dumps(error))})"], os.getppid(), dict(os.environ)
    )
    assert take_all(worker, "error") == [error]
    assert worker.take(1) == []


def test_lines_that_are_no_events_are_left_out() -> None:
    assert [read_event(text) for text in ("", "text", "[1]", '{"event": 1}', '{"a": 1}')] == [None] * 5
    assert read_event('{"event": "ready"}\n') == {"event": "ready"}
