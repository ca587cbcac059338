"""A model's name → a chat scorer: finds and checks the files, reads and hashes the weights."""

import hashlib
import json
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from qalign.weights.answers import ModelInfo, compute_dtype, pick_device, pick_precision
from qalign.weights.codes import CODES
from qalign.weights.damage import safetensors_header
from qalign.weights.digest import weights_sha256
from qalign.weights.errors import CheckpointError, ConfigError
from qalign.weights.hashing import Hashing, ProgressCallback
from qalign.weights.polling import polled
from qalign.weights.quantised import require_products
from qalign.weights.tensors import refuse_non_finite

from .engine import Engine
from .levels import LevelTokens
from .library import ATTENTION, library_class, refusing, silence, transformers_version, without_network
from .processor import open_processor
from .quantised import quantise_network
from .scorer import ChatScorer
from .source import ModelFolder, find_model

SMALL = 1_000_000_000  # parameters; below, the precision auto is fp32, as for the first model family
REPORT_S = 2.0  # between two reports while the library reads weights
log = logging.getLogger(__name__)


def load_scorer(
    model: str,
    *,
    chat: Mapping[str, Any] | None = None,
    base: str | None = None,
    revision: str | None = None,
    device: str = "cpu",
    precision: str = "auto",
    cache_dir: str | Path | None = None,
    offline: bool = False,
    deterministic: bool = False,
    on_progress: ProgressCallback | None = None,
) -> ChatScorer:
    """Load a model of a supported family from a folder or hub id. `chat` has the keys of ChatSettings.

    The `precision` auto is bf16 on CUDA for models of a billion parameters or more, and fp32 otherwise. Raises the
    errors of qalign.weights.
    """
    if base is not None:
        raise ConfigError("Models of transformers take no base; merge a LoRA with PEFT's merge_and_unload.")
    version = transformers_version()
    report = on_progress or (lambda stage, done, total, unit: None)
    target = pick_device(device)
    if precision in CODES:  # before a download
        require_products(precision, target)
    cache = Path(cache_dir) if cache_dir else None
    folder = find_model(model, revision=revision, cache_dir=cache, offline=offline, on_progress=report)
    chosen = _precision(precision, target, folder)
    settings = dict(chat or {})
    if target.type == "cuda" and chosen == "fp32":
        torch.backends.cudnn.allow_tf32 = False  # convolutions would otherwise round to 10 bits
    return _load(folder, model, settings, target, chosen, deterministic, report, version)


def _precision(name: str, device: torch.device, folder: ModelFolder) -> str:
    chosen = pick_precision(name, device)
    return "fp32" if name == "auto" and _stored_parameters(folder) < SMALL else chosen


def _stored_parameters(folder: ModelFolder) -> int:
    """The number of values in the weight files, from their headers."""
    headers = (safetensors_header(file)[0] for file in folder.weights.files)
    return sum(math.prod(row["shape"]) for header in headers for row in header.values())


def _load(
    folder: ModelFolder,
    name: str,
    settings: dict[str, Any],
    device: torch.device,
    precision: str,
    deterministic: bool,
    report: ProgressCallback,
    version: str,
) -> ChatScorer:
    with without_network():
        silence()
        opened = open_processor(folder, settings)
        with Hashing(folder.weights.files) as hashing:
            with _reported(report, folder, hashing):
                network = read_network(folder, compute_dtype(precision))
            digest = hashing.result(report)
        parameters = sum(value.numel() for value in network.parameters())
        if precision in CODES:
            quantise_network(network, precision, device)
        network = network.to(device)
    processor, preparing, chat = opened.processor, opened.preparing, opened.chat
    engine = Engine(network, folder.family, preparing, alone=deterministic)
    info = ModelInfo(
        id=name,
        revision=folder.revision,
        weights_sha256=digest,
        precision=precision,
        device=str(device),
        image_size=preparing.image_size,
        parameters=parameters,
        max_positions=folder.max_positions,
        family=folder.family.model_type,
        preparation=preparing.preparation,
        processor=f"{type(processor.image_processor).__name__} (transformers {version})",
        processing_sha256=processing_sha256(folder, processor, chat.template, settings, version),
    )
    levels = LevelTokens(settings.get("level_tokens"), engine.head.shape[0])
    return ChatScorer(engine, processor, preparing, chat, levels, info)


def read_network(folder: ModelFolder, dtype: torch.dtype) -> Any:
    """The network on the CPU, in evaluation mode, from safetensors. Call it inside `without_network`.

    Raises CheckpointError for keys that are missing or misshapen, and NonFinite for NaN and infinity.
    """
    kind = library_class(folder.family.model)
    remedy = "Download its files again, or save the model with transformers' save_pretrained."
    with refusing(f"{folder.path} could not be read by transformers", remedy, CheckpointError):
        network, found = kind.from_pretrained(
            str(folder.path),
            dtype=dtype,
            attn_implementation=ATTENTION,
            local_files_only=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # they are refused below, by name
            trust_remote_code=False,
            output_loading_info=True,
        )
    missing = sorted(found["missing_keys"])
    misshapen = sorted(str(row[0]) for row in found["mismatched_keys"])
    wrong = [
        f"{len(keys)} {what}: {', '.join(keys[:10])}"
        for what, keys in (("missing", missing), ("misshapen", misshapen))
        if keys
    ]
    if wrong or found["error_msgs"]:
        raise CheckpointError(
            f"{folder.path} does not fit its config.json. Keys {'; '.join([*wrong, *found['error_msgs']])}."
        )
    if found["unexpected_keys"]:
        log.warning("%s: not used: %s", folder.path, ", ".join(sorted(found["unexpected_keys"])[:10]))
    refuse_non_finite({key: torch.isfinite(value).all() for key, value in network.named_parameters()}, str(folder.path))
    return network.requires_grad_(False).eval()


def stored_dtype(folder: ModelFolder) -> torch.dtype | None:
    """The type of all weights in the files; None if they have several, or one that is cast anyway.

    A network that is read in this type shares its memory with the files, until its weights are replaced.
    """
    headers = (safetensors_header(file)[0] for file in folder.weights.files)
    found = {row["dtype"] for header in headers for row in header.values()}
    types = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
    return types.get(found.pop()) if len(found) == 1 else None


def processing_sha256(
    folder: ModelFolder, processor: Any, template: str, settings: Mapping[str, Any], version: str
) -> str:
    """The hash of all that turns pixels and texts into tokens and their logits, beside weights and prompts."""
    images = processor.image_processor
    attributes = {key: value for key, value in vars(processor).items() if isinstance(value, str | int | float | bool)}
    described = {
        "attention": ATTENTION,
        "chat": {**settings, "pixels": None},  # the bounds are among the settings of the image processor
        "family": folder.family.model_type,
        "image_processor": [type(images).__name__, images.to_dict()],
        "processor": [type(processor).__name__, {**attributes, "chat_template": None}],
        "template": template,
        "texts": weights_sha256(folder.texts()),
        "transformers": version,
    }
    text = json.dumps(described, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _reported(report: ProgressCallback, folder: ModelFolder, hashing: Hashing) -> Iterator[None]:
    """Report the bytes that were hashed while the library reads the same files, because it reports nothing itself."""
    total = sum(file.stat().st_size for file in folder.weights.files)
    report("load", 0, total, "bytes")
    with polled(lambda: report("load", min(hashing.done, total), total, "bytes"), REPORT_S):
        yield
    report("load", total, total, "bytes")
