"""What training needs to know of a model before it is loaded: who resizes its pictures, and to which sizes."""

from collections.abc import Mapping
from typing import Any

from .library import silence, without_network
from .processing import NativePictures, Preparing, SmartPictures
from .processor import load_processor
from .source import ModelFolder


def inspect_folder(folder: ModelFolder, pixels: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Reads the processor, not the weights. `pixels` replaces the bounds `min` and `max` of smart pictures.

    → `path`, `family`, `preparation` and `image_size` as of a loaded model. Raises ConfigError.
    """
    with without_network():
        silence()
        processor = load_processor(folder.path, folder.family, pixels)
        smart = folder.family.pictures == "smart"
        preparing: Preparing = SmartPictures(processor) if smart else NativePictures(processor)
    return {
        "path": str(folder.path),
        "family": folder.family.model_type,
        "preparation": preparing.preparation,
        "image_size": preparing.image_size,
    }
