"""Reports of work that reports nothing itself."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from .errors import Cancelled


@contextmanager
def polled(poll: Callable[[], None], every_s: float) -> Iterator[None]:
    """Call `poll` in a thread every `every_s` seconds, until the block ends or `poll` raises Cancelled.

    The next report of the working thread raises Cancelled too, so it is not passed on.
    """
    finished = threading.Event()

    def repeat() -> None:
        try:
            while not finished.wait(every_s):
                poll()
        except Cancelled:
            return

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
