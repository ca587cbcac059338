"""The files of a model: found in a folder or the hub, refused if they contain or name code."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qalign.weights.damage import read_json
from qalign.weights.errors import CheckpointError, ConfigError
from qalign.weights.hub import resolve_model
from qalign.weights.layout import WeightFiles, find_weights

from .families import Family, find_family

CONFIG = "config.json"
PICTURES = ("processor_config.json", "preprocessor_config.json")
TEXTS = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja", "chat_template.json"),
)
SMALL_FILES = (CONFIG, *PICTURES, *TEXTS)
ADAPTER = "adapter_config.json"


@dataclass(frozen=True)
class ModelFolder:
    """A local folder with a model of a supported family. `revision` is the commit of the hub or "local"."""

    path: Path
    revision: str
    family: Family
    config: dict[str, Any]
    weights: WeightFiles

    @property
    def max_positions(self) -> int | None:
        """The longest sequence of the language model, if config.json states it."""
        text = self.config.get("text_config")
        found = (text if isinstance(text, dict) else self.config).get("max_position_embeddings")
        return found if isinstance(found, int) and found > 0 else None

    def texts(self) -> list[Path]:
        """The files of tokenizer and chat template that exist."""
        return [self.path / name for name in TEXTS if (self.path / name).is_file()]


def find_model(
    model: str,
    *,
    revision: str | None = None,
    cache_dir: Path | None = None,
    offline: bool = False,
    on_progress: Callable[[str, int, int, str], None] = lambda stage, done, total, unit: None,
) -> ModelFolder:
    """Resolve a folder or hub id, and download what is missing: JSON, texts and safetensors.

    Raises the errors of `resolve_model` and `open_folder`.
    """
    found = resolve_model(
        model,
        revision=revision,
        cache_dir=cache_dir,
        offline=offline,
        on_progress=on_progress,
        small_files=SMALL_FILES,
        safetensors_only=True,
    )
    return open_folder(found.path, found.revision)


def open_folder(path: Path, revision: str = "local") -> ModelFolder:
    """Check a folder. Raises ConfigError for an unknown family and for `auto_map`, CheckpointError for its weights."""
    if (path / ADAPTER).is_file():  # the library would load it too, if PEFT is installed
        raise ConfigError(
            f"{path} holds {ADAPTER}. A LoRA of transformers is not loaded: merge it into its base with PEFT's "
            "merge_and_unload, and load the merged model."
        )
    try:
        config = read_json(path / CONFIG, ConfigError)
    except FileNotFoundError as error:
        raise ConfigError(f"{path} has no {CONFIG}; name a folder that transformers' save_pretrained wrote.") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path / CONFIG} must be a JSON object, not {type(config).__name__}.")
    for key in ("text_config", "vision_config"):  # null would give the sizes of a large default model
        if key in config and not isinstance(config[key], dict):
            raise ConfigError(f"{path / CONFIG}: {key} must be an object, not {config[key]!r:.60}.")
    if config.get("quantization_config") is not None:
        raise ConfigError(f"{path / CONFIG} has quantization_config; use the checkpoint with unquantised weights.")
    refuse_code(path)
    family = find_family(config, str(path / CONFIG))
    weights = find_weights(path)
    pickled = [file.name for file in weights.files if file.suffix != ".safetensors"]
    if pickled:
        raise CheckpointError(
            f"{path} holds {pickled[0]}, but models of transformers are read from safetensors only. "
            "Save the model with transformers' save_pretrained."
        )
    return ModelFolder(path, revision, family, config, weights)


def refuse_code(path: Path) -> None:
    """Raises ConfigError if a JSON file of the model names code that would have to be run."""
    for name in (CONFIG, *PICTURES, "tokenizer_config.json"):
        try:
            value = read_json(path / name, ConfigError)
        except FileNotFoundError:
            continue
        if "auto_map" in _keys(value):
            raise ConfigError(
                f"{path / name} has auto_map: the model comes with its own code, which qalign never runs. "
                "Use a checkpoint that transformers computes itself (on the hub its name often ends in -hf)."
            )


def _keys(value: object) -> Iterator[str]:
    """The keys of an object and of the objects in it."""
    if isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)
