import json

import torch
from golden import GOLDEN

from qalign.mplug_owl2.normalise import normalisation_table, normalise


def test_all_768_values_are_bit_equal():
    bits = json.loads((GOLDEN / "normalisation.json").read_text())["bits"]
    assert [[value & 0xFFFFFFFF for value in row] for row in normalisation_table().view(torch.int32).tolist()] == bits


def test_channels_and_axes():
    frames = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8)
    table = normalisation_table()
    out = normalise(frames, table, torch.float32)
    for f, y, x, c in [(0, 0, 0, 0), (1, 3, 2, 1), (1, 0, 3, 2)]:
        assert out[f, c, y, x] == table[c, int(frames[f, y, x, c])]
