"""The door to the package transformers: one version, no network, no kernels of the hub, only the needed modules."""

import importlib
import importlib.metadata
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from qalign.weights.errors import ConfigError, MissingPackage, ModelError

from .lean import without_compiler

VERSIONS = ("5.24.",)  # the engine uses parts of the library that other versions can change
ATTENTION = "sdpa"


def transformers_version() -> str:
    """The installed version. Raises MissingPackage for none, and for a version that was not tested."""
    try:
        found = importlib.metadata.version("transformers")
    except importlib.metadata.PackageNotFoundError as error:
        raise MissingPackage(
            "This model needs the Python package transformers. Install it in the interpreter of QALIGN_PYTHON "
            "(pip install -r python/requirements-transformers.lock), or unset QALIGN_PYTHON to use the managed one."
        ) from error
    if not found.startswith(VERSIONS):
        raise MissingPackage(
            f"transformers {found} is installed, but qalign computes with {VERSIONS[0]}x. Install that version in the "
            "interpreter of QALIGN_PYTHON, or unset QALIGN_PYTHON to use the managed one."
        )
    return found


@contextmanager
def without_network() -> Iterator[None]:
    """Without access to the hub: all files are local. Later downloads by qalign.weights.hub are not affected."""
    os.environ["USE_HUB_KERNELS"] = "NO"
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    before = {name: os.environ.get(name) for name in names}
    from huggingface_hub import constants  # reads the environment when it is imported

    known = constants.HF_HUB_OFFLINE
    os.environ.update(dict.fromkeys(names, "1"))
    constants.HF_HUB_OFFLINE = True
    try:
        with warnings.catch_warnings(), without_compiler():
            warnings.simplefilter("ignore")  # about options that qalign does not set
            yield
    finally:
        constants.HF_HUB_OFFLINE = known
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def library_class(place: tuple[str, str]) -> Any:
    """(module below transformers.models, name) → the class. Call it inside `without_network`."""
    transformers_version()
    module, name = place
    return getattr(importlib.import_module(f"transformers.models.{module}"), name)


def library_tokenizer(folder: str) -> Any:
    """The tokenizer of a model folder, without code of the folder. Call it inside `without_network`."""
    from transformers.models.auto.tokenization_auto import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def library_message(error: BaseException) -> str:
    """The whole message of the library's error as one line, or the name of its class."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def refusing(what: str, remedy: str, kind: type[ModelError] = ConfigError) -> Iterator[None]:
    """Raises `kind`, "`what`: message. `remedy`", for the library's errors: wrong files raise any class there."""
    try:
        yield
    except (ModelError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        raise kind(f"{what}: {library_message(error).rstrip('.')}. {remedy}") from error


def silence() -> None:
    """Only errors of the library go to the log: qalign reports what it loads."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def is_recomputed(module: Any) -> bool:
    """Whether a module is a block whose activations the library can recompute: a layer of the encoder or decoder."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    return isinstance(module, GradientCheckpointingLayer)


def save_network(place: tuple[str, str], source: Path, state: dict[str, Any], dtype: Any, target: Path) -> None:
    """Write weights and config.json of a class, by the names of its files. Call it inside `without_network`.

    `state` is by the names in memory, `source` the folder of the model that it was made from.
    """
    kind = library_class(place)
    config = kind.config_class.from_pretrained(str(source), local_files_only=True)
    config.dtype = dtype
    with torch.device("meta"):
        network = kind(config)
    tied = getattr(network, "all_tied_weights_keys", None) or {}
    kept = {name: value.contiguous() for name, value in state.items() if name not in tied}
    network.save_pretrained(str(target), state_dict=kept)
