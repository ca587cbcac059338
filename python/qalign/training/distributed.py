"""The same code for one process or many, on CPU or GPU: `torchrun` sets the environment, FSDP2 shards parameters."""

import os
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

from .model.compute_copies import compute_in
from .model.trained import TrainedModel

# how long a process waits for work of another on disks: longer than src/recipes/train/launch.ts allows without a step
PATIENCE = timedelta(hours=3)


@dataclass(frozen=True)
class World:
    """`saving` is a separate gloo group with a limit of PATIENCE. Asynchronous checkpoints fail on the training group,
    and NCCL ends a process that waits in it for ten minutes."""

    rank: int
    size: int
    device: torch.device
    saving: dist.ProcessGroup

    def wait(self) -> None:
        """Wait for all processes, however long one of them reads or writes files, within PATIENCE."""
        dist.barrier(group=self.saving)

    def sum(self, values: list[float]) -> list[float]:
        """Sums over all processes, in fp64."""
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(tensor)
        return tensor.tolist()


def join_world(device: str) -> World:
    """`device` is `cpu` or `cuda`. Without torchrun's environment, this process is the whole world."""
    for key, value in {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}.items():
        os.environ.setdefault(key, value)
    local = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if device == "cuda" else torch.device("cpu")
    if local.type == "cuda":
        torch.cuda.set_device(local)
    dist.init_process_group("cpu:gloo,cuda:nccl" if local.type == "cuda" else "gloo")
    return World(dist.get_rank(), dist.get_world_size(), local, dist.new_group(backend="gloo", timeout=PATIENCE))


def leave_world(world: World) -> None:
    """Wait for all processes, also for an export: a process that leaves early makes the others fail."""
    world.wait()
    dist.destroy_process_group()


def shard(
    model: TrainedModel, world: World, compute: torch.dtype, ready: Callable[[nn.Module], None] = lambda module: None
) -> None:
    """Apply FSDP2 with one group per block of the encoder and the language model, and one group for the rest.

    Weights keep their dtype, products are computed in `compute`, and gradients are reduced in fp32. One process has
    nothing to share: its model stays plain. Of several, each block goes to the device when it is sharded, so that no
    device holds the model whole. `ready` is called with each block before that, and with the model for the rest.
    Weights on the meta device stay there.
    """
    if world.size == 1:
        model._apply(lambda value: value if value.is_meta else value.to(world.device))
        compute_in(model, compute)
        return
    mesh = init_device_mesh(world.device.type, (world.size,))
    policy = MixedPrecisionPolicy(param_dtype=compute, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for block in model.sharded_blocks():
        ready(block)
        fully_shard(block, mesh=mesh, mp_policy=policy)
        if hasattr(block, "packed"):
            register_fsdp_forward_method(block, "packed")
    ready(model)
    fully_shard(model, mesh=mesh, mp_policy=policy)


def reshard(model: TrainedModel) -> None:
    """Drop gathered copies of weights, which a change of the shards does not reach."""
    for module in (*model.sharded_blocks(), model):
        if isinstance(module, FSDPModule):
            module.reshard()


def cast_position_tables(net: nn.Module, compute: torch.dtype) -> Iterator[tuple[str, Tensor]]:
    """Cast position tables to the dtype of the products, because FSDP casts only parameters.

    Yields the tables in their stored dtype.
    """
    for module_name, module in net.named_modules():
        for name, value in list(module.named_buffers(recurse=False)):
            if name.endswith("_pos_embed"):
                yield f"{module_name}.{name}", value
                module.register_buffer(name, value.to(compute))


def local(value: Tensor) -> Tensor:
    """The shard of this process, or the tensor itself if it is not sharded. They share storage."""
    return value.to_local() if hasattr(value, "to_local") else value


def full(value: Tensor) -> Tensor:
    """The full tensor of a sharded one, on every process."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def peak_memory(device: torch.device) -> int:
    """Peak memory in bytes: of the GPU's allocator, or on a CPU the resident size of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def is_alive(pid: int) -> bool:
    """Whether a process with this id runs on this host. A process that has ended is gone, even if its parent never asks
    for its status, as in a container."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1]
    except OSError:
        return True  # there is no /proc
    return state not in (b"Z", b"X")
