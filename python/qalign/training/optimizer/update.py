"""The update of one parameter as one operator: a reference in plain torch, and one Triton program on CUDA.

The numbers of an update: rate, first and second beta, eps, weight decay, step (from 1), and the seed of the rounding.
On CUDA the rounding has other random numbers than in the reference; each is a function of the seed alone.
"""

import torch
from torch import Tensor

from qalign.mplug_owl2.engine.kernels.register import define, programs

from .moments import Rule, update_rows

# Entries per chunk: their temporaries stay in the cache of a CPU, or under half a gigabyte on a GPU.
CHUNK = {"cpu": 1 << 16, "cuda": 1 << 24}
ALIGNED_ROWS = 16  # chunks end at whole vector registers, so that no result depends on the size of a chunk


def reference(values: Tensor, grad: Tensor, *rest: Tensor | float) -> tuple[Tensor, ...]:
    """The update in plain torch, in chunks of rows."""
    moments = [value for value in rest if isinstance(value, Tensor)]
    *numbers, seed = rest[len(moments) :]
    rule = Rule(*numbers)
    random = torch.Generator(values.device).manual_seed(seed)
    rows = CHUNK[values.device.type] * len(values) // values.numel() // ALIGNED_ROWS * ALIGNED_ROWS
    for start in range(0, len(values), max(ALIGNED_ROWS, rows)):
        part = slice(start, start + max(ALIGNED_ROWS, rows))
        update_rows(values[part], grad[part], [moment[part] for moment in moments], rule, random)
    return values, *moments


def _meta(values: Tensor, grad: Tensor, *rest: Tensor | float) -> tuple[Tensor, ...]:
    return values, *(value for value in rest if isinstance(value, Tensor))


def launch(values: Tensor, grad: Tensor, *rest: Tensor | float) -> tuple[Tensor, ...]:
    """The update as a Triton program."""
    if not values.is_contiguous():
        return reference(values, grad, *rest)
    programs("update_programs", __package__).update(values, grad.contiguous(), *rest)
    return _meta(values, grad, *rest)


NUMBERS = "float rate, float first, float second, float eps, float decay, int step, int seed"

# values [R, …] of any dtype with their gradient; int8 and uint8 codes of the same shape; fp32 scales [R, blocks]
update_coded = define(
    "adamw_coded(Tensor(a!) values, Tensor grad, Tensor(b!) m_code, Tensor(c!) m_scale, Tensor(d!) v_code, "
    f"Tensor(e!) v_scale, {NUMBERS}) -> (Tensor(a!), Tensor(b!), Tensor(c!), Tensor(d!), Tensor(e!))",
    reference,
    _meta,
    launch,
)

# values and their gradient; moments in fp32
update_wide = define(
    f"adamw_wide(Tensor(a!) values, Tensor grad, Tensor(b!) m, Tensor(c!) v, {NUMBERS}) "
    "-> (Tensor(a!), Tensor(b!), Tensor(c!))",
    reference,
    _meta,
    launch,
)
