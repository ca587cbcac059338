"""config.json of a published checkpoint → frozen dataclasses, with the field names of the file."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qalign.weights.damage import read_json
from qalign.weights.errors import ConfigError

from .normalise import CLIP, Normalisation
from .preprocessor import PREPROCESSOR, read_normalisation

# Defaults of the published training code, for configs that omit a value (ViT-L/14 at 448 px, LLaMA-2-7B).
DEFAULT_GRID_SIZE = 32
VIT = "vit"
# Larger values are errors in the file: building 10⁶ layers takes minutes, and no weights would fit.
MOST = 1 << 24
MOST_LAYERS = 1024
MOST_PIXELS = 8192  # per side
# What an encoder can see of a picture: all of it at reduced size, or parts of it at its own pixels.
VIEWS = ("whole", "native")
ONE_VIEW = ("whole",)


@dataclass(frozen=True)
class VisionConfig:
    """The image encoder. `image_size` and `patch_size` are in pixels; `model_type` selects the encoder class.

    A frame has the `views` of a picture, which are squares of `image_size`, stacked from top to bottom.
    """

    model_type: str
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    image_size: int
    patch_size: int
    layer_norm_eps: float
    raw: Mapping[str, Any]  # the JSON object of the file, from which other encoders read their own fields
    normalisation: Normalisation = CLIP  # of the pixels, from preprocessor_config.json
    views: tuple[str, ...] = ONE_VIEW


@dataclass(frozen=True)
class AbstractorConfig:
    """The resampler: every image becomes `num_learnable_queries` + 1 tokens, of which the last is `vit_eos`."""

    num_learnable_queries: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    encoder_hidden_size: int
    layer_norm_eps: float
    grid_size: int
    views: int = 1  # the number of grids among the encoder's tokens


@dataclass(frozen=True)
class ModelConfig:
    """The whole model. The fields at this level describe the language model."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    rms_norm_eps: float
    rope_theta: float
    max_position_embeddings: int | None  # the longest sequence of its training; None if the file does not state it
    vision: VisionConfig
    abstractor: AbstractorConfig

    @property
    def image_size(self) -> int:
        """Side of a view in pixels."""
        return self.vision.image_size

    @property
    def frame_shape(self) -> tuple[int, int, int]:
        """Shape of the pixels of a frame, [V·S, S, 3]: its V views of side S, stacked from top to bottom."""
        return len(self.vision.views) * self.image_size, self.image_size, 3

    @property
    def normalisation(self) -> Normalisation:
        """Normalisation of the encoder's input pixels."""
        return self.vision.normalisation

    @property
    def tokens_per_frame(self) -> int:
        """Sequence positions of one picture or frame (65 in the published models)."""
        return self.abstractor.num_learnable_queries + 1

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_attention_heads


def load_config(path: Path, adapter: Path | None = None) -> ModelConfig:
    """Read a `config.json`, or the `config.json` of a directory, and the preprocessor_config.json beside it.

    The LoRA directory `adapter` can hold its own preprocessor_config.json. Its normalisation must equal that of the
    base, because the base's encoder reads the pixels. Raises ConfigError, naming file and field.
    """
    file = path / "config.json" if path.is_dir() else path
    try:
        values = read_json(file, ConfigError)
    except FileNotFoundError as error:
        raise ConfigError(f"{file} does not exist; a model directory needs its config.json.") from error
    config = parse_config(values, str(file))
    normalisation = read_normalisation(file.parent, config.image_size)
    if adapter is not None and (adapter / PREPROCESSOR).is_file():
        own = read_normalisation(adapter, config.image_size)
        if own != normalisation:
            raise ConfigError(
                f"{adapter / PREPROCESSOR} normalises with {own}, but the base in {file.parent} with {normalisation}. "
                "Name the base model that the LoRA was trained on."
            )
    return replace(config, vision=replace(config.vision, normalisation=normalisation))


def parse_config(values: object, where: str = "config.json") -> ModelConfig:
    """The parsed JSON object of config.json → ModelConfig. Raises ConfigError, naming `where` and the field."""
    top = _Fields(values, where)
    visual = top.section("visual_config")
    vision = _vision(visual.section("visual_model"))
    config = ModelConfig(
        vocab_size=top.count("vocab_size"),
        hidden_size=top.count("hidden_size"),
        intermediate_size=top.count("intermediate_size"),
        num_hidden_layers=top.count("num_hidden_layers"),
        num_attention_heads=top.count("num_attention_heads"),
        rms_norm_eps=top.number("rms_norm_eps"),
        rope_theta=top.number("rope_theta", 10000.0),
        max_position_embeddings=top.optional_count("max_position_embeddings"),
        vision=vision,
        abstractor=_abstractor(visual.section("visual_abstractor"), len(vision.views)),
    )
    _check(config, top)
    return config


def _vision(fields: "_Fields") -> VisionConfig:
    model_type = fields.values.get("model_type") or VIT
    vit = model_type in (VIT, "mplug_owl_vision_model")
    return VisionConfig(
        model_type=VIT if vit else str(model_type),
        hidden_size=fields.count("hidden_size"),
        intermediate_size=fields.count("intermediate_size", None if vit else 1),
        num_hidden_layers=fields.count("num_hidden_layers", None if vit else 1),
        num_attention_heads=fields.count("num_attention_heads", None if vit else 1),
        image_size=fields.count("image_size"),
        patch_size=fields.count("patch_size", None if vit else 1),
        layer_norm_eps=fields.number("layer_norm_eps", 1e-6),
        raw=fields.values,
        views=_views(fields),
    )


def _views(fields: "_Fields") -> tuple[str, ...]:
    value = fields.values.get("views")
    if value is None:
        return ONE_VIEW
    known = isinstance(value, list) and value[:1] == ["whole"] and all(view in VIEWS for view in value)
    if not known or len(set(value)) != len(value):
        raise ConfigError(
            f"{fields.where}: views must list {' and '.join(VIEWS)}, each at most once and whole first, "
            f"not {value!r:.80}."
        )
    return tuple(value)


def _abstractor(fields: "_Fields", views: int) -> AbstractorConfig:
    return AbstractorConfig(
        num_learnable_queries=fields.count("num_learnable_queries"),
        hidden_size=fields.count("hidden_size"),
        num_hidden_layers=fields.count("num_hidden_layers"),
        num_attention_heads=fields.count("num_attention_heads"),
        intermediate_size=fields.count("intermediate_size"),
        encoder_hidden_size=fields.count("encoder_hidden_size"),
        layer_norm_eps=fields.number("layer_norm_eps", 1e-6),
        grid_size=fields.count("grid_size", DEFAULT_GRID_SIZE),
        views=views,
    )


def _check(config: ModelConfig, top: "_Fields") -> None:
    kv_heads = top.values.get("num_key_value_heads")
    if kv_heads not in (None, config.num_attention_heads):
        raise ConfigError(
            f"{top.where}: num_key_value_heads is {kv_heads}; it must equal num_attention_heads, "
            f"{config.num_attention_heads}."
        )
    if top.values.get("tie_word_embeddings"):
        raise ConfigError(f"{top.where}: tie_word_embeddings is true; only an untied lm_head is supported.")
    if top.values.get("rope_scaling") is not None:
        raise ConfigError(
            f"{top.where}: rope_scaling is {top.values['rope_scaling']}; only unscaled rotary positions are supported."
        )
    for name, part in (("", config), ("visual_model.", config.vision), ("visual_abstractor.", config.abstractor)):
        if part.hidden_size % part.num_attention_heads:
            raise ConfigError(
                f"{top.where}: {name}hidden_size {part.hidden_size} does not divide into "
                f"{part.num_attention_heads} heads."
            )
    vision = config.vision
    if vision.model_type == VIT and vision.image_size % vision.patch_size:
        raise ConfigError(
            f"{top.where}: visual_model.image_size {vision.image_size} is not a multiple of patch_size "
            f"{vision.patch_size}."
        )


class _Fields:
    """One JSON object and its path in the file, for error messages."""

    def __init__(self, values: object, where: str) -> None:
        if not isinstance(values, dict):
            raise ConfigError(f"{where} must be a JSON object, not {type(values).__name__}.")
        self.values: dict[str, Any] = values
        self.where = where

    def section(self, name: str) -> "_Fields":
        if name not in self.values:
            raise ConfigError(f"{self.where} has no {name}; is it the config of an mPLUG-Owl2 model?")
        return _Fields(self.values[name], f"{self.where}: {name}")

    def count(self, name: str, default: int | None = None) -> int:
        value = self.values.get(name)
        value = default if value is None else value
        most = {"num_hidden_layers": MOST_LAYERS, "image_size": MOST_PIXELS}.get(name, MOST)
        if type(value) is not int or value < 1:
            raise ConfigError(f"{self.where}: {name} must be a whole number of at least 1, not {value!r:.80}.")
        if value > most:
            raise ConfigError(f"{self.where}: {name} must be at most {most}, not {value!r:.80}.")
        return value

    def optional_count(self, name: str) -> int | None:
        return None if self.values.get(name) is None else self.count(name)

    def number(self, name: str, default: float | None = None) -> float:
        value = self.values.get(name)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
            raise ConfigError(f"{self.where}: {name} must be a finite number above 0, not {value!r:.80}.")
        return float(value)
