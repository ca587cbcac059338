"""Alternatives for a faster path: products by shape and format, attention by backend, stalls at new shapes."""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from ...mplug_owl2.config import ModelConfig
from ...weights.tensors import DTYPES
from .report import Section
from .subject import PROMPTS, Subject
from .timing import Budget, once, time_of

BATCH = {"cuda": 64, "cpu": 2}
BACKENDS = (
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.MATH,
)
REFUSALS = ("No available kernel", "No viable backend")
FP8_MULTIPLE = 16  # rows and widths of an fp8 product
LEAST_INT8_ROWS = 17  # torch._int_mm on CUDA
Qkv = tuple[Tensor, Tensor, Tensor]


@torch.inference_mode()
def candidates(subject: Subject, section: Section, budget: Budget) -> None:
    shapes = product_shapes(subject.config, BATCH[subject.device.type])
    seconds = min(0.25, budget.left / 2 / (4 * len(shapes)))
    for name, shape in shapes.items():
        if budget.left < 0:
            section.skip(f"products of {name}", "the time of this section is used up")
            continue
        products(subject, section, name, shape, seconds)
    section.attempt("attention", lambda: attention(subject, section, budget))
    section.attempt("new shape", lambda: new_shapes(subject, section))


def product_shapes(config: ModelConfig, batch: int) -> dict[str, tuple[int, int, int]]:
    """Name → rows, inputs, outputs of the large products of a batch of pictures."""
    vision = config.vision
    tokens = batch * ((vision.image_size // vision.patch_size) ** 2 + 1)
    rows = batch * (len(PROMPTS[0]) - 1 - PROMPTS[0].index(-200) + config.tokens_per_frame)
    width, inner, seen = config.hidden_size, config.intermediate_size, vision.hidden_size
    return {
        "encoder qkv": (tokens, seen, 3 * seen),
        "encoder fc1": (tokens, seen, vision.intermediate_size),
        "encoder fc2": (tokens, vision.intermediate_size, seen),
        "query, output": (rows, width, width),
        "key and value of pictures": (batch * config.tokens_per_frame, width, 2 * width),
        "gate and up": (rows, width, 2 * inner),
        "down": (rows, inner, width),
        "gate and up, batch 1": (rows // batch, width, 2 * inner),
        "down, batch 1": (rows // batch, inner, width),
    }


def products(subject: Subject, section: Section, name: str, shape: tuple[int, int, int], seconds: float) -> None:
    """One shape in the model's precision, in fp8 with a scale per row, with sums of less precision, and in int8."""
    rows, inputs, outputs = shape
    device, dtype = subject.device, DTYPES[subject.precision]
    x = torch.randn(rows, inputs, device=device, dtype=dtype)
    weight = torch.randn(outputs, inputs, device=device, dtype=dtype)
    formats: dict[str, Callable[[], object]] = {
        subject.precision: lambda: x @ weight.t(),
        "fp8": fp8_product(x, weight),
        "fp8, fast sums": fp8_product(x, weight, fast=True),
        "int8": int8_product(x, weight),
    }
    for kind, call in formats.items():

        def measured(kind: str = kind, call: Callable[[], object] = call) -> None:
            try:
                ms = time_of(call, device, seconds)
            except RuntimeError as error:
                if "CUBLAS_STATUS_NOT_SUPPORTED" not in str(error):
                    raise
                section.skip(f"{name}, {kind}", "cuBLAS has no such product")
                return
            section.figure(f"{name}, {kind}", 2 * rows * inputs * outputs / ms / 1e9, "TFLOP/s")

        reason = unsupported(kind, device)
        if reason:
            section.skip(f"{name}, {kind}", reason)
        else:
            section.attempt(f"{name}, {kind}", measured)


def unsupported(kind: str, device: torch.device) -> str | None:
    """Why the device cannot run a format, or None."""
    if kind.startswith("fp8"):
        if device.type != "cuda":
            return "fp8 is measured on CUDA devices only"
        if torch.cuda.get_device_capability(device) < (8, 9):
            return "fp8 needs compute capability 8.9 or newer"
        if not hasattr(torch, "_scaled_mm"):
            return f"torch {torch.__version__} has no _scaled_mm"
    if kind == "int8" and not hasattr(torch, "_int_mm"):
        return f"torch {torch.__version__} has no _int_mm"
    return None


def fp8_product(x: Tensor, weight: Tensor, fast: bool = False) -> Callable[[], object]:
    """[M, K] · [N, K]ᵀ with quantised inputs; the rows are padded to a multiple of 16. Quantising is not timed."""
    rows, outputs = -(-len(x) // FP8_MULTIPLE) * FP8_MULTIPLE, len(weight)
    left = torch.zeros(rows, x.shape[1], device=x.device, dtype=torch.float8_e4m3fn)
    left[: len(x)] = x.to(torch.float8_e4m3fn)
    right = weight.to(torch.float8_e4m3fn).t()
    row, column = torch.ones(rows, 1, device=x.device), torch.ones(1, outputs, device=x.device)
    return lambda: torch._scaled_mm(left, right, row, column, out_dtype=torch.bfloat16, use_fast_accum=fast)


def int8_product(x: Tensor, weight: Tensor) -> Callable[[], object]:
    """[M, K] · [N, K]ᵀ of random int8 codes, summed in int32. Equal codes need less power, and clocks would rise."""
    rows = max(len(x), LEAST_INT8_ROWS)
    shapes = (-(-rows // 8) * 8, x.shape[1]), weight.shape
    left, right = (torch.randint(-127, 128, shape, device=x.device, dtype=torch.int8) for shape in shapes)
    return lambda: torch._int_mm(left, right.t())


def attention(subject: Subject, section: Section, budget: Budget) -> None:
    """The encoder's and the language model's attention with torch's choice and with each backend."""
    batch, config, device = BATCH[subject.device.type], subject.config, subject.device
    vision = config.vision
    tokens = (vision.image_size // vision.patch_size) ** 2 + 1
    length = len(PROMPTS[0]) - 1 + config.tokens_per_frame
    before = PROMPTS[0].index(-200)
    wide = heads(subject, batch, tokens, vision.num_attention_heads, vision.hidden_size)
    query, key, value = heads(subject, batch, length, config.num_attention_heads, config.hidden_size)
    query = query[:, :, before:]
    mask = torch.full((length - before, length), float("-inf"), device=device, dtype=query.dtype).triu(before + 1)
    calls: dict[str, Callable[[], object]] = {
        "encoder attention": lambda: scaled_dot_product_attention(*wide),
        "language attention, mask": lambda: scaled_dot_product_attention(query, key, value, attn_mask=mask),
        "language attention, square causal": lambda: scaled_dot_product_attention(key, key, value, is_causal=True),
    }
    seconds = min(0.2, max(0.02, budget.left / 20))
    for name, call in calls.items():
        section.figure(f"{name}, torch's choice", time_of(call, device, seconds), "ms")
        for backend in BACKENDS:
            reason = with_backend(call, backend)
            if reason:
                section.skip(f"{name}, {backend.name}", reason)
                continue
            with sdpa_kernel(backend):
                section.figure(f"{name}, {backend.name}", time_of(call, device, seconds), "ms")


def with_backend(call: Callable[[], object], backend: SDPBackend) -> str | None:
    """Why torch refuses a backend for this call, or None."""
    try:
        with sdpa_kernel(backend), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            call()
    except RuntimeError as error:
        if not any(words in str(error) for words in REFUSALS):
            raise
        words = [str(warning.message).split(" (Triggered")[0] for warning in told]
        return "; ".join(dict.fromkeys(words))[:300] or "torch has no kernel for it here"
    return None


def heads(subject: Subject, batch: int, length: int, count: int, width: int) -> Qkv:
    """Random query, key and value [B, heads, T, d] in the layout of one fused product."""
    fused = torch.randn(batch, length, count, 3, width // count, device=subject.device, dtype=DTYPES[subject.precision])
    query, key, value = fused.permute(3, 0, 2, 1, 4)
    return query, key, value


def new_shapes(subject: Subject, section: Section) -> None:
    """The first and the second call of attention at lengths that were not used before: a plan shows as a difference."""
    config = subject.config
    for extra in (1, 2, 3):
        parts = heads(subject, 4 + extra, 300 + extra, config.num_attention_heads, config.hidden_size)
        for turn in ("first", "second"):
            ms = once(lambda parts=parts: scaled_dot_product_attention(*parts), subject.device)
            section.figure(f"attention at new shape {extra}, {turn} call", ms, "ms")
