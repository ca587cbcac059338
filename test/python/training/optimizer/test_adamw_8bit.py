"""The 8-bit optimizer compared with torch's in fp32: codes, steps, sharding, bf16 weights."""

import torch
from torch import nn

from qalign.training.optimizer import update
from qalign.training.optimizer.adamw_8bit import AdamW8bit
from qalign.training.optimizer.moments import (
    add_noise,
    decode_positive,
    decode_signed,
    encode_positive,
    encode_signed,
)


def test_codes_keep_small_values_and_zero() -> None:
    random = torch.Generator().manual_seed(0)
    x = torch.randn(7, 300, generator=random) * 10 ** torch.randint(-4, 3, (7, 300), generator=random)
    back = decode_signed(*encode_signed(x))
    scale = x.abs().amax()
    assert back.shape == x.shape
    assert ((back - x).abs() <= 0.5 / 127 * 2 * (x.abs() * scale).sqrt() + scale / 127**2).all()
    v = x.square()
    codes, scales = encode_positive(v)
    assert (codes[v > 0] > 0).all(), "divisors must not become zero"
    large = v > 1e-2 * v.amax()
    assert ((decode_positive(codes, scales) - v).abs()[large] / v[large]).max() < 0.03
    assert torch.equal(decode_signed(*encode_signed(torch.zeros(2, 5))), torch.zeros(2, 5))
    assert torch.equal(decode_positive(*encode_positive(torch.zeros(2, 5))), torch.zeros(2, 5))


def fit(optimizer_of, dtype: torch.dtype = torch.float32, steps: int = 300) -> tuple[float, nn.Linear]:
    """The loss, after some steps, of a regression with inputs of very different scales."""
    torch.manual_seed(3)
    layer = nn.Linear(96, 40).to(dtype)
    scales = torch.logspace(-1, 1, 96)
    truth = torch.randn(40, 96)
    optimizer = optimizer_of(layer.parameters())
    for _ in range(steps):
        x = torch.randn(64, 96) * scales
        loss = (layer(x.to(dtype)).float() - x @ truth.T).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item(), layer


def test_learns_as_fast_as_adamw_in_fp32() -> None:
    options = {"lr": 1e-2, "betas": (0.9, 0.99), "weight_decay": 0.01}
    full, _ = fit(lambda p: torch.optim.AdamW(p, **options))
    eight, _ = fit(lambda p: AdamW8bit(p, **options))
    start, _ = fit(lambda p: torch.optim.AdamW(p, **options), steps=1)
    assert full < 0.2 * start
    assert eight < 1.05 * full


def test_state_takes_two_bytes_per_entry_and_a_scale_per_block() -> None:
    layer = nn.Linear(1024, 256, bias=False)
    layer.weight.grad = torch.randn_like(layer.weight)
    optimizer = AdamW8bit(layer.parameters())
    optimizer.step()
    held = sum(value.nbytes for value in optimizer.state[layer.weight].values())
    assert held / layer.weight.numel() < 2.04


def test_small_updates_reach_bf16_weights_on_average() -> None:
    """Rounding to the nearest value loses updates of 1e-4 to weights of 1, where bf16 steps are 2^-8 and 2^-7."""
    weight = nn.Parameter(torch.ones(64, 256, dtype=torch.bfloat16))
    optimizer = AdamW8bit([weight], lr=1e-4)
    for _ in range(40):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    moved = 1 - weight.float().mean().item()
    assert abs(moved - 40e-4) < 4e-4
    near = torch.full((200_000,), 1 + 0.3 * 2**-7)
    rounded = near.clone()
    add_noise(rounded, torch.Generator().manual_seed(1))
    assert torch.equal(rounded, rounded.bfloat16().float())
    assert set(rounded.unique().tolist()) == {1.0, 1 + 2**-7}
    assert abs(rounded.mean().item() - near[0].item()) < 2e-5


def updated(dtype: torch.dtype) -> list[torch.Tensor]:
    """Weights and state of a matrix with a padded last block after three updates."""
    torch.manual_seed(5)
    weight = nn.Parameter(torch.randn(100, 588).to(dtype))
    optimizer = AdamW8bit([weight], lr=1e-2, weight_decay=0.1)
    for _ in range(3):
        weight.grad = torch.randn_like(weight)
        optimizer.step()
    return [weight.detach(), *optimizer.state[weight].values()]


def test_chunks_change_nothing(monkeypatch) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        monkeypatch.setitem(update.CHUNK, "cpu", 1 << 24)
        whole = updated(dtype)
        monkeypatch.setitem(update.CHUNK, "cpu", 588 * 16)
        assert all(torch.equal(one, other) for one, other in zip(whole, updated(dtype), strict=True))


def test_an_update_is_one_operator_that_the_meta_device_knows() -> None:
    values = torch.empty(3, 300, device="meta", dtype=torch.bfloat16)
    codes, scales = torch.empty(3, 300, device="meta", dtype=torch.int8), torch.empty(3, 2, device="meta")
    given = [values, values, codes, scales, codes.to(torch.uint8), scales]
    found = update.update_coded(*given, 1e-3, 0.9, 0.999, 1e-8, 0.0, 1, 7)
    assert [value.shape for value in found] == [value.shape for value in (values, *given[2:])]
