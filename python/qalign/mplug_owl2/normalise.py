"""uint8 pixels → the encoder's floats, bit-equal to the reference: a 3×256 table built in its order and dtypes."""

import torch
from torch import Tensor

MEAN = (0.48145466, 0.4578275, 0.40821073)  # CLIP's, as in every published preprocessor_config.json
STD = (0.26862954, 0.26130258, 0.27577711)


def normalisation_table(device: torch.device | str = "cpu") -> Tensor:
    """fp32 [3, 256]: fround(fround(fround(v · (1/255)) − fround(mean)) / fround(std)), the scale in doubles."""
    scaled = (torch.arange(256, dtype=torch.float64) * (1 / 255)).float()
    mean, std = (torch.tensor(values, dtype=torch.float32)[:, None] for values in (MEAN, STD))
    return ((scaled - mean) / std).to(device)


def normalise(frames: Tensor, table: Tensor, dtype: torch.dtype) -> Tensor:
    """uint8 [F, S, S, 3] → [F, 3, S, S] in `dtype`; frames and table on the same device."""
    index = frames.permute(0, 3, 1, 2).int()  # int32: half the traffic of torch's default index
    index = index + torch.arange(0, 768, 256, dtype=torch.int32, device=frames.device)[:, None, None]
    return table.to(dtype).flatten().index_select(0, index.flatten()).view(index.shape)
