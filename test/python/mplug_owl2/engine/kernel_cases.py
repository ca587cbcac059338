"""Each Triton program against its reference: a script for the interpreter, and a function for the tests on a GPU."""

import json

import torch

from qalign.mplug_owl2.engine.kernels import gated, norms, programs, sequence

HEADS, HEAD, WIDTH = 3, 10, 30  # no powers of two, so that masks of the programs matter


GENERATOR = torch.Generator().manual_seed(0)


def random(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=GENERATOR).to(dtype)


def table(*values):
    return torch.tensor(values, dtype=torch.int32)


def cases(dtype):
    """(name, program, reference, arguments)."""
    ways = table(1, 0, 1, 1, 0)
    weights = random(2, WIDTH, dtype=dtype)
    x = random(5, WIDTH, dtype=dtype)
    yield "rms", programs.rms_rows, norms._rms_reference, (x, weights, 1e-5, 1e-2, ways, None)
    some = table(4, 2, 0)
    yield "rms of some rows", programs.rms_rows, norms._rms_reference, (x, weights, 0.1, 1e-6, ways[:3], some)
    arguments = (random(2, 3, WIDTH, dtype=dtype), random(WIDTH), weights[0], weights[1], 1e-5)
    yield "layer norm", programs.shifted_layer_norm, norms._shifted_reference, arguments
    yield "gated", programs.gated, gated._reference, (random(3, 2 * 1100, dtype=dtype),)
    query, text, image = (random(n, w, dtype=dtype) for n, w in ((4, WIDTH), (3, 2 * WIDTH), (2, 2 * WIDTH)))
    cos, sin = (random(20, HEAD // 2).repeat(1, 2) for _ in range(2))
    query_tables = table(2, 3, 0), table(7, 8, 19)
    key_tables = table(5, 6, 0, 4, 1, 2, 5, 3), table(0, 1, 2, 19, 4, 5, 0, 7)
    for name, prefix in (
        ("", random(2, 2 * WIDTH, dtype=dtype)),
        (" without prefix", random(0, 2 * WIDTH, dtype=dtype)),
    ):
        keys = key_tables if len(prefix) else tuple(part[2:6] for part in key_tables)
        arguments = (query, image, text, prefix, *query_tables, *keys, cos, sin, HEADS)
        yield f"sequence{name}", programs.in_sequence, sequence._reference, arguments
    empty = random(0, 2 * WIDTH, dtype=dtype)
    arguments = (query, empty, text, empty, *query_tables, table(0, 2, 1), table(3, 4, 5), cos, sin, HEADS)
    yield "sequence of text", programs.in_sequence, sequence._reference, arguments


def differences(device="cpu", short=torch.float16):
    """The largest difference of each program from its reference on the CPU, relative to the largest value.

    In fp32 and in `short`. Not bf16 in the interpreter, which cuts fp32 off to bf16 instead of rounding it.
    """
    found = {}
    for dtype in (torch.float32, short):
        for name, program, reference, arguments in cases(dtype):
            given = [value.to(device) if isinstance(value, torch.Tensor) else value for value in arguments]
            got, want = program(*given), reference(*arguments)
            pairs = zip(got, want, strict=True) if isinstance(want, tuple) else [(got, want)]
            worst = 0.0
            for one, other in pairs:
                assert one.shape == other.shape and one.dtype == other.dtype == dtype
                wide = other.double()
                worst = max(worst, ((one.cpu().double() - wide).abs().max() / wide.abs().max()).item())
            found[f"{name} {dtype}".replace("torch.", "")] = worst
    return found


if __name__ == "__main__":
    print(json.dumps(differences()))
