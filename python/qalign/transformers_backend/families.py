"""The supported families: which classes of transformers compute them, and who resizes their pictures."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from qalign.weights.errors import ConfigError

QWEN_IMAGES = ("qwen2_vl.image_processing_pil_qwen2_vl", "Qwen2VLImageProcessorPil")


@dataclass(frozen=True)
class Family:
    """Facts about a `model_type`. A class is (module below transformers.models, name).

    `pictures` is `smart` if Node resizes pictures to multiples of a patch, and `native` if the image processor gets
    pictures at their own size. `text` is the attribute with the language model. `rope` marks positions that depend on
    picture grids, `types` a mask that depends on the kinds of tokens.
    """

    model_type: str
    model: tuple[str, str]
    processor: tuple[str, str]
    images: tuple[str, str]
    pictures: Literal["smart", "native"] = "native"
    text: str = "language_model"
    rope: bool = False
    types: bool = False

    @property
    def image_types(self) -> tuple[str, str, str]:
        """Values of `image_processor_type` for the one computation of this family."""
        name = self.images[1].removesuffix("Pil")
        return name, f"{name}Fast", f"{name}Pil"


def _qwen(name: str, model: str, processor: tuple[str, str]) -> Family:
    return Family(name, (f"{name}.modeling_{name}", model), processor, QWEN_IMAGES, pictures="smart", rope=True)


FAMILIES = {
    family.model_type: family
    for family in (
        _qwen(
            "qwen2_5_vl",
            "Qwen2_5_VLForConditionalGeneration",
            ("qwen2_5_vl.processing_qwen2_5_vl", "Qwen2_5_VLProcessor"),
        ),
        _qwen("qwen3_vl", "Qwen3VLForConditionalGeneration", ("qwen3_vl.processing_qwen3_vl", "Qwen3VLProcessor")),
        _qwen("qwen3_5", "Qwen3_5ForConditionalGeneration", ("qwen3_vl.processing_qwen3_vl", "Qwen3VLProcessor")),
        Family(
            "internvl",
            ("internvl.modeling_internvl", "InternVLForConditionalGeneration"),
            ("internvl.processing_internvl", "InternVLProcessor"),
            ("got_ocr2.image_processing_pil_got_ocr2", "GotOcr2ImageProcessorPil"),
        ),
        Family(
            "llava_onevision",
            ("llava_onevision.modeling_llava_onevision", "LlavaOnevisionForConditionalGeneration"),
            ("llava_onevision.processing_llava_onevision", "LlavaOnevisionProcessor"),
            ("llava_onevision.image_processing_pil_llava_onevision", "LlavaOnevisionImageProcessorPil"),
        ),
        Family(
            "smolvlm",
            ("smolvlm.modeling_smolvlm", "SmolVLMForConditionalGeneration"),
            ("smolvlm.processing_smolvlm", "SmolVLMProcessor"),
            ("smolvlm.image_processing_pil_smolvlm", "SmolVLMImageProcessorPil"),
            text="text_model",
        ),
        Family(
            "gemma3",
            ("gemma3.modeling_gemma3", "Gemma3ForConditionalGeneration"),
            ("gemma3.processing_gemma3", "Gemma3Processor"),
            ("gemma3.image_processing_pil_gemma3", "Gemma3ImageProcessorPil"),
            types=True,
        ),
    )
}


def find_family(config: Mapping[str, Any], where: str) -> Family:
    """The family of a config.json. Raises ConfigError that lists the supported families."""
    name = config.get("model_type")
    family = FAMILIES.get(name) if isinstance(name, str) else None
    if family is None:
        raise ConfigError(
            f"{where} has the model_type {name!r:.80}. The backend transformers supports {', '.join(FAMILIES)}."
        )
    return family
