"""The Triton programs of the 8-bit optimizer: in Triton's interpreter here, on a GPU in test/python/gpu."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    find_spec("triton") is None, reason="NOT RUN: needs the package triton (Linux on x86-64)"
)


def test_programs_equal_the_reference_and_round_without_bias() -> None:
    script = Path(__file__).with_name("update_cases.py")
    env = {**os.environ, "TRITON_INTERPRET": "1"}
    ran = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=240, env=env)
    assert ran.returncode == 0, ran.stderr[-3000:]
    cases, rounding = json.loads(ran.stdout)
    assert len(cases) == 8
    for name, found in cases.items():
        # the random numbers of the program differ: weights in bf16 can be one step of 2^-7 of the largest value apart
        assert found["weights"] <= (2**-7 if "bfloat16" in name else 1e-7), name
        assert found["m"] < 1e-6 and found["v"] < 1e-6 and found["other codes"] == 0 and found["moved"], name
    assert rounding["two values"] and rounding["same seed"]
    assert abs(rounding["share"] - 0.3) < 0.01
    assert 0.7 < rounding["spread of rows"] < 1.3 and 0.7 < rounding["spread of columns"] < 1.3
    independent = 0.3**2 + 0.7**2
    assert abs(rounding["agreement of neighbours"] - independent) < 0.01
    assert abs(rounding["agreement of other seeds"] - independent) < 0.02
