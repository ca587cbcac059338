"""The Triton programs of fused blocks against their references: a script for the interpreter, a function for a GPU."""

import json
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from qalign.training.kernels import gates, norms, programs, turning

WIDTH, HEAD = 30, 10  # no powers of two, so that masks of the programs matter
GENERATOR = torch.Generator().manual_seed(0)


def random(*shape: int, dtype: torch.dtype) -> Tensor:
    return torch.randn(*shape, generator=GENERATOR).to(dtype)


def cases(dtype: torch.dtype) -> Iterator[tuple[str, Callable, Callable, tuple]]:
    """(name, program, reference, arguments). 21 rows of text and 18 of images are two programs of a gradient each."""
    x, grad, residual = (random(39, WIDTH, dtype=dtype) for _ in range(3))
    weights = random(WIDTH, dtype=dtype), random(WIDTH, dtype=dtype)
    for texts in (21, 0, 39):
        yield f"norm, {texts} texts", programs.rms, norms._reference, (x, *weights, texts, 1e-2)
        arguments = grad, residual if texts == 21 else None, x, *weights, texts, 1e-2
        yield f"gradient of the norm, {texts} texts", programs.rms_gradient, norms._gradient_reference, arguments
    order = torch.randperm(39, generator=GENERATOR)
    cos, sin = (random(39, HEAD // 2, dtype=torch.float32).repeat(1, 2) for _ in range(2))
    for name, places in (("turned", None), ("turned back", order)):
        arguments = x, order, places, cos, sin, places is not None
        yield name, programs.turned, turning._reference, arguments
    gate, up, given = (random(5, 700, dtype=dtype) for _ in range(3))
    yield "gated", programs.gated, lambda one, other: torch.nn.functional.silu(one) * other, (gate, up)
    yield "gradient of gated", programs.gated_gradient, gates._gate_gradient, (given, gate, up)
    yield "quick GELU", programs.quick_gelu, lambda x: gates.quick_gelu(x.float()).to(x.dtype), (gate,)
    yield "gradient of quick GELU", programs.quick_gelu_gradient, gates._gelu_gradient, (given, gate)


def differences(device: str, short: torch.dtype = torch.float16) -> dict[str, float]:
    """The largest difference of each program from its reference on the CPU, relative to the largest value.

    In fp32 and in `short`. Not bf16 in the interpreter, which cuts fp32 off to bf16 instead of rounding it.
    """
    found = {}
    for dtype in (torch.float32, short):
        for name, program, reference, arguments in cases(dtype):
            got = program(*(value.to(device) if isinstance(value, Tensor) else value for value in arguments))
            want = reference(*arguments)
            pairs = zip(got, want, strict=True) if isinstance(want, tuple) else [(got, want)]
            worst = 0.0
            for one, other in pairs:
                assert one.shape == other.shape and one.dtype == other.dtype
                wide = other.double()
                worst = max(worst, ((one.cpu().double() - wide).abs().max() / wide.abs().max().clamp_min(1)).item())
            found[f"{name} {dtype}".replace("torch.", "")] = worst
    return found


if __name__ == "__main__":
    print(json.dumps(differences("cpu")))
