"""AdamW with 8-bit moments (`moments.py`), and stochastic rounding for bf16 weights. For any device and FSDP2."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from .moments import BLOCK
from .update import update_coded, update_wide


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
                allocate(state, parameter)
            state["step"] += 1
            values, grad = _local(parameter), _local(parameter.grad)
            if values.numel() == 0:
                continue
            moments = [_local(state[key]) for key in state if key != "step"]
            step = int(state["step"])
            rule = group["lr"], *group["betas"], group["eps"], group["weight_decay"], step
            update = update_coded if len(moments) == 4 else update_wide
            update(values, grad, *moments, *rule, _mix(self._seed, step, number, parameter))


def allocate(state: dict[str, Tensor], parameter: Tensor) -> None:
    """Put the moments of a parameter, all zero, into its empty state."""
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
