"""weights_sha256: which weights made a score. Hashes are kept on disk, so that 16 GB are not read twice."""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path


def default_cache_dir() -> Path:
    """The folder that Node passes in `QALIGN_CACHE`; started by hand, the default that Node has (cache-dir.ts)."""
    named, base = os.environ.get("QALIGN_CACHE"), Path(os.environ.get("XDG_CACHE_HOME", ""))
    return Path(named) if named else (base if base.is_absolute() else Path.home() / ".cache") / "qalign"


def weights_sha256(files: Sequence[Path], cache_dir: Path | None = None) -> str:
    """The sha256 of one file, or of the lines `<sha256>  <name>\\n` of several, sorted by name then hash (hex)."""
    hashes = [(file.name, _cached_sha256(file, cache_dir or default_cache_dir())) for file in files]
    if len(hashes) == 1:
        return hashes[0][1]
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes))
    return hashlib.sha256(lines.encode()).hexdigest()


def _cached_sha256(file: Path, cache_dir: Path) -> str:
    path = file.resolve()
    stat = file.stat()
    identity = [str(path), stat.st_size, stat.st_mtime_ns]
    entry = cache_dir / "sha256" / hashlib.sha256(str(path).encode()).hexdigest()
    try:
        known = json.loads(entry.read_text())
        if known["identity"] == identity:
            return known["sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # not there, or half written by a machine that lost power: hash again
    with file.open("rb") as stream:  # a link of /proc leads to an open file, whatever has its name by now
        digest = (
            hashlib.file_digest(stream, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _sha256(stream)
        )
    _store(entry, json.dumps({"identity": identity, "sha256": digest}))
    return digest


def _sha256(stream) -> str:  # Python 3.10 has no file_digest
    digest = hashlib.sha256()
    while block := stream.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _store(entry: Path, text: str) -> None:
    """Write atomically; a cache that cannot be written (read-only home) only costs the next start its time."""
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        partial = entry.with_suffix(f".{os.getpid()}")
        partial.write_text(text)
        partial.replace(entry)
    except OSError:
        return
