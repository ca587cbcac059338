"""Recognises damaged files before they are parsed: git-LFS pointers, saved web pages, empty and cut-off files."""

import json
import os
import re
import stat
import struct
import zipfile
from pathlib import Path
from typing import Any

from .errors import ModelError

LFS = b"version https://git-lfs.github.com/spec/"
WEB_PAGE = re.compile(rb"(\xef\xbb\xbf)?\s*<[!?A-Za-z]")
HEADER_LIMIT = 100_000_000  # bytes, as in safetensors
JSON_LIMIT = 100_000_000  # bytes; the index of a model with a thousand files has 10 MB


def damage(file: Path) -> str | None:
    """The damage of an existing file, as the end of a sentence about it. None when its beginning is right and, for a
    weight file, also its length. Reads a few kB and no tensors. Raises OSError."""
    with file.open("rb") as stream:
        head = stream.read(256)
    if not head:
        return "is damaged: it is empty. Download it again"
    if head.startswith(LFS):
        return "is a git-LFS pointer, not the file itself. Run git lfs pull in its directory"
    if WEB_PAGE.match(head) and b"\0" not in head:
        return "is a web page, not the file itself, which a failed download can leave. Download it again"
    if file.suffix == ".safetensors":
        return _cut_off_safetensors(file)
    if head.startswith(b"PK\x03\x04") and not zipfile.is_zipfile(file):
        return f"is damaged: it is cut off after {os.path.getsize(file)} bytes. Download it again"
    return None


def _cut_off_safetensors(file: Path) -> str | None:
    try:
        header, start = safetensors_header(file)
        wanted = start + max((value["data_offsets"][1] for value in header.values()), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        return f"is damaged: it has no safetensors header ({error}). Download it again"
    held = os.path.getsize(file)
    if held < wanted:
        return f"is damaged: it is cut off, with {held} of {wanted} bytes. Download it again"
    return None


def safetensors_header(file: Path) -> tuple[dict[str, Any], int]:
    """Key → {dtype, shape, data_offsets}, and the byte offset of the first tensor. Raises ValueError and OSError."""
    with file.open("rb") as stream:
        prefix = stream.read(8)
        if len(prefix) < 8:
            raise ValueError(f"the file has only {len(prefix)} bytes")
        (size,) = struct.unpack("<Q", prefix)
        if size > HEADER_LIMIT:
            raise ValueError(f"it would have {size} bytes")
        text = stream.read(size)
    if len(text) < size:
        raise ValueError(f"the file has {len(text)} of its {size} bytes")
    try:
        header = json.loads(text)
    except RecursionError as cause:
        raise ValueError("it is nested too deeply") from cause
    if not isinstance(header, dict):
        raise ValueError("it is not a JSON object")
    return {key: value for key, value in header.items() if key != "__metadata__"}, 8 + size


def refuse_damage(file: Path, error: type[ModelError]) -> None:
    """Raises `error` for a damaged file. A missing file raises nothing here, but in its reader."""
    try:
        wrong = damage(file)
    except OSError:
        return
    if wrong:
        raise error(f"{file} {wrong}.")


def read_json(file: Path, error: type[ModelError]) -> Any:
    """The value of a JSON file. Raises FileNotFoundError, and `error` for anything but a regular file of valid JSON."""
    try:
        # O_NONBLOCK: opening a FIFO would otherwise wait for a writer forever
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise
    except OSError as cause:
        raise error(f"{file} is not readable JSON: {cause}.") from cause
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):  # before open(), which raises a different error for a folder
        os.close(descriptor)
        raise error(f"{file} is not a regular file.")
    with open(descriptor, "rb") as stream:
        if status.st_size > JSON_LIMIT:
            raise error(f"{file} has {status.st_size} bytes; a JSON file of a model can have at most {JSON_LIMIT}.")
        refuse_damage(file, error)
        try:
            return json.loads(stream.read().decode("utf-8"))
        except RecursionError as cause:
            raise error(f"{file} is not the JSON of a model: it is nested too deeply.") from cause
        except (OSError, ValueError) as cause:
            raise error(f"{file} is not readable JSON: {cause}. It may be cut off; download it again.") from cause
