"""Runs a command that must not outlive its parent: `python tether.py PARENT RAYLET COMMAND…`, both as pids.

An actor starts its shard worker below this process. When the actor or the raylet of the node is gone, the worker gets
SIGTERM, and then the whole process group SIGKILL. The group is that of the actor, so nothing of it is left. Ray alone
let an actor and its child live for more than 70 s after kill -9 of a raylet.

The file is started by its path and imports only the standard library, so that it starts in some hundredths of a second.
"""

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

POLL_S = 0.25
TERM_S = 2.5
PR_SET_PDEATHSIG = 1


def start_of(pid: int) -> str | None:
    """The start of a running process in kernel ticks, which no later process with its pid has. None after its end."""
    try:
        # the second field can contain spaces and brackets, so fields are counted from the last bracket
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def die_with_parent() -> None:
    """The kernel kills this process when the thread that started it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(parent: int, raylet: int, command: list[str]) -> int:
    """The exit code of the command, 128 plus the signal that ended it, or 127 if it cannot be started."""
    raylet_start = start_of(raylet)
    try:
        # this process has one thread, so a function between fork and exec is safe
        child = subprocess.Popen(command, preexec_fn=die_with_parent)
    except OSError as error:
        print(f"{command[0]} cannot be started: {error.strerror}", file=sys.stderr)
        return 127
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while os.getppid() == parent and raylet_start is not None and start_of(raylet) == raylet_start:
        try:
            code = child.wait(POLL_S)
        except subprocess.TimeoutExpired:
            continue
        return code if code >= 0 else 128 - code
    child.terminate()
    try:
        child.wait(TERM_S)
    except subprocess.TimeoutExpired:
        child.kill()
    if os.getpgid(0) == parent:  # otherwise the group is not that of the actor
        os.killpg(parent, signal.SIGKILL)
    return 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
