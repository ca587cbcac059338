import json

import pytest
import torch
from golden import GOLDEN, TINY

from qalign.mplug_owl2.engine.load import load_scorer
from qalign.mplug_owl2.normalise import CLIP, normalisation_table, normalise
from qalign.mplug_owl2.vision_efficientnet import to_lite0_scale

NANO = GOLDEN.parents[2] / "configs" / "models" / "nano"


def bits_of(table):
    return [[value & 0xFFFFFFFF for value in row] for row in table.view(torch.int32).tolist()]


def test_all_768_values_are_bit_equal():
    bits = json.loads((GOLDEN / "normalisation.json").read_text())["bits"]
    assert bits_of(normalisation_table(CLIP)) == bits


@pytest.mark.parametrize("directory", [*(GOLDEN / name / "model" for name in TINY), NANO], ids=[*TINY, "nano"])
def test_the_shipped_files_give_the_same_bits(directory):
    bits = json.loads((GOLDEN / "normalisation.json").read_text())["bits"]
    assert bits_of(load_scorer(str(directory)).engine.table) == bits


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_inverse_of_clip_s_values_is_bit_equal(dtype):
    frames = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3)
    pixels = normalise(frames, normalisation_table(CLIP), dtype)
    mean = torch.tensor((0.48145466, 0.4578275, 0.40821073), dtype=dtype).view(1, 3, 1, 1)
    std = torch.tensor((0.26862954, 0.26130258, 0.27577711), dtype=dtype).view(1, 3, 1, 1)
    assert torch.equal(to_lite0_scale(pixels, CLIP), pixels * (std * (255 / 128)) + (mean * 255 - 127) / 128)


def test_channels_and_axes():
    frames = torch.randint(0, 256, (2, 4, 4, 3), dtype=torch.uint8)
    table = normalisation_table(CLIP)
    out = normalise(frames, table, torch.float32)
    for f, y, x, c in [(0, 0, 0, 0), (1, 3, 2, 1), (1, 0, 3, 2)]:
        assert out[f, c, y, x] == table[c, int(frames[f, y, x, c])]
