"""Fused blocks have the logits and gradients of the plain ones. Their Triton programs equal the references."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from training_golden import GOLDEN, ROOT, load_reference, reference_batch

from qalign.mplug_owl2.language import Multiway
from qalign.training.kernels.gates import fused_quick_gelu, gated
from qalign.training.kernels.norms import normed
from qalign.training.kernels.products import products
from qalign.training.kernels.turning import turned
from qalign.training.losses import next_token_sum
from qalign.training.model.supervised import SupervisedModel
from qalign.training.model.trained import recomputed

HERE = Path(__file__).parent
needs_triton = pytest.mark.skipif(
    find_spec("triton") is None, reason="NOT RUN: needs the package triton (Linux on x86-64)"
)


def step(folder: Path, reference, case: dict, dtype: torch.dtype, **options) -> tuple[Tensor, list[Tensor]]:
    """Loss and gradients of one reference case."""
    net = reference.net.to(dtype)
    net.zero_grad(set_to_none=True)
    _, batch = reference_batch(folder, reference, case["items"])
    object.__setattr__(batch, "pixels", batch.pixels.to(dtype))
    loss = next_token_sum(SupervisedModel(net, **options)(batch), batch.labels)
    loss.backward()
    return loss.detach(), [value.grad.clone() for value in net.parameters() if value.grad is not None]


@pytest.mark.parametrize("name", ["tiny_a", "tiny_b"])
def test_losses_and_gradients_equal_those_of_plain_blocks(name: str) -> None:
    folder = GOLDEN / name
    reference = load_reference(folder)
    case = json.loads((folder / "training.json").read_text())[-1]
    for recompute in (False, 0.5, True):
        loss, plain = step(folder, reference, case, torch.float64)
        other, fused = step(folder, reference, case, torch.float64, fused=True, recompute=recompute)
        assert len(fused) == len(plain)
        assert other == pytest.approx(loss.item(), rel=1e-6)
        norm = torch.stack([value.norm() for value in plain]).norm()
        worst = max((one - two).norm() / norm for one, two in zip(plain, fused, strict=True))
        assert worst < 1e-6  # both compute norms and rotary positions in fp32
    reference.net.float()


def test_gradients_of_each_operator_equal_those_of_autograd() -> None:
    torch.manual_seed(0)
    x, y = (torch.randn(9, 12, requires_grad=True) for _ in range(2))
    order = torch.randperm(9)
    cos, sin = (torch.randn(9, 3).repeat(1, 2) for _ in range(2))
    pair = Multiway(nn.Linear(12, 5, bias=False), nn.Linear(12, 5, bias=False))
    one = nn.Linear(12, 7, bias=False)
    weights = [x, pair.multiway[0].weight, pair.multiway[1].weight, one.weight]

    def rotated(x: Tensor) -> Tensor:
        heads = x[order].unflatten(1, (2, 6))
        first, second = heads.chunk(2, -1)
        return (heads * cos[:, None] + torch.cat([-second, first], -1) * sin[:, None]).flatten(1)

    def plain_products() -> list[Tensor]:
        return [torch.cat([pair.multiway[0](x[:4]), pair.multiway[1](x[4:])]), one(x)]

    def same(fused: list[Tensor], plain: list[Tensor], inputs: list[Tensor]) -> None:
        seeds = [torch.randn_like(value) for value in plain]
        ours, theirs = (torch.autograd.grad(values, inputs, seeds) for values in (fused, plain))
        for got, want in zip((*fused, *ours), (*plain, *theirs), strict=True):
            assert torch.allclose(got, want, atol=1e-5, rtol=1e-5)

    same([turned(x, order, order.argsort(), cos, sin)], [rotated(x)], [x])
    same([gated(x, y)], [nn.functional.silu(x) * y], [x, y])
    same([fused_quick_gelu(x)], [x * torch.sigmoid(1.702 * x)], [x])
    same(products(x, 4, [pair, one]), plain_products(), weights)


def test_the_norm_passes_the_gradient_of_the_residual_stream() -> None:
    class Norm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.eps = nn.Parameter(torch.randn(12)), 1e-3

    torch.manual_seed(0)
    x, pair = torch.randn(9, 12, requires_grad=True), Multiway(Norm(), Norm())
    text, image = (part.weight for part in pair.multiway)
    unit = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-3)
    expected = x * 2 + torch.cat([text * unit[:4], image * unit[4:]]).square()
    through, norm = normed(pair, x, 4)
    found = through * 2 + norm.square()
    assert torch.allclose(found, expected, atol=1e-6)
    ours, theirs = (torch.autograd.grad(value.sum(), [x, text, image]) for value in (found, expected))
    assert all(torch.allclose(one, two, atol=1e-5) for one, two in zip(ours, theirs, strict=True))


def test_layers_with_adapters_are_called_one_by_one() -> None:
    class Adapted(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + 1

    torch.manual_seed(0)
    x, layer = torch.randn(5, 8), Adapted(8, 3, bias=False)
    pair = Multiway(nn.Linear(8, 3, bias=False), layer)
    expected = torch.cat([pair.multiway[0](x[:2]), layer(x[2:])])
    assert torch.equal(products(x, 2, [pair])[0], expected)


def test_sharded_fused_blocks_have_the_gradients_of_plain_ones() -> None:
    run = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(HERE / "fused_shards.py")]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *run], capture_output=True, text=True, timeout=200, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["size"] == 2 and found["difference"] < 1e-6


def test_a_share_of_the_blocks_is_evenly_spaced() -> None:
    assert [recomputed(n, True) for n in range(5)] == [True] * 5
    assert not any(recomputed(n, False) for n in range(5))
    assert [n for n in range(8) if recomputed(n, 0.5)] == [1, 3, 5, 7]
    assert sum(recomputed(n, 1 / 3) for n in range(24)) == 8
    assert sum(recomputed(n, 0.1) for n in range(32)) == 3


@needs_triton
def test_programs_equal_their_references_in_the_interpreter() -> None:
    env = {**os.environ, "TRITON_INTERPRET": "1"}
    command = [sys.executable, str(HERE / "block_cases.py")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240, env=env)
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = json.loads(ran.stdout)
    assert len(found) == 24
    for name, difference in found.items():
        assert difference < (2e-6 if "float32" in name else 2**-9), name


@needs_triton
def test_programs_of_training_compile_without_a_gpu() -> None:
    command = [sys.executable, str(HERE / "training_compile.py"), "80", "90"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert ran.returncode == 0, ran.stderr[-3000:]
    compiled = json.loads(ran.stdout)
    assert set(compiled.values()) == {True}
    assert len(compiled) == 2 * 11
