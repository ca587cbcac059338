"""A guard against a race in the vector mathematics library of torch's CPU builds (pytorch/pytorch#188792)."""

import torch

FUNCTIONS = (
    *(torch.acos, torch.asin, torch.atan, torch.cos, torch.sin, torch.tan, torch.sinh, torch.cosh, torch.tanh),
    *(torch.exp, torch.expm1, torch.log, torch.log10, torch.log1p, torch.log2, torch.sqrt, torch.rsqrt),
    *(torch.erf, torch.erfc, torch.erfinv, torch.ceil, torch.floor, torch.round, torch.trunc),
)


def warm_up_vector_math() -> None:
    """Call each function once on one number.

    oneMKL chooses the kernel of a function at its first call. Where that call is of several threads at once, one of
    them may get a kernel of low accuracy for its part: a process in a hundred had cosines of rotary positions, computed
    once and kept, that moved its scores by up to 5e-4. The first call is of one thread here.
    """
    for dtype in (torch.float32, torch.float64):
        one = torch.full((1,), 0.5, dtype=dtype)
        for function in FUNCTIONS:
            function(one)
