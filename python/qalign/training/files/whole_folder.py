"""Atomic creation of directories."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yield an empty directory beside `target` that replaces it when the block ends without an error.

    After an error `target` is unchanged. The temporary directory remains until the next attempt. Raises OSError.
    """
    draft = target.with_name(target.name + ".part")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    yield draft
    shutil.rmtree(target, ignore_errors=True)
    os.replace(draft, target)
