"""preprocessor_config.json of a checkpoint → its normalisation. All other settings must match qalign's preprocessing.

TypeScript converts a picture to RGB, pads it to a square, resizes it to `image_size` with Pillow's bicubic filter and
sends the bytes. Only the mean and the standard deviation can differ between checkpoints. Any other deviation is
refused: the scores would silently differ from those of the checkpoint's own code.
"""

from pathlib import Path

from qalign.weights.damage import read_json
from qalign.weights.errors import ConfigError

from .normalise import CLIP, Normalisation

PREPROCESSOR = "preprocessor_config.json"
TYPES = ("CLIPFeatureExtractor", "CLIPImageProcessor", "CLIPImageProcessorFast")  # one computation under three names
BICUBIC = 3  # Pillow's number
# Limits of mean and std: pixels are in 0 … 1, and the quotients must fit in fp32.
LARGEST, SMALLEST_STD = 1e3, 1e-6
# Keys that do not change the pixels of a square RGB picture, at any value.
FREE = (
    *("do_center_crop", "do_convert_rgb", "default_to_square", "processor_class", "_valid_processor_keys"),
    *("data_format", "input_data_format", "return_tensors", "device", "disable_grouping"),
)


def read_normalisation(directory: Path, image_size: int) -> Normalisation:
    """The normalisation of a model directory. CLIP's is the default for a missing file or key. Raises ConfigError."""
    file = directory / PREPROCESSOR
    try:
        values = read_json(file, ConfigError)
    except FileNotFoundError:
        return CLIP
    return parse_preprocessor(values, image_size, str(file))


def parse_preprocessor(values: object, image_size: int, where: str = PREPROCESSOR) -> Normalisation:
    """The parsed JSON object → Normalisation. Raises one ConfigError that lists every unsupported value."""
    if not isinstance(values, dict):
        raise ConfigError(f"{where} must be a JSON object, not {type(values).__name__}.")
    given = {key: value for key, value in values.items() if value is not None and key not in FREE}
    if values.get("do_center_crop") is False:
        given.pop("crop_size", None)
    rules = {key: broken_rule(key, value, image_size) for key, value in given.items()}
    wrong = [f"{key} is {given[key]!r:.80}, but {rule}" for key, rule in rules.items() if rule is not None]
    if wrong:
        raise ConfigError(f"{where} does not describe pixels that qalign prepares: {'; '.join(wrong)}.")
    mean, std = given.get("image_mean", CLIP.mean), given.get("image_std", CLIP.std)
    return Normalisation(tuple(map(float, mean)), tuple(map(float, std)))


def broken_rule(key: str, value: object, image_size: int) -> str | None:
    """The rule that a value breaks, as the end of a sentence. None for a supported value."""
    match key:
        case "do_resize" | "do_rescale" | "do_normalize":
            fits, rule = value is True, "it must be true"
        case "resample":
            fits, rule = _is_number(value) and value == BICUBIC, f"it must be {BICUBIC} (bicubic)"
        case "rescale_factor":
            fits, rule = _is_number(value) and abs(value * 255 - 1) < 1e-7, "it must be 1/255"
        case "size" | "crop_size":
            fits, rule = _is_square(value, image_size), f"image_size of config.json is {image_size}"
        case "image_mean":
            fits, rule = _is_triple(value, -LARGEST), f"it must be three numbers, at most {LARGEST:g}"
        case "image_std":
            fits, rule = _is_triple(value, SMALLEST_STD), f"it must be three numbers, {SMALLEST_STD:g} to {LARGEST:g}"
        case "feature_extractor_type" | "image_processor_type":
            fits, rule = value in TYPES, f"it must be one of {', '.join(TYPES)}"
        case _:  # an unknown step has no effect when it is switched off
            fits, rule = value is False, "qalign does not know this key"
    return None if fits else rule


def _is_number(value: object) -> bool:
    return type(value) in (int, float)


def _is_triple(values: object, least: float) -> bool:
    """Whether `values` are three numbers from `least` to LARGEST. Python's JSON parser accepts NaN and infinity."""
    if not isinstance(values, list) or len(values) != 3:
        return False
    return all(_is_number(value) and least <= value <= LARGEST for value in values)


def _is_square(value: object, side: int) -> bool:
    """Whether a size, in any supported form, resizes a square picture to side × side pixels."""
    if isinstance(value, dict):
        return set(value) in ({"shortest_edge"}, {"height", "width"}) and all(v == side for v in value.values())
    return value in (side, [side, side])
