"""Attention of the engine. The kernel on CUDA is chosen here, not by torch, whose choice differs between GPUs.

cuDNN plans every new shape, which can take a second; it runs only if `QALIGN_ATTENTION` names it.
"""

import inspect
import logging
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad, scaled_dot_product_attention

from qalign.weights.errors import ConfigError

from .kernels.register import define

VARIABLE = "QALIGN_ATTENTION"
BACKENDS = ("auto", "varlen", "flash", "efficient", "cudnn", "math")
# torch's kernels that a backend allows, best first
ALLOWED = {
    "varlen": ("FLASH_ATTENTION", "EFFICIENT_ATTENTION", "MATH"),
    "flash": ("FLASH_ATTENTION", "EFFICIENT_ATTENTION", "MATH"),
    "efficient": ("EFFICIENT_ATTENTION", "MATH"),
    "cudnn": ("CUDNN_ATTENTION", "MATH"),
    "math": ("MATH",),
}
MASK_KEPT = 1 << 16  # Elements. Above this, the built-in causal mask is faster.
SQUARE = 1 << 24  # Elements: 4096 positions. A longer sequence runs in blocks of rows, between which it can stop.
LEAST_BLOCK = 256  # Rows. Smaller products are slow.
Runs = tuple[tuple[int, int, int], ...]  # (Sequences, queries of each, keys of each).
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Spans:
    """Sequences of packed rows, as runs of equal lengths and as the starts of each."""

    runs: Runs
    query_starts: Tensor  # int32 [sequences + 1]
    key_starts: Tensor


def choose(device: torch.device, dtype: torch.dtype, head_dim: int, environ: Mapping[str, str] = os.environ) -> str:
    """The backend for a model: that of `QALIGN_ATTENTION`, where the model allows it. Raises ConfigError."""
    named = environ.get(VARIABLE) or "auto"
    if named not in BACKENDS:
        raise ConfigError(f"{VARIABLE} is {named!r}; use one of: {', '.join(BACKENDS)}.")
    if device.type == "meta":
        return "varlen"
    if device.type != "cuda":
        return "math"
    flash = torch.cuda.get_device_capability(device) >= (8, 0) and dtype != torch.float32
    packed = flash and head_dim % 8 == 0 and head_dim <= 256 and varlen() is not None
    best = "varlen" if packed else "flash" if flash else "efficient"
    works = {"varlen": packed, "flash": flash, "cudnn": dtype != torch.float32}
    if named == "auto":
        return best
    if not works.get(named, True):
        log.warning("%s=%s does not work with this GPU, precision or torch; %s is used", VARIABLE, named, best)
        return best
    return named


@lru_cache(maxsize=1)
def varlen() -> Callable[..., Tensor] | None:
    """Causal attention of packed sequences, or None where torch lacks it. Versions of torch name the mask in two ways.

    Its arguments: query, key, value, starts of queries and keys, the most queries and keys of a sequence.
    """
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        log.warning(
            "clips of different lengths are attended to in several calls, because this torch has no varlen_attn"
        )
        return None
    windows = "window_size" in inspect.signature(varlen_attn).parameters
    mask: dict[str, Any] = {"window_size": (-1, 0)} if windows else {"is_causal": True}
    return lambda *args: varlen_attn(*args, **mask)


def pinned(backend: str, device: torch.device) -> AbstractContextManager[Any]:
    """Restrict torch's attention to the kernels of `backend`."""
    if device.type != "cuda":
        return nullcontext()
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel([getattr(SDPBackend, name) for name in ALLOWED[backend]], set_priority=True)


def causal(query: Tensor, keys: Tensor, heads: int, spans: Spans, backend: str, on_block: Callable[[], None]) -> Tensor:
    """query [R, D] and keys [K, 2·D], keys then values, both packed → context [R, D].

    The last query of a sequence sees all its keys. On a CPU, `on_block` is called between blocks of a long sequence.
    """
    if query.device.type == "cpu":
        return _by_runs(query, keys, heads, spans.runs, on_block)
    runs = [number for run in spans.runs for number in run]
    return _causal(query, keys, spans.query_starts, spans.key_starts, heads, runs, backend)


def _split(keys: Tensor, heads: int) -> tuple[Tensor, Tensor]:
    key, value = (part.unflatten(1, (heads, -1)) for part in keys.chunk(2, dim=1))
    return key, value


def _by_runs(query: Tensor, keys: Tensor, heads: int, runs: Runs, on_block: Callable[[], None]) -> Tensor:
    """One call for each run of sequences of equal lengths."""
    query = query.unflatten(1, (heads, -1))
    key, value = _split(keys, heads)
    parts, at, key_at = [], 0, 0
    for count, rows, length in runs:
        to, key_to = at + count * rows, key_at + count * length
        own = (part.unflatten(0, (count, -1)) for part in (query[at:to], key[key_at:key_to], value[key_at:key_to]))
        parts.append(_run(*own, on_block).flatten(0, 1))
        at, key_at = to, key_to
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _run(query: Tensor, key: Tensor, value: Tensor, on_block: Callable[[], None]) -> Tensor:
    """[B, R, heads, d], [B, T, heads, d] twice → [B, R, D]."""
    rows, length = query.shape[1], key.shape[1]
    if rows == 1:
        return _sdpa(query, key, value, None)
    if query.device.type == "cpu" and rows * length <= MASK_KEPT:
        return _sdpa(query, key, value, _kept_mask(rows, length, query.dtype))
    if query.device.type != "cpu" or rows * length <= SQUARE:
        return _square(query, key, value)
    block = min(rows, max(LEAST_BLOCK, SQUARE // length))
    mask = _mask(block, length, query.dtype)  # of the last rows; earlier blocks use the right part of it
    parts = []
    for part in query.split(block, dim=1):
        on_block()
        rows -= part.shape[1]  # rows after this block
        seen = length - rows
        parts.append(_sdpa(part, key[:, :seen], value[:, :seen], mask[-part.shape[1] :, rows:]))
    return torch.cat(parts, dim=1)


def _mask(rows: int, length: int, dtype: torch.dtype) -> Tensor:
    """A mask that is added to the scores, because SDPA would convert a boolean mask at every call."""
    mask = torch.zeros(rows, length)
    mask[:, length - rows :] = torch.full((rows, rows), float("-inf")).triu(1)
    return mask.to(dtype)


_kept_mask = lru_cache(maxsize=64)(_mask)


def _sdpa(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """[B, T, heads, d] each → [B, T, D]."""
    query, key, value = (part.transpose(1, 2) for part in (query, key, value))
    return scaled_dot_product_attention(query, key, value, attn_mask=mask).transpose(1, 2).flatten(2)


def _square(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """`_sdpa` with the built-in causal mask, which needs no mask tensor. Zero rows pad the queries to a square."""
    before = key.shape[1] - query.shape[1]
    query = pad(query, (0, 0, 0, 0, before, 0)) if before else query
    query, key, value = (part.transpose(1, 2) for part in (query, key, value))
    return scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2).flatten(2)[:, before:]


def _reference(
    query: Tensor, keys: Tensor, query_starts: Tensor, key_starts: Tensor, heads: int, runs: list[int], backend: str
) -> Tensor:
    triples = tuple(zip(runs[::3], runs[1::3], runs[2::3], strict=True))
    with pinned(backend, query.device):
        return _by_runs(query, keys, heads, triples, lambda: None)


def _on_cuda(
    query: Tensor, keys: Tensor, query_starts: Tensor, key_starts: Tensor, heads: int, runs: list[int], backend: str
) -> Tensor:
    attend = varlen() if backend == "varlen" else None
    if attend is None:
        return _reference(query, keys, query_starts, key_starts, heads, runs, backend)
    rows = query.unflatten(1, (heads, -1))
    most = max(runs[1::3]), max(runs[2::3])
    return attend(rows, *_split(keys, heads), query_starts, key_starts, *most).flatten(1)


def _flops(
    query: Tensor, keys: Tensor, query_starts: Tensor, key_starts: Tensor, heads: int, runs: list[int], backend: str
) -> int:
    """Both products, for the pairs that the causal mask leaves."""
    triples = zip(runs[::3], runs[1::3], runs[2::3], strict=True)
    pairs = sum(count * (rows * length - rows * (rows - 1) // 2) for count, rows, length in triples)
    return 4 * pairs * query.shape[1]


_causal = define(
    "causal_attention(Tensor query, Tensor keys, Tensor query_starts, Tensor key_starts, int heads, int[] runs, "
    "str backend) -> Tensor",
    _reference,
    lambda query, *_: query.new_empty(query.shape),
    cuda=_on_cuda,
    flops=_flops,
)
