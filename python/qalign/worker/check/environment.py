"""The machine: what its products, its memory and its host link can do at best, and the settings that limit them."""

import platform
import subprocess

import torch

from ...weights.tensors import DTYPES
from .report import Section
from .subject import Subject
from .timing import Budget, median

QUERY = (
    "driver_version,power.limit,power.draw,clocks.sm,clocks.max.sm,clocks.mem,temperature.gpu,"
    "pcie.link.gen.current,pcie.link.width.current,ecc.mode.current"
)
SIDE = {"cuda": 8192, "cpu": 256}  # of the square product
COPIED = {"cuda": 1 << 31, "cpu": 1 << 24}  # bytes
UPLOAD = {"cuda": 64 * 448 * 448 * 3, "cpu": 1 << 20}  # bytes: 64 pictures


def environment(subject: Subject, section: Section, budget: Budget) -> None:
    device, kind = subject.device, subject.device.type
    seconds = min(1.0, budget.left / 8)
    section.details |= {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "threads": torch.get_num_threads(),
        "cudnn": torch.backends.cudnn.version(),
    }
    side, dtype = SIDE[kind], DTYPES[subject.precision]
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    ms = median(lambda: a @ b, device, seconds)
    section.figure(f"square product of {side} in {subject.precision}", 2 * side**3 / ms / 1e9, "TFLOP/s")
    source = torch.zeros(COPIED[kind], dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    ms = median(lambda: target.copy_(source), device, seconds)
    section.figure("copy on the device, read and written", 2 * len(source) / ms / 1e9, "TB/s")
    if kind != "cuda":
        section.skip("host to device, driver, clocks, power", "the device is a CPU")
        return
    host = torch.zeros(UPLOAD[kind], dtype=torch.uint8).pin_memory()
    kept = torch.empty_like(host, device=device)
    ms = median(lambda: kept.copy_(host, non_blocking=True), device, seconds)
    section.figure("host to device, pinned", len(host) / ms / 1e6, "GB/s")
    properties = torch.cuda.get_device_properties(device)
    section.figure("device memory", properties.total_memory / 1e9, "GB")
    section.details |= {"capability": list(torch.cuda.get_device_capability(device)), "driver": driver(device, section)}


def driver(device: torch.device, section: Section) -> dict[str, str] | None:
    """Driver, clocks and power limits by nvidia-smi, with the names of its query."""
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader", f"--id={device_uuid(device)}"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        section.skip("driver, clocks, power", f"nvidia-smi gives no answer ({error})")
        return None
    return dict(zip(QUERY.split(","), (value.strip() for value in ran.stdout.split(",")), strict=False))


def device_uuid(device: torch.device) -> str:
    """The name by which nvidia-smi knows a device: its number there can differ under CUDA_VISIBLE_DEVICES."""
    uuid = getattr(torch.cuda.get_device_properties(device), "uuid", None)
    return f"GPU-{uuid}" if uuid else str(device.index or 0)
