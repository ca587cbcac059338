"""Ends a process of a run at once, without finalising the interpreter.

The threads of gloo outlive `destroy_process_group`, because the model's mesh still holds its groups. If such a thread
frees a tensor during finalisation, Python ends it inside C++ code. The process then aborts with "terminate called
without an active exception". This happened rarely, on a busy machine, after all work was done. Finalisation is not
needed: files are closed and trackers have finished when the loop returns.
"""

import contextlib
import os
import sys
from typing import NoReturn


def end_process(code: int) -> NoReturn:
    """Flush the output and exit with `code`."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a log on a full disk, a closed pipe
            stream.flush()
    os._exit(code)


def complain(text: str) -> None:
    """Print to stderr if possible: a full disk must not replace the error that is reported."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)
