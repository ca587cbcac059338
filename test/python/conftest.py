"""Lets every test import the reference cases: `golden` (scoring) and `training_golden`."""

import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "mplug_owl2"), str(HERE / "training")]
torch.set_num_threads(1)
