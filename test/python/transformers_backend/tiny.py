"""Tiny random checkpoints of each family, written as published ones are, and the library's own processing of them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from qalign.transformers_backend.families import FAMILIES
from qalign.transformers_backend.library import library_class, without_network
from qalign.transformers_backend.processor import without_videos

LEVELS = ["excellent", "good", "fair", "poor", "bad"]
TEXTS = [
    "How would you rate the quality of this image? The quality of the image is excellent, good, fair, poor or bad.",
    "How is the aesthetics of this picture? The aesthetics of the picture is good.",
    "user assistant system model User: Assistant: think",
]
QWEN = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
GRID = [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
SIDE = 56  # pixels of a tile
TEXT = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "num_key_value_heads": 2}
SIGHT = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}


def chat_template(picture: str, begin: str = "<|im_start|>{}\n", end: str = "<|im_end|>\n", thinking: str = "") -> str:
    """A Jinja template of roles and contents. `begin` and `end` surround a message; {} is its role.

    With `thinking`, which is the closed thought of an assistant, the template knows enable_thinking.
    """
    before, after = begin.split("{}")
    no_thought = f"{{%- if enable_thinking is false -%}}{{{{- {thinking!r} -}}}}{{%- endif -%}}" if thinking else ""
    return (
        "{%- for message in messages -%}"
        f"{{{{- {before!r} ~ message.role ~ {after!r} -}}}}"
        "{%- for part in message.content -%}"
        f"{{%- if part.type == 'image' -%}}{{{{- {picture!r} -}}}}{{%- else -%}}{{{{- part.text -}}}}{{%- endif -%}}"
        f"{{%- endfor -%}}{{{{- {end!r} -}}}}{{%- endfor -%}}"
        f"{{%- if add_generation_prompt -%}}{{{{- {(before + 'assistant' + after)!r} -}}}}{no_thought}{{%- endif -%}}"
    )


def tokenizer(specials: list[str], named: dict[str, str], template: str, bos: str | None = None) -> Any:
    """A byte-level BPE in which every level word after a space is one token."""
    from transformers.tokenization_utils_tokenizers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=["<pad>", "<eos>", *specials], initial_alphabet=alphabet, show_progress=False
    )
    core.train_from_iterator(TEXTS * 20, trainer)
    made = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", eos_token="<eos>", bos_token=bos, extra_special_tokens=named
    )
    made.chat_template = template
    return made


@dataclass(frozen=True)
class Parts:
    """The unsaved parts of a checkpoint. `settings` are arguments of the processor."""

    config: Any
    tokenizer: Any
    images: Any
    settings: dict[str, Any]


def _config(name: str, **values: Any) -> Any:
    import transformers

    return getattr(transformers, name)(**values)


def _images(family: str, **values: Any) -> Any:
    return library_class(FAMILIES[family].images)(**values)


def _rope(theta: float, section: list[int], **more: Any) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": theta, "mrope_section": section, **more}


def qwen(family: str) -> Parts:
    named = dict(zip(("vision_start_token", "vision_end_token", "image_token", "video_token"), QWEN[2:], strict=True))
    picture = "<|vision_start|><|image_pad|><|vision_end|>"
    thinking = "<think>\n\n</think>\n\n" if family == "qwen3_5" else ""
    words = tokenizer([*QWEN, "<think>", "</think>"], named, chat_template(picture, thinking=thinking))
    ids = {f"{name}_id": words.convert_tokens_to_ids(token) for name, token in named.items()}
    size = {**TEXT, "vocab_size": len(words), "num_hidden_layers": 3}
    patch = 14 if family == "qwen2_5_vl" else 16
    sight = {
        **{"depth": 3, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 64},
        **{"patch_size": patch, "spatial_merge_size": 2, "temporal_patch_size": 2},
    }
    if family == "qwen2_5_vl":
        size["rope_parameters"] = _rope(1e6, [4, 2, 2])
        sight |= {"window_size": 56, "fullatt_block_indexes": [1]}
        name = "Qwen2_5_VLConfig"
    elif family == "qwen3_vl":
        size |= {"head_dim": 16, "rope_parameters": _rope(5e6, [4, 2, 2], mrope_interleaved=True)}
        sight |= {"num_position_embeddings": 64, "deepstack_visual_indexes": [0, 1]}
        name = "Qwen3VLConfig"
    else:
        rope = _rope(1e7, [2, 1, 1], mrope_interleaved=True, partial_rotary_factor=0.25)
        size |= {"num_hidden_layers": 4, "head_dim": 32, "rope_parameters": rope}
        size |= {"linear_key_head_dim": 16, "linear_value_head_dim": 16}
        size |= {"linear_num_key_heads": 2, "linear_num_value_heads": 4}
        sight |= {"num_position_embeddings": 64}
        name = "Qwen3_5Config"
    bounds = {"shortest_edge": 64 * 64, "longest_edge": 256 * 256}
    images = _images(family, patch_size=patch, merge_size=2, temporal_patch_size=2, size=bounds)
    return Parts(_config(name, text_config=size, vision_config=sight, **ids), words, images, {})


def internvl() -> Parts:
    named = {
        **{"start_image_token": "<img>", "end_image_token": "</img>"},
        **{"context_image_token": "<IMG_CONTEXT>", "video_token": "<video>"},
    }
    words = tokenizer([*named.values(), *QWEN[:2]], named, chat_template("<IMG_CONTEXT>\n"))
    config = _config(
        "InternVLConfig",
        text_config={"model_type": "qwen2", "vocab_size": len(words), "num_hidden_layers": 3, **TEXT},
        vision_config={**SIGHT, "patch_size": [14, 14], "image_size": [SIDE, SIDE]},
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        downsample_ratio=0.5,
        image_seq_length=4,
    )
    images = _images("internvl", size={"height": SIDE, "width": SIDE}, crop_to_patches=True, max_patches=6)
    return Parts(config, words, images, {"image_seq_length": 4})


def llava_onevision() -> Parts:
    named = {"image_token": "<image>", "video_token": "<video>"}
    words = tokenizer([*named.values(), *QWEN[:2]], named, chat_template("<image>\n", "<|im_start|>{} ", "<|im_end|>"))
    pinpoints = [[height, width] for height in (56, 112, 168) for width in (56, 112, 168)]
    image = words.convert_tokens_to_ids("<image>")
    config = _config(
        "LlavaOnevisionConfig",
        text_config={"model_type": "qwen2", "vocab_size": len(words), "num_hidden_layers": 3, **TEXT},
        vision_config={
            **{"model_type": "siglip_vision_model", "patch_size": 14, "image_size": SIDE, "vision_use_head": False},
            **SIGHT,
        },
        image_token_id=image,
        video_token_id=words.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pinpoints,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        vision_aspect_ratio="anyres_max_9",
    )
    images = _images("llava_onevision", size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=pinpoints)
    return Parts(config, words, images, {"num_image_tokens": 16, "vision_feature_select_strategy": "full"})


def smolvlm() -> Parts:
    named = {
        **{"image_token": "<image>", "fake_image_token": "<fake_token_around_image>"},
        **{"global_image_token": "<global-img>", "end_of_utterance_token": "<end_of_utterance>"},
    }
    template = chat_template("<image>", "{}: ", "<end_of_utterance>\n")
    words = tokenizer([*named.values(), *GRID], named, template)
    config = _config(
        "SmolVLMConfig",
        text_config={
            **{"model_type": "llama", "vocab_size": len(words), "num_hidden_layers": 3, "pad_token_id": 0},
            **TEXT,
        },
        vision_config={**SIGHT, "patch_size": 14, "image_size": SIDE},
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    images = _images("smolvlm", size={"longest_edge": 112}, max_image_size={"longest_edge": SIDE})
    return Parts(config, words, images, {"image_seq_len": 4})


def gemma3() -> Parts:
    named = {
        **{"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"},
    }
    template = "{{- bos_token -}}" + chat_template("<start_of_image>", "<start_of_turn>{}\n", "<end_of_turn>\n")
    specials = ["<bos>", *named.values(), "<start_of_turn>", "<end_of_turn>"]
    words = tokenizer(specials, named, template, bos="<bos>")
    ids = {f"{name}_index": words.convert_tokens_to_ids(token) for name, token in named.items()}
    config = _config(
        "Gemma3Config",
        text_config={
            **{"vocab_size": len(words), "num_hidden_layers": 6, "head_dim": 16, "sliding_window": 512},
            **TEXT,
        },
        vision_config={**SIGHT, "patch_size": 14, "image_size": SIDE, "vision_use_head": False},
        mm_tokens_per_image=4,
        boi_token_index=ids["boi_token_index"],
        eoi_token_index=ids["eoi_token_index"],
        image_token_id=ids["image_token_index"],
    )
    images = _images("gemma3", size={"height": SIDE, "width": SIDE}, image_seq_length=4)
    return Parts(config, words, images, {"image_seq_length": 4})


def parts(family: str) -> Parts:
    with without_network():
        makers = {"internvl": internvl, "llava_onevision": llava_onevision, "smolvlm": smolvlm, "gemma3": gemma3}
        return makers[family]() if family in makers else qwen(family)


def processor(made: Parts, family: str) -> Any:
    """The library's processor, without its part for videos."""
    kind = without_videos(library_class(FAMILIES[family].processor))
    given = {"image_processor": made.images, "tokenizer": made.tokenizer, "video_processor": None, **made.settings}
    if family == "gemma3":
        given.pop("video_processor")
    return kind(**given, chat_template=made.tokenizer.chat_template)


def write(folder: Path, family: str, seed: int = 0) -> Any:
    """Write a checkpoint with random weights. → the library's processor"""
    with without_network():
        made = parts(family)
        torch.manual_seed(seed)
        network = library_class(FAMILIES[family].model)(made.config)
        for value in network.parameters():
            if value.dim() > 1:
                torch.nn.init.normal_(value, 0, 0.15)
        return save(folder, family, made, network)


def save(folder: Path, family: str, made: Parts, network: Any) -> Any:
    """Write all files as published checkpoints have them. → the library's processor"""
    network.save_pretrained(folder)
    made.tokenizer.save_pretrained(folder)
    made.images.save_pretrained(folder)
    settings = {"processor_class": FAMILIES[family].processor[1], **made.settings}
    (folder / "processor_config.json").write_text(json.dumps(settings))
    return processor(made, family)


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(noise)
