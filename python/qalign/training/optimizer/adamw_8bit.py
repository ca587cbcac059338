"""AdamW with 8-bit moments, and stochastic rounding for bf16 weights. Plain torch, for any device and FSDP2.

Each row of a matrix is split into blocks of 256 entries, each block with its own scale. The first moment is coded as
the square root of |m| / scale, in 7 bits and a sign. The second moment is coded as the fourth root of v / scale, in 8
bits. Adam divides by √v, so small values matter, and linear codes would round them to zero. `test_adamw_8bit.py`
measures this. Blocks never cross rows, so sharding by rows (FSDP2) and resharding on resume do not split them.

A bf16 weight of 1 changes in steps of 2^-7, but updates are 1e-5: rounding to the nearest value would lose all of
them. Stochastic rounding keeps them on average (Gupta et al., arXiv 1502.02551).
"""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

BLOCK = 256
CHUNK = 1 << 24  # entries per chunk, which keeps fp32 temporaries under half a gigabyte


class AdamW8bit(torch.optim.Optimizer):
    """Matrices have 8-bit moments, vectors (norms, biases) have fp32 ones. `seed` and step key stochastic rounding."""

    def __init__(self, params: Iterable, lr: float = 1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, seed=0):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        self._seed = seed

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        assert closure is None, "closures are not supported"
        for number, (group, parameter) in enumerate((g, p) for g in self.param_groups for p in g["params"]):
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                _allocate(state, parameter)
            state["step"] += 1
            values, grad = _local(parameter), _local(parameter.grad)
            if values.numel() == 0:
                continue
            step = int(state["step"])
            generator = torch.Generator(values.device).manual_seed(_mix(self._seed, step, number, parameter))
            rows = max(1, CHUNK * len(values) // values.numel())
            for start in range(0, len(values), rows):
                part = slice(start, start + rows)
                moments = [_local(state[key])[part] for key in state if key != "step"]
                _update(values[part], grad[part], moments, step, group, generator)


def _allocate(state: dict[str, Tensor], parameter: Tensor) -> None:
    state["step"] = torch.zeros(1, dtype=torch.int64)
    if parameter.ndim < 2:
        state["m"] = torch.zeros_like(parameter, dtype=torch.float32)
        state["v"] = torch.zeros_like(parameter, dtype=torch.float32)
        return
    local = _local(parameter)
    blocks = -(-(parameter.numel() // parameter.shape[0]) // BLOCK)
    for name, dtype in (("m", torch.int8), ("v", torch.uint8)):
        state[f"{name}_code"] = _like(parameter, torch.zeros_like(local, dtype=dtype), tuple(parameter.shape))
        scale = torch.zeros(len(local), blocks, dtype=torch.float32, device=local.device)
        state[f"{name}_scale"] = _like(parameter, scale, (parameter.shape[0], blocks))


def _like(parameter: Tensor, local: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`local` as a shard with the parameter's placements, so that checkpoints know its place in the full tensor."""
    if not isinstance(parameter, DTensor):
        return local
    stride = tuple(torch.empty(shape, device="meta").stride())
    return DTensor.from_local(
        local, parameter.device_mesh, parameter.placements, run_check=False, shape=torch.Size(shape), stride=stride
    )


def _local(tensor: Tensor) -> Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _mix(seed: int, step: int, number: int, parameter: Tensor) -> int:
    rank = parameter.device_mesh.get_rank() if isinstance(parameter, DTensor) else 0
    return (seed * 1_000_003 + step * 7919 + number * 104_729 + rank * 15_485_863) % (1 << 62)


def _update(values: Tensor, grad: Tensor, moments: list[Tensor], step: int, group: dict, random: torch.Generator):
    """One AdamW update of some rows, in place."""
    first, second = group["betas"]
    g = grad.float()
    if len(moments) == 2:
        m, v = moments
    else:
        m, v = decode_signed(*moments[:2]), decode_positive(*moments[2:])
    m.lerp_(g, 1 - first)
    v.mul_(second).addcmul_(g, g, value=1 - second)
    divisor = (v / (1 - second**step)).sqrt_().add_(group["eps"])
    wide = values.float() * (1 - group["lr"] * group["weight_decay"])
    wide.addcdiv_(m, divisor, value=-group["lr"] / (1 - first**step))
    values.copy_(round_stochastically(wide, random) if values.dtype == torch.bfloat16 else wide)
    if len(moments) == 4:
        for target, source in zip(moments, (*encode_signed(m), *encode_positive(v)), strict=True):
            target.copy_(source)


def _blocked(x: Tensor) -> Tensor:
    """[R, …] → [R, blocks, 256], padded with zeros."""
    rows = x.reshape(len(x), -1)
    return torch.nn.functional.pad(rows, (0, -rows.shape[1] % BLOCK)).unflatten(1, (-1, BLOCK))


def _unblocked(blocks: Tensor, shape: torch.Size) -> Tensor:
    width = shape[1:].numel()
    return blocks.flatten(1)[:, :width].reshape(shape)


def encode_signed(x: Tensor) -> tuple[Tensor, Tensor]:
    """float32 [R, …] → int8 codes of the same shape and scales [R, blocks]."""
    blocks = _blocked(x)
    scale = blocks.abs().amax(-1)
    unit = blocks.abs() / scale.clamp_min(1e-38)[..., None]
    code = (unit.sqrt_() * 127).round_() * blocks.sign()
    return _unblocked(code, x.shape).to(torch.int8), scale


def decode_signed(code: Tensor, scale: Tensor) -> Tensor:
    unit = _blocked(code.float() / 127)
    return _unblocked(unit * unit.abs() * scale[..., None], code.shape)


def encode_positive(x: Tensor) -> tuple[Tensor, Tensor]:
    """float32 ≥ 0 → uint8 codes and scales. Positive values stay positive, because they are divisors."""
    blocks = _blocked(x)
    scale = blocks.amax(-1)
    unit = blocks / scale.clamp_min(1e-38)[..., None]
    code = (unit.sqrt().sqrt_() * 255).round_().clamp_min_(1) * (blocks > 0)
    return _unblocked(code, x.shape).to(torch.uint8), scale


def decode_positive(code: Tensor, scale: Tensor) -> Tensor:
    return _unblocked(_blocked(code.float() / 255).pow_(4) * scale[..., None], code.shape)


def round_stochastically(x: Tensor, random: torch.Generator) -> Tensor:
    """float32 → bf16, rounded up with a probability equal to the truncated fraction, so that the mean is x."""
    noise = torch.randint(0, 1 << 16, x.shape, dtype=torch.int32, device=x.device, generator=random)
    return ((x.view(torch.int32) + noise) & -(1 << 16)).view(torch.float32).bfloat16()
