"""The Triton programs equal their references: in Triton's interpreter here, on a GPU in test/python/gpu."""

import json
import logging
import math
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from qalign.mplug_owl2.engine.kernels import gated, register


@pytest.mark.skipif(find_spec("triton") is None, reason="NOT RUN: needs the package triton (Linux on x86-64)")
def test_programs_equal_their_references_in_the_interpreter():
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("kernel_cases.py"))],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "TRITON_INTERPRET": "1"},
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    found, scales = json.loads(ran.stdout)
    assert len(found) == 50
    for name, difference in found.items():
        assert difference < (1e-6 if "float32" in name else 2**-10), name  # one step of fp16 at the largest value
    assert [math.isfinite(scale) for scale in scales] == [False, False, False, True]


@pytest.mark.skipif(find_spec("triton") is None, reason="NOT RUN: needs the package triton (Linux on x86-64)")
def test_programs_compile_without_a_gpu():
    ran = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("kernel_compile.py")), "80", "90"],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    compiled = json.loads(ran.stdout)
    assert set(compiled.values()) == {True}
    assert len(compiled) == 11 + 16, "fp8 needs 89"


def test_operators_equal_their_references_and_count_as_one():
    x = torch.randn(3, 8)
    assert torch.equal(torch.ops.qalign.gated(x), gated.gated(x))
    assert torch.ops.qalign.gated(x.to("meta")).shape == (3, 4)


def test_a_machine_without_working_triton_falls_back_with_one_line(monkeypatch, caplog):
    def broken():
        raise RuntimeError("Failed to find C compiler")

    monkeypatch.setattr(register, "programs", broken)
    register.triton_works.cache_clear()
    with caplog.at_level(logging.WARNING):
        assert not register.triton_works(torch.device("cpu"))
        assert not register.triton_works(torch.device("cpu"))
    register.triton_works.cache_clear()
    assert [record.getMessage().count("C compiler") for record in caplog.records] == [1]
