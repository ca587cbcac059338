"""weights_sha256 identifies the weights of a score. Hashes are cached on disk, so that 16 GB are not read twice."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

BLOCK = 1 << 20  # bytes


def default_cache_dir() -> Path:
    """The directory that Node passes in `QALIGN_CACHE`, or Node's default (cache-dir.ts) without Node."""
    named, base = os.environ.get("QALIGN_CACHE"), Path(os.environ.get("XDG_CACHE_HOME", ""))
    return Path(named) if named else (base if base.is_absolute() else Path.home() / ".cache") / "qalign"


def weights_sha256(
    files: Sequence[Path], cache_dir: Path | None = None, on_bytes: Callable[[int], None] = lambda count: None
) -> str:
    """The hex sha256 of one file. For several: of the lines `<sha256>  <name>\\n`, sorted by name, then hash.

    `on_bytes` is called with the size of each block that was read or was in the cache. It can raise to stop.
    """
    hashes = [(file.name, _cached_sha256(file, cache_dir or default_cache_dir(), on_bytes)) for file in files]
    if len(hashes) == 1:
        return hashes[0][1]
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()


def _cached_sha256(file: Path, cache_dir: Path, on_bytes: Callable[[int], None]) -> str:
    path = file.resolve()
    stat = file.stat()
    identity = [str(path), stat.st_size, stat.st_mtime_ns]
    entry = cache_dir / "sha256" / hashlib.sha256(str(path).encode()).hexdigest()
    try:
        known = json.loads(entry.read_text())
        if known["identity"] == identity:
            on_bytes(stat.st_size)
            return known["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # missing, or incomplete after a power failure: hash again
    digest = _sha256(file, on_bytes)
    _store(entry, json.dumps({"identity": identity, "sha256": digest}))
    return digest


def _sha256(file: Path, on_bytes: Callable[[int], None]) -> str:
    digest, block = hashlib.sha256(), memoryview(bytearray(BLOCK))
    with file.open("rb", buffering=0) as stream:  # a link of /proc refers to the open file
        while count := stream.readinto(block):
            digest.update(block[:count])
            on_bytes(count)
    return digest.hexdigest()


def _store(entry: Path, text: str) -> None:
    """Write atomically. Without a writable cache (read-only home), the next start only takes longer."""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        partial = entry.with_suffix(f".{os.getpid()}")
        partial.write_text(text)
        partial.replace(entry)
    except OSError:
        return
