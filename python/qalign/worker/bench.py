"""`python -m qalign.worker --bench`: compares the scoring engine with the literal model in one run, without Node."""

import argparse
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from ..mplug_owl2.engine.load import load_scorer
from ..mplug_owl2.engine.scorer import Scorer
from ..mplug_owl2.model import IMAGE_TOKEN
from ..mplug_owl2.normalise import normalise
from ..mplug_owl2.quantised import quantise_layers, require_codes
from ..mplug_owl2.random_weights import ARCHITECTURES, architecture, random_model
from ..protocol import LEVELS
from ..weights.answers import PRECISIONS, ModelInfo, ScoreItem, compute_dtype, pick_device, pick_precision
from ..weights.codes import CODES
from ..weights.errors import ModelError

PROMPT = "USER: How would you rate the quality of this image?\n<|image|>\nASSISTANT: The quality of the image is"
SECONDS = 3.0  # duration of a measurement, which runs at least three times


class PublishedLengths:
    """The tokenizer of a model with random weights: 15 + 12 arbitrary ids, as many as the default prompt has."""

    def encode(self, text: str) -> tuple[int, ...]:
        return (*range(1, 16), IMAGE_TOKEN, *range(16, 28))

    def word_id(self, word: str) -> int:
        return 30 + LEVELS.index(word)


def main(argv: list[str]) -> int:
    """Parse arguments, measure, print. → the exit code: 0, or 2 when the model cannot be loaded or run."""
    options = _arguments(argv)
    try:
        scorer, weights = _scorer(options)
        report = measure(scorer, weights, options.batches, options.literal)
    except (ModelError, torch.OutOfMemoryError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report, indent=1) if options.json else table(report))
    return 0


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m qalign.worker --bench", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", help="checkpoint directory or hub id")
    which.add_argument("--random-weights", choices=sorted(ARCHITECTURES), help="an architecture with random weights")
    parser.add_argument("--base", help="base model of the LoRA given as --model")
    parser.add_argument("--revision", help="commit, tag or branch of a hub model")
    parser.add_argument("--base-revision", help="commit, tag or branch of the base model")
    parser.add_argument("--device", default="cuda:0" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--precision", default="auto", choices=["auto", *PRECISIONS])
    parser.add_argument("--batches", default="1,8,64", type=_batches, help="batch sizes, comma separated")
    parser.add_argument("--no-literal", dest="literal", action="store_false", help="measure the engine only")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args(argv)


def _batches(text: str) -> list[int]:
    sizes = [int(part) for part in text.split(",")]
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"batch sizes must be at least 1, not {text}")
    return sizes


def _scorer(options: argparse.Namespace) -> tuple[Scorer, str]:
    """The scorer to measure, and a name for its weights."""
    if options.model:
        model = load_scorer(
            options.model,
            base=options.base,
            revision=options.revision,
            base_revision=options.base_revision,
            device=options.device,
            precision=options.precision,
        )
        return model, options.model
    device = pick_device(options.device)
    precision = pick_precision(options.precision, device)
    config = architecture(options.random_weights)
    model = random_model(config, device, compute_dtype(precision))
    parameters = sum(value.numel() for value in model.parameters())
    if precision in CODES:
        require_codes(config, precision, device)
        quantise_layers(model, precision)
    name = f"random {options.random_weights}"
    info = ModelInfo(name, "random", "random", precision, str(device), config.image_size, parameters)
    return Scorer(model, PublishedLengths(), info), name


def measure(scorer: Scorer, weights: str, batches: list[int], literal: bool = True) -> dict[str, Any]:
    """Rates and memory of both models by batch size, from pixels on the host to logits on the host.

    Times are in ms, memory is in bytes.
    """
    device = scorer.engine.device
    rows = []
    for batch in batches:
        pixels = torch.randint(0, 256, (batch, *scorer.engine.config.frame_shape), dtype=torch.uint8)
        paths = {"engine": lambda pixels=pixels: _engine(scorer, pixels)}
        if literal:
            paths["literal"] = lambda pixels=pixels: _literal(scorer, pixels)
        measured = {name: _time(call, batch, device) for name, call in paths.items()}
        rows += [{"batch": batch, "path": name, **values} for name, (values, _) in measured.items()]
        if literal:
            difference = (measured["engine"][1] - measured["literal"][1]).abs().max()
            rows[-2]["largest_logit_difference"] = float(difference)
    return {
        "weights": weights,
        "parameters": scorer.info.parameters,
        "precision": scorer.info.precision,
        "image_size": scorer.info.image_size,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu {platform.machine()}",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "results": rows,
    }


def _engine(scorer: Scorer, pixels: torch.Tensor) -> torch.Tensor:
    answers = scorer.score([ScoreItem([pixels[i : i + 1]], [PROMPT]) for i in range(len(pixels))], LEVELS)
    for answer in answers:
        if answer.error:
            raise answer.error
    return torch.tensor([answer.prompts[0].logits for answer in answers])


@torch.inference_mode()
def _literal(scorer: Scorer, pixels: torch.Tensor) -> torch.Tensor:
    engine = scorer.engine
    ids = scorer.tokenizer.encode(PROMPT)
    frames = normalise(pixels.to(engine.device), engine.table, engine.dtype)
    logits = scorer.model([ids] * len(pixels), [[1]] * len(pixels), frames)[:, -1].float()
    return logits[:, [scorer.tokenizer.word_id(word) for word in LEVELS]].cpu()


def _time(call: Callable[[], torch.Tensor], batch: int, device: torch.device) -> tuple[dict[str, Any], torch.Tensor]:
    """Measure wall time, which covers the device's work because `call` returns logits on the host."""
    for _ in range(3):  # warm-up: selects kernels, computes prefixes, captures graphs
        answer = call()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    middle = statistics.median(times)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _resident_peak()
    values = {
        "images_per_s": round(batch / middle, 3),
        "ms_per_batch": round(middle * 1000, 3),
        "ms_worst": round(max(times) * 1000, 3),
        "runs": len(times),
        "peak_memory_bytes": peak,
    }
    return values, answer


def _resident_peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def table(report: dict[str, Any]) -> str:
    head = (
        f"{report['weights']}: {report['parameters'] / 1e6:.1f} M parameters, {report['precision']}, "
        f"{report['image_size']} px, {report['device']}, torch {report['torch']}, {report['date']}"
    )
    lines = [head, f"{'batch':>6} {'path':<8} {'images/s':>10} {'ms/batch':>10} {'worst ms':>10} {'peak MB':>9}"]
    for row in report["results"]:
        lines.append(
            f"{row['batch']:>6} {row['path']:<8} {row['images_per_s']:>10.1f} {row['ms_per_batch']:>10.2f} "
            f"{row['ms_worst']:>10.2f} {row['peak_memory_bytes'] / 1e6:>9.0f}"
        )
    return "\n".join(lines)
