"""The kernels of training on a CUDA device. Without one, every test is skipped and reported."""

import sys
import warnings
from pathlib import Path

import pytest
import torch

from qalign.mplug_owl2.engine.kernels.register import triton_works
from qalign.mplug_owl2.random_weights import architecture, random_model
from qalign.training.data.batch import make_batch
from qalign.training.losses import next_token_sum
from qalign.training.measure import conversation
from qalign.training.model.supervised import SupervisedModel
from qalign.training.optimizer.adamw_8bit import AdamW8bit

if not torch.cuda.is_available():
    warnings.warn("NOT RUN: test_gpu_training.py needs a CUDA device", stacklevel=1)

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="NOT RUN: needs a CUDA device")
CUDA = "cuda:0"


TRAINING = Path(__file__).parents[1] / "training"
sys.path.insert(0, str(TRAINING / "kernels"))
sys.path.insert(0, str(TRAINING / "optimizer"))


def test_programs_of_blocks_equal_their_references() -> None:
    import block_cases

    assert triton_works(torch.device(CUDA))
    for name, difference in block_cases.differences(CUDA, torch.bfloat16).items():
        assert difference < (1e-5 if "float32" in name else 2**-6), name


def test_programs_of_the_optimizer_equal_their_references_and_round_without_bias() -> None:
    import update_cases

    for name, found in update_cases.all_cases(CUDA).items():
        assert found["weights"] <= (2**-7 if "bfloat16" in name else 1e-6), name
        # a fused multiplication can move a value over the middle between two codes
        assert found["other codes"] < 0.01 and found["furthest code"] <= 1 and found["moved"], name
    rounding = update_cases.rounding(CUDA)
    assert rounding["two values"] and rounding["same seed"]
    assert abs(rounding["share"] - 0.3) < 0.01


def test_two_equal_runs_of_the_optimizer_have_equal_bits() -> None:
    def run() -> list[torch.Tensor]:
        torch.manual_seed(0)
        weight = torch.nn.Parameter(torch.randn(100, 588, device=CUDA, dtype=torch.bfloat16))
        optimizer = AdamW8bit([weight], lr=1e-3, seed=3)
        for _ in range(3):
            weight.grad = torch.randn_like(weight)
            optimizer.step()
        return [weight.detach(), *optimizer.state[weight].values()]

    assert all(torch.equal(one, other) for one, other in zip(run(), run(), strict=True))


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05)])
def test_fused_blocks_have_the_gradients_of_plain_ones(dtype: torch.dtype, near: float) -> None:
    config, device = architecture("tiny"), torch.device(CUDA)
    net = random_model(config, device, dtype)
    pixels = torch.randn(3, 3, config.image_size, config.image_size, device=device, dtype=dtype)

    def gradients(**options) -> torch.Tensor:
        net.zero_grad(set_to_none=True)
        batch = make_batch([conversation()] * 3, [1] * 3, config.tokens_per_frame, device, pixels)
        next_token_sum(SupervisedModel(net, **options)(batch), batch.labels).backward()
        return torch.cat([value.grad.flatten().double() for value in net.parameters() if value.grad is not None])

    torch.backends.cuda.matmul.allow_tf32 = False
    plain = gradients()
    for recompute in (0.0, 0.5, 1.0):
        assert (gradients(fused=True, recompute=recompute) - plain).norm() < near * plain.norm()


def test_a_training_step_does_not_wait_for_the_host() -> None:
    config, device = architecture("tiny"), torch.device(CUDA)
    model = SupervisedModel(random_model(config, device, torch.bfloat16), recompute=True, fused=True).train()
    pixels = torch.randn(2, 3, config.image_size, config.image_size, device=device, dtype=torch.bfloat16)
    for mode in ("default", "error"):  # the first pass compiles
        batch = make_batch([conversation()] * 2, [1] * 2, config.tokens_per_frame, device, pixels)
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode(mode)
        try:
            next_token_sum(model(batch), batch.labels).backward()
        finally:
            torch.cuda.set_sync_debug_mode("default")
