"""A workaround for a race in the vector math library of torch's CPU builds (pytorch/pytorch#188792)."""

import torch

FUNCTIONS = (
    *(torch.acos, torch.asin, torch.atan, torch.cos, torch.sin, torch.tan, torch.sinh, torch.cosh, torch.tanh),
    *(torch.exp, torch.expm1, torch.log, torch.log10, torch.log1p, torch.log2, torch.sqrt, torch.rsqrt),
    *(torch.erf, torch.erfc, torch.erfinv, torch.ceil, torch.floor, torch.round, torch.trunc),
)


def warm_up_vector_math() -> None:
    """Call each function once on one number, so that its first call is single-threaded.

    oneMKL selects the kernel of a function at its first call. If several threads make that call, one of them can get
    a low-accuracy kernel. This happened in one process of a hundred. The cosines of its rotary positions, computed
    once and kept, changed its scores by up to 5e-4.
    """
    for dtype in (torch.float32, torch.float64):
        one = torch.full((1,), 0.5, dtype=dtype)
        for function in FUNCTIONS:
            function(one)
