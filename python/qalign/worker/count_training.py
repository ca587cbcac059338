"""`python -m qalign.worker --count-training`: FLOPs, bytes and kernels of training, on the meta device.

A kernel is one dispatched operation that is not a view, as in --count. Attention counts as the one kernel that CUDA
has for each pass, with the half of its pairs that a causal mask leaves. A step of the fused form runs Triton programs
on CUDA; the plain form runs the references of PyTorch.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..mplug_owl2.checkpoint import meta_model
from ..mplug_owl2.config import ModelConfig
from ..mplug_owl2.random_weights import ARCHITECTURES, architecture
from ..training.data import packing
from ..training.data.batch import make_batch
from ..training.losses import next_token_sum
from ..training.measure import conversation
from ..training.model.quantised import QuantisedLinear, quantise_base
from ..training.model.supervised import SupervisedModel
from ..training.optimizer.adamw_8bit import allocate
from ..training.optimizer.update import CHUNK, reference, update_coded, update_wide
from .count import CountDispatched, Tally, Work, touched

PASSES = ("forward", "backward")
MICRO_BATCHES = (8, 32)
MATRIX = (4096, 256)  # inputs and outputs of a decoded matrix

# Rows of a matrix in the plain form, which is counted on the CPU.
SAMPLE = 16

# The numbers of an update.
EACH_STEP = (1e-5, 0.9, 0.999, 1e-8, 0.0, 1, 0)


class _Attention(torch.autograd.Function):
    """Scaled dot product attention as one kernel forward and one backward: on meta it would fall apart."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, causal: bool, tally: Tally) -> Tensor:
        batch, heads, rows, width = query.shape
        ctx.save_for_backward(query, key, value)
        ctx.pairs = batch * heads * rows * rows * width // (2 if causal else 1)
        ctx.tally = tally
        answer = query.new_empty(batch, rows, heads, width).transpose(1, 2)
        tally.add(4 * ctx.pairs, sum(map(touched, (query, key, value, answer))))
        return answer

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        given = ctx.saved_tensors
        # reads query, key, value, the answer and its gradient; writes three gradients
        ctx.tally.add(10 * ctx.pairs, 2 * sum(map(touched, given)) + 2 * touched(grad))
        return *(torch.empty_like(value) for value in given), None, None


@contextmanager
def counted_attention(tally: Tally) -> Iterator[None]:
    """Within the context, training computes attention by `_Attention`, also where it recomputes blocks."""

    def attention(query: Tensor, key: Tensor, value: Tensor, is_causal: bool = False) -> Tensor:
        return _Attention.apply(query, key, value, is_causal, tally)

    real = packing.scaled_dot_product_attention
    packing.scaled_dot_product_attention = attention
    try:
        yield
    finally:
        packing.scaled_dot_product_attention = real


def new_tally() -> Tally:
    return Tally(PASSES[0], {name: Work() for name in PASSES}, {name: Work() for name in PASSES})


def count_step(config: ModelConfig, micro_batch: int, base: str | None = None, **options: Any) -> Tally:
    """The work of one micro-batch of pictures with bf16 weights. `options` of SupervisedModel.

    All parts are trained. With `base`, the decoder layers are frozen codes of that kind, and the encoder is frozen too;
    adapters are not counted.
    """
    net = meta_model(config).to(torch.bfloat16)
    if base:
        quantise_base(net, base)
        net.requires_grad_(False)
        net.model.visual_abstractor.requires_grad_(True)
    model = SupervisedModel(net, **options).train()
    height, width, channels = config.frame_shape
    pixels = torch.empty(micro_batch, channels, height, width, dtype=torch.bfloat16, device="meta")
    talks, device = [conversation()] * micro_batch, torch.device("meta")
    tally = new_tally()
    with counted_attention(tally), CountDispatched(tally):
        batch = make_batch(talks, [1] * micro_batch, config.tokens_per_frame, device, pixels)
        loss = next_token_sum(model(batch), batch.labels)
        tally.stage = PASSES[1]
        loss.backward()
    return tally


def count_update(parameters: Sequence[nn.Parameter], fused: bool) -> Work:
    """The work of AdamW with 8-bit moments on bf16 weights of these shapes."""
    total, known = Work(), {}
    for parameter in parameters:
        shape = tuple(parameter.shape)
        if shape not in known:
            known[shape] = _fused(shape) if fused else _plain(shape)
        work = known[shape]
        total.bytes += work.bytes
        total.kernels += work.kernels
    return total


def _fused(shape: tuple[int, ...]) -> Work:
    return counted_update(shape, "meta", update_coded if len(shape) > 1 else update_wide)


def _plain(shape: tuple[int, ...]) -> Work:
    """The reference on some rows on the CPU. Its bytes grow with the rows, its kernels with the chunks of a GPU."""
    rows = min(shape[0], SAMPLE) if len(shape) > 1 else shape[0]
    work = counted_update((rows, *shape[1:]), "cpu", reference)
    size = torch.Size(shape).numel()
    return Work(0, work.bytes * shape[0] // rows, work.kernels * -(-size // CHUNK["cuda"]))


def counted_update(shape: tuple[int, ...], device: str, update: Callable[..., Any]) -> Work:
    """The work of one update of a bf16 parameter."""
    parameter = nn.Parameter(torch.zeros(shape, dtype=torch.bfloat16, device=device))
    grad = torch.zeros_like(parameter)
    state: dict[str, Tensor] = {}
    allocate(state, parameter)
    moments = [value for key, value in state.items() if key != "step"]
    tally = new_tally()
    with torch.no_grad(), CountDispatched(tally):
        update(parameter, grad, *moments, *EACH_STEP)
    return tally.work[PASSES[0]]


def count_decode(kind: str) -> dict[str, dict[str, float]]:
    """Bytes an entry and kernels of decoding one matrix, in the plain form on the CPU and the fused one on CUDA."""
    found = {}
    for form, device in (("plain", "cpu"), ("fused", "meta")):
        layer = QuantisedLinear(nn.Linear(*MATRIX, bias=False, device=device, dtype=torch.bfloat16), kind)
        layer.decoded(torch.bfloat16)  # its table is kept
        tally = new_tally()
        with torch.no_grad(), CountDispatched(tally):
            layer.decoded(torch.bfloat16)
        work = tally.work[PASSES[0]]
        found[form] = {"bytes_per_entry": round(work.bytes / torch.Size(MATRIX).numel(), 1), "kernels": work.kernels}
    return found


def report(name: str, micro_batches: Sequence[int]) -> dict[str, Any]:
    """Counts as JSON: of the update per parameter and in all, and of micro-batches by form and pass."""
    config = architecture(name)
    parameters = list(meta_model(config).parameters())
    size = sum(value.numel() for value in parameters)
    updates = {}
    for form, fused in (("plain", False), ("fused", True)):
        work = count_update(parameters, fused)
        updates[form] = {
            "bytes": work.bytes,
            "bytes_per_parameter": round(work.bytes / size, 1),
            "kernels": work.kernels,
            "kernels_per_tensor": round(work.kernels / len(parameters), 1),
        }
    decoded = {kind: count_decode(kind) for kind in ("nf4", "int8")}
    steps = []
    for micro_batch in micro_batches:
        for form, options in FORMS.items():
            tally = count_step(config, micro_batch, **options)
            passes = {
                part: {**vars(tally.work[part]), "elementwise_bytes": tally.elementwise[part].bytes} for part in PASSES
            }
            steps.append({"micro_batch": micro_batch, "form": form, "passes": passes})
    head = {"architecture": name, "precision": "bf16", "torch": torch.__version__, "parameters": size}
    return {**head, "adamw_8bit": updates, "decoding": decoded, "steps": steps}


FORMS: dict[str, dict[str, Any]] = {
    "plain, recomputed": {"recompute": True},
    "fused, recomputed": {"recompute": True, "fused": True},
    "fused, half": {"recompute": 0.5, "fused": True},
    "fused, kept": {"fused": True},
    "fused, nf4 base": {"recompute": True, "fused": True, "base": "nf4"},
    "fused, int8 base": {"recompute": True, "fused": True, "base": "int8"},
}


def table(counts: dict[str, Any]) -> str:
    """The report as text."""
    size = counts["parameters"]
    lines = [f"{counts['architecture']}, {counts['precision']}, torch {counts['torch']}, {size / 1e6:.1f} M parameters"]
    for form, work in counts["adamw_8bit"].items():
        lines.append(
            f"adamw_8bit, {form}: {work['bytes_per_parameter']} bytes a parameter, {work['bytes'] / 1e9:.2f} GB, "
            f"{work['kernels']} kernels, {work['kernels_per_tensor']} a tensor"
        )
    for kind, forms in counts["decoding"].items():
        told = (
            f"{form} {work['bytes_per_entry']} bytes an entry, {work['kernels']} kernels"
            for form, work in forms.items()
        )
        lines.append(f"decoding a matrix of {kind}: {'; '.join(told)}")
    lines.append(
        f"{'micro-batch':>11} {'form':<20} {'pass':<9} {'kernels':>8} {'GFLOP':>10} {'GB':>8} {'elementwise':>12}"
    )
    for row in counts["steps"]:
        for part, work in row["passes"].items():
            lines.append(
                f"{row['micro_batch']:>11} {row['form']:<20} {part:<9} {work['kernels']:>8} "
                f"{work['flops'] / 1e9:>10.1f} {work['bytes'] / 1e9:>8.2f} {work['elementwise_bytes'] / 1e9:>12.2f}"
            )
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    """Parse arguments, count, print. Returns the exit code 0."""
    parser = argparse.ArgumentParser(prog="python -m qalign.worker --count-training", description=__doc__)
    parser.add_argument("--architecture", default="mplug_owl2_7b", choices=sorted(ARCHITECTURES))
    parser.add_argument("--micro-batch", type=int, nargs="+", default=list(MICRO_BATCHES), help="pictures")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    counts = report(options.architecture, options.micro_batch)
    print(json.dumps(counts, indent=1) if options.json else table(counts))
    return 0
