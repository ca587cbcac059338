"""Compiles each Triton program of training for compute capabilities, without a GPU: `training_compile.py 80 90`."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "mplug_owl2" / "engine"))
from kernel_compile import compiles

from qalign.training.kernels import programs
from qalign.training.kernels.norms import ROWS
from qalign.training.optimizer import update_programs

SCALARS = ("keep", "pace", "gain_m", "second", "gain_v", "correction", "eps")
UPDATE = {name: "fp32" for name in SCALARS} | {
    name: "i32" for name in ("width", "row_blocks", "total", "seed_low", "seed_high")
}
STATE = {"m_code": "*i8", "v_code": "*u8"} | {name: "*fp32" for name in ("m_scale", "v_scale", "m_held", "v_held")}
BLOCKS = {name: "i32" for name in ("texts", "count", "text_programs", "total", "width")} | {
    "sums": "*fp32",
    "rows": "*i64",
    "places": "*i64",
}
HEADS = {"PLACED": True, "BACK": True, "HEADS": 32, "HALF": 64, "HEAD_BLOCK": 32, "HALF_BLOCK": 64}
UPDATES = (
    (update_programs._coded, {"COUNT": update_programs.BLOCKS, "BLOCK": 256}),
    (update_programs._wide, {"BLOCK": update_programs.LANES}),
)
BLOCK_PROGRAMS = (
    (programs._rms, {"BLOCK": 4096}),
    (programs._rms_gradient, {"ADDED": True, "ROWS": ROWS, "BLOCK": 4096}),
    (programs._turned, HEADS),
    *((program, {"BLOCK": programs.ENTRIES}) for program in (programs._gated, programs._gated_gradient)),
    *((program, {"BLOCK": programs.ENTRIES}) for program in (programs._quick_gelu, programs._quick_gelu_gradient)),
)


def compiled(capability: int) -> dict[str, bool]:
    """Name of each program and its types → whether it compiles."""
    wanted = [
        (program, constants, UPDATE | STATE | {"values": values, "grad": values})
        for program, constants in UPDATES
        for values in ("*bf16", "*fp32")
    ]
    wanted += [(program, constants, BLOCKS) for program, constants in BLOCK_PROGRAMS]
    return {
        f"{program.__name__} {types.get('values', '')} {capability}": compiles(program, capability, constants, **types)
        for program, constants, types in wanted
    }


if __name__ == "__main__":
    print(json.dumps({name: works for word in sys.argv[1:] for name, works in compiled(int(word)).items()}))
