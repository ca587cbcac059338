"""The actor of a place. It leads a process group of its own, so that everything that it starts can be ended with it."""

import os
import socket

from .worker_process import WorkerProcess


class ShardActor:
    """Starts a shard worker on the node where Ray places it. Ray calls the methods."""

    def __init__(self, command: list[str]) -> None:
        if os.getpgid(0) != os.getpid():
            os.setpgid(0, 0)
        self._worker = WorkerProcess(command, os.getppid(), worker_environment())

    def place(self) -> list[dict]:
        """The first event: where it runs."""
        return [{"event": "placed", "node": socket.gethostname(), "pid": os.getpid()}]

    def give(self, line: dict) -> None:
        """Hands a shard to the worker."""
        self._worker.give(line)

    def take(self, wait_s: float) -> list[dict]:
        """The events since the last call; waits for one for `wait_s` seconds at most."""
        return self._worker.take(wait_s)

    def stop(self) -> None:
        """Ends the worker, and drops its shard."""
        self._worker.stop()


def worker_environment() -> dict[str, str]:
    """The environment of the node, without the folder of the job, in which this package hides the installed one."""
    env = dict(os.environ)
    entries = [entry for entry in env.pop("PYTHONPATH", "").split(os.pathsep) if entry not in ("", os.getcwd())]
    return {**env, "PYTHONPATH": os.pathsep.join(entries)} if entries else env
