"""The shard worker of an actor: one process that reads shards as JSON lines and writes events as JSON lines."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path

TETHER = Path(__file__).with_name("tether.py")
KEPT_LINES = 20
STOP_S = 5.0


class WorkerProcess:
    """Starts the command below a tether, in the process group of the caller. `take` returns its events.

    The last event is `error` of the worker, or `lost` with `reason` and `blame`.
    """

    def __init__(self, command: list[str], raylet: int, env: dict[str, str]) -> None:
        """`raylet` is the pid of the process without which the worker ends, too."""
        self._events: queue.Queue[dict] = queue.Queue()
        self._stderr: deque[str] = deque(maxlen=KEPT_LINES)
        tether = [sys.executable, "-S", "-E", str(TETHER), str(os.getpid()), str(raylet)]
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        text = {"encoding": "utf-8", "errors": "replace"}
        self._process = subprocess.Popen([*tether, *command], env=env, cwd="/", **streams, **text)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def give(self, line: dict) -> None:
        """Sends a shard. A worker that has ended is reported by `take`."""
        try:
            self._process.stdin.write(json.dumps(line) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError):
            pass

    def take(self, wait_s: float) -> list[dict]:
        """The events so far. Waits for the first one for `wait_s` seconds at most."""
        try:
            events = [self._events.get(timeout=wait_s)]
        except queue.Empty:
            return []
        while True:
            try:
                events.append(self._events.get_nowait())
            except queue.Empty:
                return events

    def stop(self) -> None:
        """Ends the worker without a commit of the shard at hand; waits for 5 s at most."""
        self._process.terminate()
        self._reader.join(STOP_S)

    def _read(self) -> None:
        errors = threading.Thread(target=self._read_stderr, daemon=True)
        errors.start()
        has_error = False
        for text in self._process.stdout:
            event = read_event(text)
            if event is not None:
                has_error = has_error or event["event"] == "error"
                self._events.put(event)
        code = self._process.wait()
        errors.join(1)
        if not has_error:
            last = f": {self._stderr[-1]}" if self._stderr else ""
            reason = f"the shard worker ended with code {code}{last}"
            self._events.put({"event": "lost", "reason": reason, "blame": "worker"})

    def _read_stderr(self) -> None:
        for text in self._process.stderr:
            if text.strip() != "":
                self._stderr.append(text.strip()[:500])
            sys.stderr.write(text)


def read_event(text: str) -> dict | None:
    """The event of a line, or None for a line that is none."""
    try:
        event = json.loads(text)
    except ValueError:
        return None
    return event if isinstance(event, dict) and isinstance(event.get("event"), str) else None
