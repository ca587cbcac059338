"""The Triton programs of an update against their reference: a script for the interpreter, a function for a GPU."""

import json

import torch

from qalign.training.optimizer import update
from qalign.training.optimizer.moments import decode_positive, decode_signed

RULE = (1e-2, 0.9, 0.999, 1e-8, 0.1, 3)
SHAPES = ((9, 256), (5, 588), (3, 2, 7, 7), (700,))  # whole blocks, a padded tail, narrow rows, a vector
SEED = (5 << 40) + 17


def arguments(shape: tuple[int, ...], dtype: torch.dtype, moments: str) -> list[torch.Tensor]:
    """Weights, gradient and moments after some updates of the reference. The first two rows have no gradient."""
    random = torch.Generator().manual_seed(0)
    rows = shape[0]
    values = torch.randn(shape, generator=random).to(dtype)
    blocks = -(-values.numel() // rows // 256)
    if moments == "coded":
        held = [torch.zeros(shape, dtype=torch.int8), torch.zeros(rows, blocks)]
        held += [torch.zeros(shape, dtype=torch.uint8), torch.zeros(rows, blocks)]
    else:
        held = [torch.zeros(shape), torch.zeros(shape)]
    for step in (1, 2):
        grad = (torch.randn(shape, generator=random) * 10 ** torch.randn(shape, generator=random)).to(dtype)
        grad[:2] = 0
        update.reference(values, grad, *held, *RULE[:-1], step, SEED)
    return [values, grad, *held]


def decoded(moments: list[torch.Tensor]) -> list[torch.Tensor]:
    return moments if len(moments) == 2 else [decode_signed(*moments[:2]), decode_positive(*moments[2:])]


def compare(shape: tuple[int, ...], dtype: torch.dtype, device: str) -> dict[str, float]:
    """How far a program is from the reference: weights, codes and moments relative to the largest value."""
    given = arguments(shape, dtype, "wide" if len(shape) == 1 else "coded")
    want, got = ([value.clone() for value in given] for _ in range(2))
    got = [value.to(device) for value in got]
    update.reference(*want, *RULE, SEED)
    update.launch(*got, *RULE, SEED)
    got = [value.cpu() for value in got]
    found = {"weights": _worst(got[0], want[0]), "moved": float(not torch.equal(got[0], given[0]))}
    for name, one, other in zip("mv", decoded(got[2:]), decoded(want[2:]), strict=True):
        found[name] = _worst(one, other)
    codes = [(a.int() - b.int()).abs() for a, b in zip(got[2:], want[2:], strict=True) if not b.is_floating_point()]
    found["other codes"] = max((float((part > 0).float().mean()) for part in codes), default=0.0)
    found["furthest code"] = max((float(part.max()) for part in codes), default=0.0)
    return found


def _worst(one: torch.Tensor, other: torch.Tensor) -> float:
    assert one.dtype == other.dtype and torch.isfinite(one).all()
    return ((one.double() - other.double()).abs().max() / other.double().abs().max()).item()


def rounding(device: str) -> dict[str, float | bool]:
    """What becomes of bf16 weights of 1 whose update is 0.3 of a step of bf16, and of its seed."""
    seen = []
    for seed in (SEED, SEED, SEED + 1, SEED + (1 << 33)):
        values = torch.ones(96, 256, dtype=torch.bfloat16, device=device)
        held = [torch.zeros_like(values, dtype=torch.float32) for _ in range(2)]
        rule = 0.3 * 2**-8, 0.9, 0.999, 1e-8, 0.0, 1
        update.launch(values, torch.ones_like(values), *held, *rule, seed)
        seen.append(values.cpu().float())
    down = (seen[0] == 1 - 2**-8).float()
    rows, columns = down.mean(1), down.mean(0)
    return {
        "two values": set(seen[0].unique().tolist()) == {1.0, 1 - 2**-8},
        "share": down.mean().item(),
        "spread of rows": rows.std().item() / (0.3 * 0.7 / 256) ** 0.5,
        "spread of columns": columns.std().item() / (0.3 * 0.7 / 96) ** 0.5,
        "agreement of neighbours": (down[:, 1:] == down[:, :-1]).float().mean().item(),
        "same seed": torch.equal(seen[0], seen[1]),
        "agreement of other seeds": max((seen[0] == other).float().mean().item() for other in seen[2:]),
    }


def all_cases(device: str) -> dict[str, dict[str, float]]:
    return {
        f"{shape} {dtype}".replace("torch.", ""): compare(shape, dtype, device)
        for dtype in (torch.float32, torch.bfloat16)
        for shape in SHAPES
    }


if __name__ == "__main__":
    print(json.dumps([all_cases("cpu"), rounding("cpu")]))
