"""How a process of a run ends: at once, without taking the interpreter apart.

The threads of gloo outlive `destroy_process_group`, because the model's mesh still holds its groups. A thread that
frees a tensor while Python finalises is ended by Python in the middle of C++, and that aborts the process: "terminate
called without an active exception", rarely, on a busy machine, when all the work was done. So nothing is taken apart:
files are closed and trackers have finished when the loop returns.
"""

import contextlib
import os
import sys
from typing import NoReturn


def end_process(code: int) -> NoReturn:
    """Exit code `code`, after what was printed."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a log on a full disk, a closed pipe
            stream.flush()
    os._exit(code)


def complain(text: str) -> None:
    """To stderr, where it can be written: a full disk must not replace the error that is told."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
