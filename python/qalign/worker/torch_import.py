"""Imports torch without the parts that scoring on a CPU does not use: they take a third of the import.

`POSTPONED` modules are imported at the first access to one of their attributes. `torch._meta_registrations` also adds
operators for meta tensors when it is imported. Without it, meta tensors can be created but hardly computed with.
The modules of `NEEDY` compute with meta tensors, so their import completes torch first.
"""

import importlib
import importlib.util
import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

VERSIONS = ("2.13.",)  # other versions can depend on the order of these imports, and are imported as a whole
POSTPONED = ("torch._meta_registrations", "torch.export")
NEEDY = ("torch._decomp", "torch._dynamo", "torch._export", "torch._inductor", "torch._prims", "torch._refs")


class Postponed(ModuleType):
    """Stands for a module until one of its attributes is read."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # `inspect` and `warnings` read such attributes of all modules
            raise AttributeError(name)
        complete_torch()
        return getattr(sys.modules[self.__name__], name)


class Postponing:
    """A finder and loader that gives a `Postponed` for each postponed module."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name in POSTPONED:
            return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]
        if name in NEEDY:
            complete_torch()
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return Postponed(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def import_torch() -> None:
    """Import torch, without the postponed modules if its version is known."""
    if "torch" not in sys.modules and (_version() or "").startswith(VERSIONS):
        sys.meta_path.insert(0, Postponing())  # type: ignore[arg-type]
    importlib.import_module("torch")


def complete_torch() -> None:
    """Import the postponed modules. Does nothing if torch is complete."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Postponing)]
    for name in POSTPONED:
        if isinstance(sys.modules.get(name), Postponed):
            del sys.modules[name]
            importlib.import_module(name)


def _version() -> str | None:
    """The version of torch, read without an import."""
    spec = importlib.util.find_spec("torch")
    file = Path(spec.origin or "").parent / "version.py" if spec else None
    found = re.search(r"__version__ = '([^']+)'", file.read_text()) if file and file.is_file() else None
    return found[1] if found else None
