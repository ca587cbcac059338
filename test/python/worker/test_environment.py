"""Settings that importing the package makes before torch is loaded."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("given", "spins"),
    [({}, "20000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "None")],
)
def test_threads_spin_briefly_unless_the_user_sets_it(given: dict[str, str], spins: str) -> None:
    env = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")} | given
    script = "import qalign, os, sys; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [spins, "False"]


def test_the_first_call_of_a_vector_function_has_one_number() -> None:
    script = """
import torch, sys
called = {}
for name in "cos sin exp log sqrt".split():
    def call(x, own=getattr(torch, name), name=name):
        called.setdefault(name, x.numel())
        return own(x)
    setattr(torch, name, call)
import qalign.mplug_owl2.language
print(called)
"""
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str(dict.fromkeys(["cos", "sin", "exp", "log", "sqrt"], 1))
