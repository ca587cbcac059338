"""Which matrices of an image-text model a quantised precision stores as codes. Files and memory name them alike."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from qalign.weights.codes import encoded_bytes, matrix_fits
from qalign.weights.errors import ConfigError
from qalign.weights.quantised import keeps_layer, quantise_linear

# A weight in a block of a vision encoder or of a language model.
BLOCK = re.compile(r"(?P<stack>.+\.(?:layers|blocks|layer))\.(?P<index>\d+)\.(?P<layer>.+)\.weight")
GATES = ("in_proj_a", "in_proj_b")  # of linear attention: a rounded decay adds up over all positions


def quantisable(shapes: Mapping[str, Sequence[int]], kind: str) -> list[str]:
    """The names of the weights that a precision quantises: the matrices of the blocks of both parts.

    Embedding, head, norms, gates and what stands between the parts keep bf16.
    """
    blocks = {name: found for name in shapes if (found := BLOCK.fullmatch(name))}
    layers: dict[str, int] = {}
    for found in blocks.values():
        layers[found["stack"]] = max(layers.get(found["stack"], 0), int(found["index"]) + 1)
    return [
        name
        for name, found in blocks.items()
        if len(shapes[name]) == 2
        and not found["layer"].endswith(GATES)
        and not keeps_layer(kind, int(found["index"]), layers[found["stack"]])
        and matrix_fits(kind, *shapes[name])
    ]


def quantise_network(network: Any, kind: str, device: torch.device) -> None:
    """Replace layers of a network on the CPU in place, one by one, with codes on `device`.

    Raises ConfigError if the sizes of all layers are wrong for the code.
    """
    shapes = {name: value.shape for name, value in network.named_parameters()}
    paths = [name.removesuffix(".weight") for name in quantisable(shapes, kind)]
    paths = [path for path in paths if isinstance(network.get_submodule(path), nn.Linear)]
    if not paths:
        raise ConfigError(f"precision {kind} fits no layer of this model; use auto, bf16 or fp32.")
    for path in paths:
        quantise_linear(network, path, kind, device)


def weight_bytes(shapes: Mapping[str, Sequence[int]], kind: str) -> int:
    """Bytes of weights of these shapes in a quantised precision."""
    coded = quantisable(shapes, kind)
    sizes = {name: torch.Size(shape).numel() for name, shape in shapes.items()}
    plain = sum(sizes.values()) - sum(sizes[name] for name in coded)
    return 2 * plain + sum(encoded_bytes(kind, *shapes[name]) for name in coded)
