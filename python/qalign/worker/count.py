"""`python -m qalign.worker --count`: FLOPs, bytes and kernels of the scoring engine by stage, on the meta device.

A kernel is one dispatched operation that is not a view. Its bytes are those of its inputs and outputs, where expanded
dimensions count once. Attention and RMS norm count as the one kernel that CUDA has for each. The attention of the
language model counts the pairs of positions that its causal mask leaves.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from ..mplug_owl2.checkpoint import meta_model
from ..mplug_owl2.engine.engine import LIMITS, Engine, Question
from ..mplug_owl2.engine.graphs import item_questions
from ..mplug_owl2.engine.kernels.register import FLOPS
from ..mplug_owl2.engine.layout import plan_layout
from ..mplug_owl2.model import IMAGE_TOKEN
from ..mplug_owl2.normalise import normalise
from ..mplug_owl2.quantised import quantise_layers
from ..mplug_owl2.random_weights import ARCHITECTURES, architecture
from ..weights.codes import CODES
from ..weights.quantised import QuantisedLinear

PRECISIONS = ("bf16", *CODES)
STAGES = ("normalise", "vision", "abstractor", "language")
VIEWS = frozenset(
    [
        "view",
        "_unsafe_view",
        "reshape",
        "_reshape_alias",
        "expand",
        "slice",
        "split",
        "split_with_sizes",
        "select",
        "permute",
        "transpose",
        "t",
        "unsqueeze",
        "squeeze",
        "alias",
        "detach",
        "chunk",
        "unbind",
        "unflatten",
        "as_strided",
        "lift_fresh",
        "narrow",
        "diagonal",
    ]
)
SELECTING = frozenset(["rms_rows", "rms_codes", "index_select", "index", "embedding", "gather"])  # of the first input
ADDING = frozenset(["rms_codes", "layer_norm_codes"])  # the second input to the first one, which they do not return
ALLOCATIONS = frozenset(["empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"])
# prompts of the published quality and aesthetics questions: 15 + 12 and 18 + 15 tokens around the picture
PROMPTS = ((*range(1, 16), IMAGE_TOKEN, *range(16, 28)), (*range(1, 19), IMAGE_TOKEN, *range(19, 34)))


@dataclass(frozen=True)
class Load:
    """What one call scores."""

    name: str
    items: int
    frames: int = 1
    tasks: int = 1


LOADS = (
    Load("1 picture", 1),
    Load("8 pictures", 8),
    Load("64 pictures", 64),
    Load("64 pictures, 2 tasks", 64, tasks=2),
    Load("8 clips of 12 frames", 8, frames=12),
)


@dataclass
class Work:
    """Counted work: floating-point operations, bytes of traffic, kernels."""

    flops: int = 0
    bytes: int = 0
    kernels: int = 0

    def add(self, flops: int, size: int) -> None:
        self.flops += flops
        self.bytes += size
        self.kernels += 1


@dataclass
class Tally:
    """Work by stage. `elementwise` is the part of kernels without products."""

    stage: str = STAGES[0]
    work: dict[str, Work] = field(default_factory=lambda: {name: Work() for name in STAGES})
    elementwise: dict[str, Work] = field(default_factory=lambda: {name: Work() for name in STAGES})

    def add(self, flops: int, size: int) -> None:
        self.work[self.stage].add(flops, size)
        if not flops:
            self.elementwise[self.stage].add(0, size)


def touched(tensor: Tensor) -> int:
    """Bytes of the elements that a kernel reads or writes: an expanded dimension counts once."""
    count = tensor.element_size()
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        count *= size if stride else 1
    return count


class CountFused(TorchFunctionMode):
    """Counts attention, RMS norm and the widening product as one kernel each. On meta they would fall apart."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self.tally = tally

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        name = getattr(func, "__name__", "")
        if name == "scaled_dot_product_attention":
            query, key, value = args
            batch, heads, rows, width = query.shape
            mask = given.get("attn_mask")
            size = sum(map(touched, (query, key, value, query))) + (touched(mask) if mask is not None else 0)
            self.tally.add(4 * batch * heads * rows * key.shape[2] * width, size)
            return query.new_empty(batch, rows, heads, width).transpose(1, 2)
        if name == "rms_norm":
            self.tally.add(0, 2 * touched(args[0]))
            return torch.empty_like(args[0])
        if name == "mm" and "out_dtype" in given:
            x, weight = args
            answer = torch.empty(x.shape[0], weight.shape[1], dtype=given["out_dtype"], device=x.device)
            self.tally.add(2 * x.shape[0] * x.shape[1] * weight.shape[1], sum(map(touched, (x, weight, answer))))
            return answer
        return func(*args, **given)


class CountDispatched(TorchDispatchMode):
    """Counts every dispatched operation that is not a view."""

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self.tally = tally

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        answer = func(*args, **given)
        packet = func.overloadpacket
        name = packet.__name__
        if name in VIEWS or name in ALLOCATIONS:
            return answer
        read = {key: value for key, value in given.items() if key != "out"}  # which is only written
        inputs = [leaf for leaf in tree_leaves((args, read)) if isinstance(leaf, Tensor)]
        outputs = [leaf for leaf in tree_leaves(answer) if isinstance(leaf, Tensor)]
        plain = "mm" if name == "_int_mm" else name.rstrip("_")  # addmm_ has the work of addmm
        formula = flop_registry.get(packet) or flop_registry.get(getattr(torch.ops.aten, plain, None))
        if name in FLOPS:  # of the engine's own kernels
            flops = FLOPS[name](*args)
        else:
            flops = formula(*args, **given, out_val=answer) if formula else 0
        if name in SELECTING:
            taken = outputs[0].numel() * inputs[0].element_size()
            size = taken + sum(map(touched, inputs[1:])) + sum(map(touched, outputs))
        else:
            size = sum(map(touched, inputs)) + sum(map(touched, outputs))
        if name in ADDING and args[1] is not None:
            size += touched(args[0])
        if name in ("copy_", "fill_", "zero_"):  # the old values are not read
            size -= touched(inputs[0])
        self.tally.add(int(flops), size)
        return answer


@torch.no_grad()
def count(engine: Engine, load: Load) -> Tally:
    """The work of one call, from bytes on the device to level logits. Constant parts of the prompts are not counted."""
    config = engine.config
    tokens = config.tokens_per_frame
    layouts = tuple(plan_layout(ids, (load.frames,), tokens) for ids in PROMPTS[: load.tasks])
    questions = item_questions(layouts, load.items)
    level_ids = torch.empty(5, dtype=torch.long, device="meta")
    for chunk in engine.chunks(questions):
        engine.plan([questions[index] for index in chunk])  # tables and prefixes, which are kept
    tally = Tally()
    pixels = torch.empty(load.items * load.frames, *config.frame_shape, dtype=torch.uint8, device="meta")
    with ExitStack() as modes:
        modes.enter_context(CountFused(tally))
        modes.enter_context(CountDispatched(tally))
        _run(engine, tally, pixels, questions, level_ids)
    return tally


def _run(engine: Engine, tally: Tally, pixels: Tensor, questions: Sequence[Question], level_ids: Tensor) -> None:
    """The steps of `Scorer._answers`, with the name of each stage."""
    parts = []
    for chunk in pixels.split(engine.frames_at_once):
        tally.stage = "normalise"
        frames = normalise(chunk, engine.table, engine.dtype)
        tally.stage = "vision"
        encoded = engine.encode(frames)
        tally.stage = "abstractor"
        parts.append(engine.abstract(encoded))
    features = parts[0] if len(parts) == 1 else torch.cat(parts)
    tally.stage = "language"
    passes = engine.chunks(questions)
    torch.cat([engine.ask([questions[index] for index in chunk], features, level_ids) for chunk in passes])


def cuda_engine(name: str, precision: str = "bf16") -> Engine:
    """The engine of an architecture as it runs on CUDA, on the meta device."""
    model = meta_model(architecture(name)).to(torch.bfloat16)
    if precision in CODES:
        quantise_layers(model, precision)
        for layer in model.modules():
            if isinstance(layer, QuantisedLinear):
                layer.put_weight(layer.weight.detach())
    engine = Engine(model)
    engine.limits = LIMITS["cuda"]
    engine.frames_at_once = max(1, engine.limits.encoder_tokens // engine.tokens_per_picture)
    engine.table = torch.empty_like(engine.table, device="meta")
    return engine


def report(name: str, precision: str = "bf16", loads: Sequence[Load] = LOADS) -> dict[str, Any]:
    """Counts of all loads as JSON: per load and stage the FLOPs, bytes and kernels."""
    engine = cuda_engine(name, precision)
    rows = []
    for load in loads:
        tally = count(engine, load)
        stages = {
            stage: {
                **vars(tally.work[stage]),
                "elementwise_bytes": tally.elementwise[stage].bytes,
                "elementwise_kernels": tally.elementwise[stage].kernels,
            }
            for stage in STAGES
        }
        rows.append({"load": load.name, "items": load.items, "stages": stages})
    return {"architecture": name, "precision": precision, "torch": torch.__version__, "results": rows}


def table(counts: dict[str, Any]) -> str:
    """The report as text."""
    lines = [f"{counts['architecture']}, {counts['precision']}, torch {counts['torch']}"]
    lines.append(f"{'load':<22} {'stage':<11} {'kernels':>8} {'GFLOP':>11} {'GB':>8} {'of it elementwise GB':>21}")
    for row in counts["results"]:
        parts = [*row["stages"].items(), ("total", _total(row["stages"]))]
        for stage, work in parts:
            lines.append(
                f"{row['load']:<22} {stage:<11} {work['kernels']:>8} {work['flops'] / 1e9:>11.1f} "
                f"{work['bytes'] / 1e9:>8.2f} {work['elementwise_bytes'] / 1e9:>21.2f}"
            )
    return "\n".join(lines)


def _total(stages: dict[str, dict[str, int]]) -> dict[str, int]:
    keys = next(iter(stages.values()))
    return {key: sum(work[key] for work in stages.values()) for key in keys}


def main(argv: list[str]) -> int:
    """Parse arguments, count, print. Returns the exit code 0."""
    parser = argparse.ArgumentParser(prog="python -m qalign.worker --count", description=__doc__)
    parser.add_argument("--architecture", default="mplug_owl2_7b", choices=sorted(ARCHITECTURES))
    parser.add_argument("--precision", default="bf16", choices=PRECISIONS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    counts = report(options.architecture, options.precision)
    print(json.dumps(counts, indent=1) if options.json else table(counts))
    return 0
