"""Sums of many micro-batches: in fp32 equal to one large batch, and in bf16 without an error that grows."""

from collections.abc import Iterator

import pytest
import torch
from gloo import on_ranks
from torch import Tensor

from qalign.mplug_owl2.model import IMAGE_TOKEN
from qalign.mplug_owl2.random_weights import architecture, random_model
from qalign.training.data.batch import Batch, make_batch
from qalign.training.data.conversation import IGNORED, Conversation
from qalign.training.distributed import World, cast_position_tables, full, local, reshard, shard
from qalign.training.losses import next_token_sum
from qalign.training.model.gradients import KEEP, GradientSum
from qalign.training.model.supervised import SupervisedModel

ITEMS, ANSWER = 64, 9
IDS = (1, 2, 3, 4, IMAGE_TOKEN, *range(5, 20), *range(30, 30 + ANSWER))
TALK = Conversation(IDS, (IGNORED,) * (len(IDS) - ANSWER) + IDS[-ANSWER:], len(IDS) - 3)
ALONE = World(0, 1, torch.device("cpu"), None)  # type: ignore[arg-type]


def build(world: World, weights: torch.dtype, compute: torch.dtype) -> SupervisedModel:
    net = random_model(architecture("tiny"), "cpu", torch.float32).to(torch.bfloat16).to(weights).train()
    model = SupervisedModel(net, recompute=True)
    list(cast_position_tables(net, compute))
    shard(model, world, compute)
    return model


def batches(world: World, compute: torch.dtype, count: int) -> Iterator[Batch]:
    """ITEMS random pictures in `count` micro-batches of each process."""
    pixels = torch.randn(ITEMS, 3, 56, 56, generator=torch.Generator().manual_seed(5)).to(compute)
    tokens = architecture("tiny").tokens_per_frame
    for part in pixels[world.rank :: world.size].chunk(count):
        yield make_batch([TALK] * len(part), [1] * len(part), tokens, world.device, part)


def loss_of(model: SupervisedModel, batch: Batch, world: World) -> Tensor:
    return next_token_sum(model(batch), batch.labels) / (ITEMS * ANSWER) * world.size


def gradient(
    world: World, count: int, weights: torch.dtype, compute: torch.dtype, keep: str = "nothing", finish: bool = True
) -> list[Tensor]:
    """The summed gradient of `count` micro-batches: unclipped, of all processes, before or after `finish`."""
    model = build(world, weights, compute)
    gradients = GradientSum(model, world, keep, count)
    for batch in batches(world, compute, count):
        with gradients.micro_batch():
            loss_of(model, batch, world).backward()
    if finish:
        gradients.finish(1e9)
    return [full(p.grad).clone() for p in model.parameters() if p.grad is not None]


def each_alone(count: int, weights: torch.dtype, compute: torch.dtype) -> list[list[Tensor]]:
    """The gradient of each micro-batch."""
    model = build(ALONE, weights, compute)
    found = []
    for batch in batches(ALONE, compute, count):
        loss_of(model, batch, ALONE).backward()
        found.append([p.grad for p in model.parameters() if p.grad is not None])
        model.zero_grad(set_to_none=True)
    return found


def error(found: list[Tensor], true: list[Tensor]) -> float:
    """Relative to the norm of the true gradient."""
    off = sum(float((a.double() - b.double()).square().sum()) for a, b in zip(found, true, strict=True))
    return (off / sum(float(b.double().square().sum()) for b in true)) ** 0.5


def exact(parts: list[list[Tensor]]) -> list[Tensor]:
    return [torch.stack([value.double() for value in same]).sum(0) for same in zip(*parts, strict=True)]


def test_32_accumulations_in_fp32_equal_one_large_batch() -> None:
    large = gradient(ALONE, 1, torch.float32, torch.float32)
    assert error(gradient(ALONE, 32, torch.float32, torch.float32), large) < 1e-6


@pytest.mark.parametrize("weights", [torch.bfloat16, torch.float32])
def test_products_in_bf16_are_summed_in_fp32(weights: torch.dtype) -> None:
    parts = each_alone(32, weights, torch.bfloat16)
    found = gradient(ALONE, 32, weights, torch.bfloat16, finish=False)
    assert {value.dtype for value in found} == {torch.float32}
    assert error(found, exact(parts)) < 1e-6


def test_sums_in_bf16_have_an_error_that_grows() -> None:
    """The reason for sums in fp32."""
    grown = []
    for count in (4, 32):
        parts = each_alone(count, torch.bfloat16, torch.bfloat16)
        rounded = [part.clone() for part in parts[0]]
        for part in parts[1:]:
            for total, value in zip(rounded, part, strict=True):
                total += value
        grown.append(error(rounded, exact(parts)))
    assert grown[1] > 2 * grown[0] > 2e-3


@pytest.mark.parametrize("keep", KEEP)
def test_two_processes_sum_as_one(keep: str) -> None:
    def work(world: World) -> list[list[float]]:
        alone = World(0, 1, world.device, world.saving)
        wide = gradient(alone, 1, torch.float32, torch.float32)
        in_fp32 = error(gradient(world, 16, torch.float32, torch.float32, keep), wide)
        in_bf16 = []
        for count in (2, 16):  # of each process
            true = exact(each_alone(2 * count, torch.bfloat16, torch.bfloat16))
            in_bf16.append(error(gradient(world, count, torch.bfloat16, torch.bfloat16, keep), true))
        return [[in_fp32], in_bf16]

    for [in_fp32], [few, many] in on_ranks(2, work):
        assert in_fp32 < 1e-6
        assert many < 1.3 * few < 5e-3, "only the last rounding to the weights' bf16"


def test_the_norm_is_not_rounded() -> None:
    model = build(ALONE, torch.bfloat16, torch.bfloat16)
    gradients = GradientSum(model, ALONE, "nothing", 1)
    (batch,) = batches(ALONE, torch.bfloat16, 1)
    with gradients.micro_batch():
        loss_of(model, batch, ALONE).backward()
    squares = [p.grad.double().square().sum() for p in model.parameters() if p.grad is not None]
    assert gradients.finish(0.5) == pytest.approx(float(sum(squares)) ** 0.5, rel=1e-5)
    clipped = [p.grad.double().square().sum() for p in model.parameters() if p.grad is not None]
    assert float(sum(clipped)) ** 0.5 == pytest.approx(0.5, rel=1e-2)
    assert {p.grad.dtype for p in model.parameters() if p.grad is not None} == {torch.bfloat16}


def test_changed_shards_reach_the_next_pass_after_an_evaluation() -> None:
    def work(world: World) -> list[float]:
        model = build(world, torch.float32, torch.float32)
        head = model.net.lm_head.weight
        (batch,) = batches(world, torch.float32, 1)
        with torch.no_grad():
            model(batch)
            local(head).zero_()
            stale = float(model(batch).abs().max())
            reshard(model)
            return [stale, float(model(batch).abs().max())]

    for stale, fresh in on_ranks(2, work):
        assert stale > 0, "the reason for reshard"
        assert fresh == 0
