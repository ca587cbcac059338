"""The processor of a model folder: its image processor with Pillow, its tokenizer and its settings of placeholders."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qalign.weights.damage import read_json
from qalign.weights.errors import ConfigError

from .families import Family
from .library import library_class, library_tokenizer
from .source import PICTURES


def load_processor(folder: Path, family: Family, pixels: Mapping[str, int] | None = None) -> Any:
    """The family's processor, without its part for videos. Call it inside `without_network`.

    `pixels` replaces the bounds `min` and `max` of smart pictures. Raises ConfigError.
    """
    refuse_other_images(folder, family)
    images = library_class(family.images)
    try:
        image_processor = images.from_pretrained(str(folder), local_files_only=True, **_bounds(folder, family, pixels))
        tokenizer = library_tokenizer(str(folder))
        kind = without_videos(library_class(family.processor))
        settings, _ = kind.get_processor_dict(str(folder), local_files_only=True)
        parts = {"image_processor": image_processor, "tokenizer": tokenizer, "video_processor": None}
        order = [parts[name] for name in kind.get_attributes()]
        return kind.from_args_and_dict(order, settings)
    except ConfigError:
        raise
    except Exception as error:  # the library raises ValueError, KeyError, TypeError, OSError, … for wrong files
        reason = (str(error) or type(error).__name__).splitlines()[0][:300]
        raise ConfigError(
            f"{folder} has no usable processor and tokenizer of {family.model_type}: {reason}."
        ) from error


def without_videos(kind: Any) -> Any:
    """A processor class that takes None for the processor of videos, which needs torchvision. Clips are pictures."""

    def check(self: Any, name: str, argument: Any) -> Any:
        return None if argument is None else kind.check_argument_for_proper_class(self, name, argument)

    return type(kind.__name__, (kind,), {"check_argument_for_proper_class": check})


def refuse_other_images(folder: Path, family: Family) -> None:
    """Raises ConfigError if the folder describes no image processor, or that of another computation."""
    settings = _image_settings(folder)
    name = settings.get("image_processor_type") or settings.get("feature_extractor_type")
    if name not in family.image_types:
        raise ConfigError(
            f"{folder} has the image processor {name!r:.80}; {family.model_type} needs {family.image_types[0]}."
        )


def _image_settings(folder: Path) -> dict[str, Any]:
    """The settings of the image processor, from the newer file or from the older one."""
    for name in PICTURES:
        try:
            value = read_json(folder / name, ConfigError)
        except FileNotFoundError:
            continue
        found = value.get("image_processor") if name == PICTURES[0] and isinstance(value, dict) else value
        if isinstance(found, dict):
            return found
    raise ConfigError(f"{folder} has no {' or '.join(PICTURES)}; download it, because it describes the pictures.")


def _bounds(folder: Path, family: Family, pixels: Mapping[str, int] | None) -> dict[str, Any]:
    if not pixels:
        return {}
    if family.pictures != "smart":
        raise ConfigError(f"pixels are bounds for Qwen's families, but this model is {family.model_type}; omit them.")
    settings = _image_settings(folder)
    size = dict(settings.get("size") or {})
    for key, old, new in (("shortest_edge", "min_pixels", "min"), ("longest_edge", "max_pixels", "max")):
        known = pixels.get(new, settings.get(old, size.get(key)))
        if known is not None:
            size[key] = known
    return {"size": size, "min_pixels": None, "max_pixels": None}
