"""The digest of weight files, computed in a thread while the weights are read."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from types import TracebackType

from .digest import weights_sha256
from .errors import Cancelled

REPORT_S = 2.0  # between two reports of the wait

ProgressCallback = Callable[[str, int, int, str], None]  # stage, done, total, unit
Digest = Callable[[Sequence[Path], Callable[[int], None]], str]


def _digest(files: Sequence[Path], on_bytes: Callable[[int], None]) -> str:
    return weights_sha256(files, on_bytes=on_bytes)


class Hashing:
    """A context that computes the digest of files. An exception in its block stops the computation."""

    def __init__(self, files: Sequence[Path], digest: Digest = _digest, report_s: float = REPORT_S) -> None:
        self._report_s = report_s
        self._total = sum(file.stat().st_size for file in files)
        self._done = 0
        self._stopped = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="hashing")
        self._future = self._thread.submit(digest, files, self._count)

    @property
    def done(self) -> int:
        """The bytes that are hashed."""
        return self._done

    def result(self, report: ProgressCallback) -> str:
        """Wait for the digest. Reports bytes when there are new ones, so a disk that hangs gives no report."""
        reported = self._done
        while not wait([self._future], self._report_s).done:
            if self._done > reported:
                reported = self._done
                report("hash", reported, self._total, "bytes")
        return self._future.result()

    def __enter__(self) -> "Hashing":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stopped = True
        self._thread.shutdown(wait=False)

    def _count(self, size: int) -> None:
        self._done += size
        if self._stopped:
            raise Cancelled("The weights are no longer needed.")
