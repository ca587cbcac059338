"""Each Triton program against its reference: a script for the interpreter, and a function for the tests on a GPU."""

import json
from unittest.mock import patch

import torch

from qalign.mplug_owl2.engine.kernels import coded, coded_programs, gated, norms, programs, sequence
from qalign.weights.codes import LEAST_ROWS, decode_nf4, encode_int8, encode_nf4, int8_sums, quantise_rows

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


def coded_cases(dtype, kinds):
    """Those of quantised precisions."""
    ways, some = table(1, 0, 1, 1, 0), table(4, 2, 0)
    weights, x = random(2, WIDTH, dtype=dtype), random(5, WIDTH, dtype=dtype)
    x[2], x[3] = 0, 7
    delta, order = random(5, WIDTH, dtype=dtype), table(4, 2, 0, 1, 3)
    rms, layer_norm = coded._added(norms._rms_reference), coded._added(norms._shifted_reference)
    layer = (random(WIDTH), weights[0], weights[1], 1e-5)
    for kind in kinds:
        for label, name, reference, arguments in (
            ("rows", "quantised_rows", quantise_rows, (x,)),
            ("silu", "silu_codes", coded._coded(torch.nn.functional.silu), (x,)),
            ("gated", "gated_codes", coded._coded(gated._reference), (random(3, 2 * 1100, dtype=dtype),)),
            ("rms", "rms_codes", rms, (x, None, weights, 1e-5, 1e-2, ways, None)),
            ("some rms", "rms_codes", rms, (x, None, weights, 0.1, 1e-6, ways[:3], some)),
            ("rms and sum", "rms_codes", rms, (x, delta, weights, 1e-5, 1e-2, ways, order)),
            ("layer norm", "layer_norm_codes", layer_norm, (x[None], None, *layer)),
            ("layer norm and sum", "layer_norm_codes", layer_norm, (x[None], delta, *layer)),
        ):
            yield f"{kind} codes of {label}", getattr(coded_programs, name), reference, (*arguments, kind)
    codes, scales = encode_int8(random(1040, 32))
    left, left_scales = quantise_rows(random(5, 32), "int8")
    total, arguments = random(5, 1040, dtype=dtype), (int8_sums(codes, left, 5), left_scales, scales)
    yield "sums", coded_programs.scaled_sums, coded._scaled_reference, (*arguments, None, dtype)
    yield "sums with bias", coded_programs.scaled_sums, coded._scaled_reference, (*arguments, total[0], dtype)
    yield "sums added", coded_programs.add_scaled_sums, coded._add_reference, (total, *arguments)
    for width in (128, 2080, 30):
        yield f"nf4 of {width}", coded_programs.decoded_nf4, decode_nf4, (*encode_nf4(random(3, width)), dtype)


def on(device, arguments):
    return [value.to(device, copy=True) if isinstance(value, torch.Tensor) else value for value in arguments]


def run(program, device, arguments):
    """What the program returns for copies of the arguments. Codes are multiplied by their scales."""
    arguments = on(device, arguments)
    if device != "cpu":
        found = program(*arguments)
    else:
        # The interpreter drops a carry when it rounds to e4m3: torch casts, and only a GPU tests the program's cast.
        with patch.dict(coded.CODE_DTYPES, fp8=torch.float32):
            found = program(*arguments)
    if arguments[-1] not in coded.CODE_DTYPES:
        return found
    codes, scales = found
    assert torch.isfinite(codes.float()).all()
    return codes.to(coded.CODE_DTYPES[arguments[-1]]).float() * scales, arguments[0]  # to which a program can add


def differences(device="cpu", short=torch.float16, kinds=("int8", "fp8")):
    """The largest difference of each program from its reference on the CPU, relative to the largest value.

    In fp32 and in `short`. Not bf16 in the interpreter, which cuts fp32 off to bf16 instead of rounding it. The
    interpreter is slow, so fp32 has codes of the first kind only.
    """
    found = {}
    for dtype in (torch.float32, short):
        chosen = kinds if dtype == short else kinds[:1]
        for name, program, reference, arguments in (*cases(dtype), *coded_cases(dtype, chosen)):
            got, given = run(program, device, arguments), on("cpu", arguments)
            want = reference(*given)
            if arguments[-1] in coded.CODE_DTYPES:
                assert want[0].dtype == coded.CODE_DTYPES[arguments[-1]]
                want = want[0].float() * want[1], given[0]
            pairs = zip(got, want, strict=True) if isinstance(want, tuple) else [(got, want)]
            worst = 0.0
            for one, other in pairs:
                assert one.shape == other.shape and one.dtype == other.dtype
                wide = other.double()
                worst = max(worst, ((one.cpu().double() - wide).abs().max() / wide.abs().max()).item())
            found[f"{name} {dtype}".replace("torch.", "")] = worst
    return found


def damaged_scales(device="cpu"):
    """Scales of rows with a NaN, an infinity, both, and neither."""
    x = random(4, WIDTH)
    x[0, 3], x[1, 4], x[2, 5], x[2, 6] = float("nan"), float("inf"), float("nan"), float("-inf")
    return coded_programs.quantised_rows(x.to(device), "int8")[1][:4, 0].tolist()


if __name__ == "__main__":
    with patch.dict(LEAST_ROWS, fp8=1, int8=1):  # the interpreter needs 10 ms for each row of padding
        print(json.dumps([differences(), damaged_scales()]))
