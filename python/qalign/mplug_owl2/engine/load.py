"""A model's name → a scorer: finds the files, reads and hashes the weights, and merges a LoRA."""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from qalign.weights.answers import ModelInfo, compute_dtype, pick_device, pick_precision
from qalign.weights.codes import CODES
from qalign.weights.digest import weights_sha256
from qalign.weights.errors import LoraError
from qalign.weights.hub import resolve_model
from qalign.weights.layout import holds_checkpoint, weight_files
from qalign.weights.lora_config import is_lora, lora_files

from ..checkpoint import load_checkpoint, meta_model
from ..config import ModelConfig, load_config
from ..normalise import CLIP, Normalisation
from ..preprocessor import PREPROCESSOR
from ..quantised import require_codes
from ..tokenizer import Tokenizer
from .scorer import Scorer

ProgressCallback = Callable[[str, int, int, str], None]  # stage, done, total, unit
SMALL = 1_000_000_000  # parameters; smaller models gain nothing from bf16, which moves their scores by up to 0.06
log = logging.getLogger(__name__)


def load_scorer(
    model: str,
    *,
    base: str | None = None,
    revision: str | None = None,
    base_revision: str | None = None,
    device: str = "cpu",
    precision: str = "auto",
    cache_dir: str | Path | None = None,
    offline: bool = False,
    on_progress: ProgressCallback | None = None,
) -> Scorer:
    """Load a checkpoint or a LoRA from a directory or hub id. A LoRA needs its `base` model.

    The `precision` auto is bf16 on CUDA for models of a billion parameters or more, and fp32 otherwise. Raises the
    errors of qalign.weights.
    """
    report = on_progress or (lambda stage, done, total, unit: None)
    target = pick_device(device)
    chosen = pick_precision(precision, target)
    cache = Path(cache_dir) if cache_dir else None
    found = resolve_model(model, revision=revision, cache_dir=cache, offline=offline, on_progress=report)
    adapter = found.path if is_lora(found.path) else None
    if adapter and base is None:
        beside = " It also holds a whole checkpoint; to score with that, move the adapter out of the directory."
        raise LoraError(
            f"{model} is a LoRA; name its base model with --base.{beside if holds_checkpoint(adapter) else ''}"
        )
    if base and not adapter:
        raise LoraError(f"{model} is a whole checkpoint and takes no base ({base}); omit --base.")
    root = found.path
    if base:
        root = resolve_model(base, revision=base_revision, cache_dir=cache, offline=offline, on_progress=report).path
    config = load_config(root, adapter)
    if precision == "auto" and chosen != "fp32" and is_small(config):
        chosen = "fp32"
    if chosen in CODES:
        require_codes(config, chosen, target)
    if target.type == "cuda" and chosen == "fp32":
        torch.backends.cudnn.allow_tf32 = False  # convolutions would otherwise round to 10 bits
    files = weight_files(root) + (lora_files(adapter) if adapter else [])
    if config.normalisation != CLIP:  # it changes the scores of the same weights, so the hash includes it
        files.append(root / PREPROCESSOR)
        _warn_of_padding(config.normalisation)
    with ThreadPoolExecutor(1) as hashing:
        digest = hashing.submit(weights_sha256, files)
        loaded = load_checkpoint(
            root,
            config,
            device=target,
            dtype=compute_dtype(chosen),
            codes=chosen if chosen in CODES else None,
            adapter=adapter,
            on_progress=lambda done, total: report("load", done, total, "tensors"),
        )
        info = ModelInfo(
            id=model,
            revision=found.revision,
            weights_sha256=digest.result(),
            precision=chosen,
            device=str(target),
            image_size=config.image_size,
            parameters=count_parameters(config),
            base=base,
            max_positions=config.max_position_embeddings,
        )
    scorer = Scorer(loaded, Tokenizer(_tokenizer_directory(adapter, root)), info)
    if target.type == "cuda":
        report("warm-up", 0, 1, "passes")
        torch.cuda.empty_cache()  # fusing weights left holes of several GB in torch's cache
        scorer.warm_up()
        report("warm-up", 1, 1, "passes")
    return scorer


def is_small(config: ModelConfig) -> bool:
    """Whether the model has less than `SMALL` parameters."""
    return count_parameters(config) < SMALL


def count_parameters(config: ModelConfig) -> int:
    return sum(value.numel() for value in meta_model(config).parameters())


def _warn_of_padding(normalisation: Normalisation) -> None:
    """Published training code pads to a square with int(255 · mean); qalign always pads with CLIP's mean."""
    wanted, ours = ([int(255 * mean) for mean in values] for values in (normalisation.mean, CLIP.mean))
    if wanted != ours:
        log.warning(
            "pictures that are not square are padded with %s, but the mean of this checkpoint is %s", ours, wanted
        )


def _tokenizer_directory(adapter: Path | None, root: Path) -> Path:
    return adapter if adapter and (adapter / "tokenizer.model").is_file() else root
