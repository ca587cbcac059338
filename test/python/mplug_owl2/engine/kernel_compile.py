"""Compiles each Triton program for compute capabilities, without a GPU: `kernel_compile.py 80 90`. Prints JSON."""

import json
import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from qalign.mplug_owl2.engine.kernels import coded_programs, programs
from qalign.weights.codes import MOST

POINTERS = {"ways": "*i32", "sums": "*i32", "codes": "*u8", "table": "*fp32"} | {
    name: "*fp32" for name in ("shift", "scales", "row_scales", "column_scales", "cos", "sin")
}
ROWS = ("rows", "query_rows", "query_places", "key_rows", "key_places")
NUMBERS = {"text_eps": "fp32", "image_eps": "fp32", "eps": "fp32"} | {
    name: "i32" for name in ("width", "count", "columns", "half", "images", "blocks", "keys")
}
TYPES = POINTERS | NUMBERS | dict.fromkeys(ROWS, "*i32")
ALIGNED = ("width", "columns", "half")
CODES = {"int8": "*i8", "fp8": "*fp8e4nv"}


def compiles(program, capability, constants, warps=8, **types):
    """Whether a program compiles for bf16 activations at the widths of the published model."""
    names = program.arg_names
    signature = {
        name: "constexpr" if name in constants else types.get(name, TYPES.get(name, "*bf16")) for name in names
    }
    aligned = [name for name in names if signature[name].startswith("*") or name in ALIGNED]
    source = ASTSource(
        program,
        signature,
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs={(names.index(name),): [["tt.divisibility", 16]] for name in aligned},
    )
    found = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": warps})
    return len(found.asm["cubin"]) > 0


def compiled(capability):
    """Name of each program and its constants → whether it compiles."""
    heads = {"HEADS": 32, "HALF": 64, "HEAD_BLOCK": 32, "HALF_BLOCK": 64}
    wanted = [
        (programs._rms_rows, {"ORDERED": True, "BLOCK": 4096}, {}),
        (programs._shifted_layer_norm, {"BLOCK": 1024}, {}),
        (programs._gated, {"BLOCK": 1024}, {}),
        (programs._in_sequence, heads, {}),
        (coded_programs._scaled_sums, {"BIAS": True, "ADD": True, "BLOCK": 1024}, {}),
        (coded_programs._decoded_nf4, {"BLOCK": 2048}, {}),
    ]
    for kind in ("int8", "fp8") if capability >= 89 else ("int8",):
        codes, added = {"codes": CODES[kind]}, {"ADDED": kind == "fp8"}
        for gate, block in ((0, 4096), (1, 4096), (2, 16384)):
            constants = {"GATE": gate, "MOST": MOST[kind], "BLOCK": block}
            wanted.append((coded_programs._activation_codes, constants, codes))
        wanted.append((coded_programs._rms_codes, {**added, "ORDERED": True, "MOST": MOST[kind], "BLOCK": 4096}, codes))
        wanted.append((coded_programs._layer_norm_codes, {**added, "MOST": MOST[kind], "BLOCK": 1024}, codes))
    return {
        f"{program.__name__} {constants} {capability}": compiles(program, capability, constants, **types)
        for program, constants, types in wanted
    }


if __name__ == "__main__":
    print(json.dumps({name: works for word in sys.argv[1:] for name, works in compiled(int(word)).items()}))
