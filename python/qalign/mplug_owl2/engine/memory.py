"""Memory of a device: what is free, what torch holds, and its return."""

import gc
import re
from dataclasses import dataclass
from pathlib import Path

import torch

CGROUP = Path("/sys/fs/cgroup")
# of the CPU; of CUDA for contexts, kernels, graphs and pinned buffers; of Triton for its kernels; of cuBLAS and cuDNN
# for their workspaces
NO_MEMORY = re.compile(
    r"can't allocate memory|(CUDA|HIP)( driver)? error: out of memory|Triton Error \[\w+\]: out of memory"
    r"|(CUBLAS|CUDNN)_STATUS_ALLOC_FAILED"
)


@dataclass(frozen=True)
class DeviceMemory:
    """Bytes on a GPU: of torch's tensors now and at most, of torch's cache with them, and of the whole device."""

    allocated_bytes: int
    reserved_bytes: int
    peak_bytes: int
    free_bytes: int
    total_bytes: int


def device_memory(device: torch.device) -> DeviceMemory | None:
    """The memory of a GPU, or None on a CPU. `peak_bytes` counts from the last `restart_peak`."""
    if device.type != "cuda":
        return None
    free, total = torch.cuda.mem_get_info(device)
    return DeviceMemory(
        allocated_bytes=torch.cuda.memory_allocated(device),
        reserved_bytes=torch.cuda.memory_reserved(device),
        peak_bytes=torch.cuda.max_memory_allocated(device),
        free_bytes=free,
        total_bytes=total,
    )


def make_current(device: torch.device) -> None:
    """Make a GPU the current device of this thread. Triton, pinned memory and new events use the current device."""
    if device.type == "cuda":
        torch.cuda.set_device(device)


def restart_peak(device: torch.device) -> None:
    """Count `peak_bytes` from now on."""
    if device.type == "cuda" and torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats(device)


def give_back() -> None:
    """Return memory that no tensor uses. Models are in circles of references, which only the collector finds."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """The allocator of torch on CUDA has its own exception class; errors of others are known by their text."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and NO_MEMORY.search(str(error)) is not None


def free_bytes(device: torch.device) -> int | None:
    """Bytes that can still be allocated on the device, including torch's cache. None if the system reports no value."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    known = [size for size in (_of_host(), _of_group()) if size is not None]
    return min(known, default=None)


def _of_host(meminfo: Path = Path("/proc/meminfo")) -> int | None:
    try:
        rows = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(rows["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def _of_group(folder: Path = CGROUP) -> int | None:
    """A container's memory limit minus its use. The page cache counts as free."""
    try:
        limit, used = (int((folder / name).read_text()) for name in ("memory.max", "memory.current"))
        rows = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        return max(0, limit - used + int(rows.get("inactive_file", 0)))
    except (OSError, ValueError):  # without a limit the file holds the word "max"
        return None
