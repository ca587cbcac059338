"""The time of an AdamW step for one large matrix, and the memory traffic that this time would allow."""

import torch

from ...mplug_owl2.engine.memory import give_back
from ...training.optimizer.adamw_8bit import allocate
from ...training.optimizer.optimizer import make_optimizer
from ...training.optimizer.update import reference
from .report import Section
from .subject import Subject
from .timing import Budget, Call, median

SHAPE = {"cuda": (11008, 4096), "cpu": (256, 512)}
KINDS = ("adamw_8bit", "adamw_8bit, plain", "adamw")
COPIED = {"cuda": 1 << 30, "cpu": 1 << 24}  # bytes


def optimizer(subject: Subject, section: Section, budget: Budget) -> None:
    device = subject.device
    bandwidth = measured_bandwidth(subject)
    total = section_parameters(subject)
    for kind in KINDS:
        matrix = torch.nn.Parameter(torch.randn(SHAPE[device.type], device=device, dtype=torch.bfloat16))
        matrix.grad = torch.randn_like(matrix)
        group = {"params": [matrix], "part": "language", "base_lr": 1e-5, "lr": 1e-5, "weight_decay": 0.0}
        call = make_optimizer(kind, [group], (0.9, 0.999)).step if "plain" not in kind else plain_update(matrix)

        def step(kind: str = kind, call: Call = call, matrix: torch.Tensor = matrix) -> None:
            ms = median(call, device, min(2.0, max(0.02, budget.left / 8)))
            section.figure(f"{kind}, one matrix of {matrix.numel() / 1e6:.1f} M", ms, "ms")
            each = ms / 1000 / matrix.numel()
            section.figure(f"{kind}, all parameters", each * total * 1000, "ms")
            section.figure(f"{kind}, bytes in this time at the speed of a copy", each * bandwidth, "B/parameter")

        section.attempt(kind, step)
        del matrix, call, step
        give_back()


def plain_update(matrix: torch.nn.Parameter) -> Call:
    """A step of adamw_8bit by the operations of PyTorch, which runs where Triton does not."""
    state: dict[str, torch.Tensor] = {}
    allocate(state, matrix)
    moments = [value for key, value in state.items() if key != "step"]
    numbers = 1e-5, 0.9, 0.999, 1e-8, 0.0, 1, 0
    return torch.no_grad()(lambda: reference(matrix, matrix.grad, *moments, *numbers))


def section_parameters(subject: Subject) -> int:
    from ...mplug_owl2.checkpoint import meta_model

    return sum(value.numel() for value in meta_model(subject.config).parameters())


def measured_bandwidth(subject: Subject) -> float:
    """Bytes per second of a copy on the device, read and written."""
    source = torch.zeros(COPIED[subject.device.type], dtype=torch.uint8, device=subject.device)
    target = torch.empty_like(source)
    return 2 * len(source) / median(lambda: target.copy_(source), subject.device, 0.1) * 1000
