"""A model's name → a scorer: finds the files, reads and hashes the weights, and merges a LoRA."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from qalign.weights.answers import ModelInfo, compute_dtype, pick_device, pick_precision
from qalign.weights.codes import CODES
from qalign.weights.errors import LoraError, OutOfRoom
from qalign.weights.hashing import Hashing, ProgressCallback
from qalign.weights.hub import resolve_model
from qalign.weights.layout import holds_checkpoint, weight_files
from qalign.weights.lora_config import is_lora, lora_files

from ..checkpoint import load_checkpoint, meta_model
from ..config import ModelConfig, load_config
from ..normalise import CLIP, Normalisation
from ..preprocessor import PREPROCESSOR
from ..quantised import require_codes, weight_bytes
from ..tokenizer import Tokenizer
from .memory import free_bytes, give_back, is_out_of_memory, restart_peak
from .scorer import Scorer
from .warm_up import WarmUp, warm_up

SMALL = 1_000_000_000  # parameters; smaller models gain nothing from bf16, which moves their scores by up to 0.06
# Parameters. The threads of a CPU take longer to start and to wait for each other than smaller copies of weights.
TINY = 50_000_000
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """What is loaded, where to, and in which precision."""

    id: str
    revision: str
    base: str | None
    root: Path  # the checkpoint
    adapter: Path | None  # the LoRA
    config: ModelConfig
    parameters: int
    device: torch.device
    precision: str


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
    deterministic: bool = False,
    expected: WarmUp | None = None,
    on_progress: ProgressCallback | None = None,
) -> Scorer:
    """Load a checkpoint or a LoRA from a directory or hub id. A LoRA needs its `base` model.

    The `precision` auto is bf16 on CUDA for models of a billion parameters or more, and fp32 otherwise. On CUDA the
    model is warmed up for the `expected` requests. Raises the errors of qalign.weights; after OutOfRoom the memory of
    the device is free again.
    """
    report = on_progress or (lambda stage, done, total, unit: None)
    target = pick_device(device)
    restart_peak(target)
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
    parameters = count_parameters(config)
    if precision == "auto" and parameters < SMALL:
        chosen = "fp32"
    if chosen in CODES:
        require_codes(config, chosen, target)
    source = Source(model, found.revision, base, root, adapter, config, parameters, target, chosen)
    set_reductions(target, chosen, deterministic)
    with one_thread(target.type == "cpu" and parameters < TINY):
        return _load_or_return_memory(source, deterministic, expected, report)


@contextmanager
def one_thread(wanted: bool) -> Iterator[None]:
    """Compute without further threads of the CPU, if `wanted`."""
    threads = torch.get_num_threads()
    if not wanted or threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def set_reductions(device: torch.device, precision: str, deterministic: bool) -> None:
    """The rounding of products and convolutions on CUDA. These settings are of the whole process."""
    if device.type != "cuda":
        return
    if precision == "fp32":
        torch.backends.cudnn.allow_tf32 = False  # convolutions would otherwise round to 10 bits
    products = torch.backends.cuda.matmul
    products.allow_bf16_reduced_precision_reduction = not deterministic
    products.allow_fp16_reduced_precision_reduction = not deterministic


def _load_or_return_memory(
    source: Source, deterministic: bool, expected: WarmUp | None, report: ProgressCallback
) -> Scorer:
    """Raises OutOfRoom before loading if the weights do not fit, or after the memory of a failed load is returned."""
    free = None
    try:
        free = free_bytes(source.device)
        if source.device.type == "cuda" and free is not None and weights_bytes(source) > free:
            raise _out_of_room(source, free)
        return _load(source, deterministic, expected, report)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        log.warning("the load ran out of memory: %s", str(error))  # a log record must not keep the traceback
    give_back()  # after the handler, whose traceback holds the model
    raise _out_of_room(source, free)


def _out_of_room(source: Source, free: int | None) -> OutOfRoom:
    known = "" if free is None else f", and {_gb(free)} were free"
    return OutOfRoom(
        f"{source.id} does not fit into the memory of {source.device}: its weights need "
        f"{_gb(weights_bytes(source))} in {source.precision}{known}. "
        "Free memory there, or choose another device or a smaller precision."
    )


def _gb(size: int) -> str:
    return f"{size / 1e9:.2f} GB"


def weights_bytes(source: Source) -> int:
    """Bytes of the weights on the device."""
    model = meta_model(source.config)
    if source.precision in CODES:
        return weight_bytes(model, source.precision)
    return sum(value.numel() for value in model.parameters()) * compute_dtype(source.precision).itemsize


def _load(source: Source, deterministic: bool, expected: WarmUp | None, report: ProgressCallback) -> Scorer:
    root, adapter, config, chosen = source.root, source.adapter, source.config, source.precision
    files = weight_files(root) + (lora_files(adapter) if adapter else [])
    if config.normalisation != CLIP:  # it changes the scores of the same weights, so the hash includes it
        files.append(root / PREPROCESSOR)
        _warn_of_padding(config.normalisation)
    with Hashing(files) as hashing:
        loaded = load_checkpoint(
            root,
            config,
            device=source.device,
            dtype=compute_dtype(chosen),
            codes=chosen if chosen in CODES else None,
            adapter=adapter,
            on_progress=lambda done, total: report("load", done, total, "tensors"),
        )
        digest = hashing.result(report)
    info = ModelInfo(
        id=source.id,
        revision=source.revision,
        weights_sha256=digest,
        precision=chosen,
        device=str(source.device),
        image_size=config.image_size,
        parameters=source.parameters,
        base=source.base,
        max_positions=config.max_position_embeddings,
        views=config.vision.views,
    )
    scorer = Scorer(loaded, Tokenizer(_tokenizer_directory(adapter, root)), info, deterministic=deterministic)
    if source.device.type == "cuda":
        give_back()  # fusing weights left holes of several GB in torch's cache
        warm_up(scorer, expected, lambda done, total: report("warm-up", done, total, "passes"))
    return scorer


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
