"""The processor of a model folder: its image processor with Pillow, its tokenizer and its settings of placeholders."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from qalign.weights.answers import ChatPrompt
from qalign.weights.damage import read_json
from qalign.weights.errors import ConfigError, InvalidInput

from .chat import MARKER, Chat, chat_of, encode_text, encode_word, with_pictures
from .families import Family
from .library import library_class, library_tokenizer, refusing
from .processing import Preparing, preparing_of
from .source import CONFIG, PICTURES, ModelFolder

TOKENIZERS = (("tokenizer.json",), ("tokenizer.model",), ("vocab.json", "merges.txt"))  # each is enough
# Settings of smart image processors, and those of vision encoders that must be equal.
GEOMETRY = {
    "patch_size": "patch_size",
    "merge_size": "spatial_merge_size",
    "temporal_patch_size": "temporal_patch_size",
}
SMALL = 32  # pixels of the side of a picture for families that resize themselves


@dataclass(frozen=True)
class Opened:
    """What turns pixels and texts into tokens: the library's processor, and what qalign makes of it."""

    processor: Any
    preparing: Preparing
    chat: Chat


def open_processor(folder: ModelFolder, settings: Mapping[str, Any]) -> Opened:
    """The checked processor of a model. `settings` has the keys of ChatSettings. Call it inside `without_network`.

    Wrong files are found here, before weights are read. Raises ConfigError.
    """
    refuse_other_images(folder.path, folder.family)
    require_tokenizer(folder.path)
    what = f"{folder.path} has no usable processor and tokenizer of {folder.family.model_type}"
    with refusing(what, f"Correct or download again its {', '.join((*PICTURES, 'tokenizer.json'))}."):
        processor = load_processor(folder.path, folder.family, settings.get("pixels"))
        preparing = preparing_of(folder.family, processor)
        require_geometry(folder, processor.image_processor)
        opened = Opened(processor, preparing, chat_of(processor, settings))
        try:
            try_out(opened, folder)
        except InvalidInput as error:  # of a question that fits every model
            raise ConfigError(f"The files of {folder.path} do not fit each other: {error}") from error
    return opened


def load_processor(folder: Path, family: Family, pixels: Mapping[str, int] | None = None) -> Any:
    """The family's processor, without its part for videos. Call it inside `without_network`.

    `pixels` replaces the bounds `min` and `max` of smart pictures. Raises any error of the library for wrong files.
    """
    images = library_class(family.images)
    image_processor = images.from_pretrained(str(folder), local_files_only=True, **_bounds(folder, family, pixels))
    tokenizer = library_tokenizer(str(folder))
    kind = without_videos(library_class(family.processor))
    settings, _ = kind.get_processor_dict(str(folder), local_files_only=True)
    parts = {"image_processor": image_processor, "tokenizer": tokenizer, "video_processor": None}
    order = [parts[name] for name in kind.get_attributes()]
    return kind.from_args_and_dict(order, settings)


def require_tokenizer(folder: Path) -> None:
    """Raises ConfigError without a tokenizer. From other files, the library would make one without words."""
    if not any(all((folder / name).is_file() for name in names) for names in TOKENIZERS):
        raise ConfigError(
            f"{folder} has no tokenizer: it needs {', or '.join(' and '.join(names) for names in TOKENIZERS)}. "
            "Download the missing files."
        )


def require_geometry(folder: ModelFolder, images: Any) -> None:
    """Raises ConfigError if the image processor makes other patches than the vision encoder reads."""
    if folder.family.pictures != "smart":
        return
    vision = folder.config.get("vision_config", {})
    for ours, theirs in GEOMETRY.items():
        made, read = getattr(images, ours), vision.get(theirs)
        if read is not None and made != read and [made, made] != read:
            raise ConfigError(
                f"{folder.path}: {ours} of the image processor is {made!r}, but {theirs} of the vision encoder is "
                f"{read!r}. Correct it, or download the files of one model."
            )


def try_out(opened: Opened, folder: ModelFolder) -> None:
    """Ask about a small picture, without the network. Raises ConfigError and InvalidInput."""
    side = opened.preparing.preparation.get("multiple", SMALL)
    pictures = opened.preparing.prepare([torch.zeros(1, side, side, 3, dtype=torch.uint8)])
    rendered = opened.chat.render(ChatPrompt(f"{MARKER}How good is it?", "It is"), [1])
    processor = opened.processor
    encode_text(processor.tokenizer, with_pictures(rendered, processor.image_token, pictures.texts))
    added = processor.tokenizer.added_tokens_decoder
    filling = Counter(id for id in encode_word(processor.tokenizer, pictures.texts[0]) if id in added)
    if not filling:
        raise ConfigError(f"{folder.path} has no token for pictures; use a checkpoint of {folder.family.model_type}.")
    ((made, _),) = filling.most_common(1)
    named = folder.config.get("image_token_id", folder.config.get("image_token_index", made))
    if named != made:
        raise ConfigError(
            f"{folder.path / CONFIG} names {named!r} as the token of pictures, but the processor fills them with "
            f"{made} ({processor.tokenizer.convert_ids_to_tokens(made)!r}). Correct image_token_id, or download the "
            "files of one model."
        )


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
