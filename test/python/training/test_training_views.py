"""Training of a model with two views: whole runs with and without cached features, dropout, data of other views."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_run import LEVELS, curve, events, make_run, prepare_data, train
from training_golden import ROOT

from qalign.mplug_owl2.config import VIEWS, ModelConfig, parse_config
from qalign.mplug_owl2.engine.load import load_scorer
from qalign.mplug_owl2.model import MPLUGOwl2
from qalign.training.data.prepared_split import PreparedSplit, augment
from qalign.training.errors import TrainingError
from qalign.training.model.build import freeze
from qalign.training.model.flops import abstractor_flops
from qalign.training.model.supervised import SupervisedModel
from qalign.training.optimizer.optimizer import parameter_groups
from qalign.training.setup import require_views
from qalign.weights.answers import ScoreItem

NANO = ROOT / "configs" / "models" / "nano"
SIZE = 64


def config_values(views: tuple[str, ...] = VIEWS) -> dict:
    values = json.loads((NANO / "config.json").read_text())
    values["visual_config"]["visual_model"] |= {
        "image_size": SIZE,
        "views": list(views),
    }
    values["visual_config"]["visual_abstractor"]["grid_size"] = SIZE // 32
    return values


def make_model(folder: Path) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config_values()))
    (folder / "tokenizer.model").write_bytes((NANO / "tokenizer.model").read_bytes())
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_data(tmp_path_factory.mktemp("views") / "data", count=16, size=SIZE, views=VIEWS)


@pytest.fixture(scope="module")
def net() -> MPLUGOwl2:
    torch.manual_seed(0)
    made = MPLUGOwl2(parse_config(config_values()))
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, 0, 0.1)
    return made


def test_a_run_on_cached_features_equals_one_with_the_encoder(data: Path, tmp_path: Path) -> None:
    model = str(make_model(tmp_path / "source"))
    losses = {}
    for cached in (False, True):
        run = make_run(
            tmp_path / f"run-{cached}", data, model_path=model, init="random", freeze=["vision"], epochs=1,
            cache_features=cached, augment={"flip": False}, dropout=0.0, train_stages_from=6,
        )  # fmt: skip
        done = train(run)
        assert done.returncode == 0, done.stderr[-2000:]
        losses[cached] = curve(run)
    assert losses[True] == pytest.approx(losses[False], abs=0.05)
    assert events(tmp_path / "run-True", "measured")
    trained = load_file(tmp_path / "run-True" / "model" / "model.safetensors")
    assert (
        trained["model.vision_model.token_mean"].shape == trained["model.vision_model.token_scale"].shape == (2, 1056)
    )
    assert trained["model.vision_model.view_embedding"].shape == (2, 192)
    scorer = load_scorer(str(tmp_path / "run-True" / "model"))
    item = ScoreItem(
        [torch.zeros(1, 2 * SIZE, SIZE, 3, dtype=torch.uint8)],
        ["USER: <|image|>\nrate ASSISTANT:"],
    )
    assert scorer.score([item], LEVELS)[0].error is None


def test_the_view_embedding_is_trained_with_the_projection(net: MPLUGOwl2) -> None:
    net.requires_grad_(True)
    freeze(net, ["vision"])
    vision = net.model.vision_model
    kept = {name for name, parameter in vision.named_parameters() if parameter.requires_grad}
    assert kept == {"projection.weight", "projection.bias", "view_embedding"}
    groups = parameter_groups(
        [("model.vision_model.view_embedding", vision.view_embedding)],
        {"default": 1.0},
        0.1,
    )
    assert [group["part"] for group in groups] == ["abstractor"]


def test_each_view_has_its_own_mask_of_dropped_channels(net: MPLUGOwl2) -> None:
    model = SupervisedModel(net, channel_dropout=0.5).train()
    vision = net.model.vision_model
    vision.token_mean.copy_(torch.randn(vision.token_mean.shape))
    means = vision.of_cells(vision.token_mean)
    cells = means + 1
    dropped = model._drop_channels(cells.expand(3, -1, -1)) == means  # [F, V·N, K]
    by_view = dropped.unflatten(1, (2, -1))
    assert torch.equal(by_view, by_view[:, :, :1].expand_as(by_view)), "all cells of a view lose the same channels"
    masks = by_view[:, :, 0].flatten(0, 1)
    assert len(masks.unique(dim=0)) == 6 and 0.4 < masks.float().mean() < 0.6


def test_dropped_tokens_are_of_any_view(net: MPLUGOwl2) -> None:
    model = SupervisedModel(net, token_dropout=0.25).train()
    places = torch.cat([model._places(8) for _ in range(40)])
    assert set(places.tolist()) == set(range(8))
    tokens = torch.randn(2, 8, 192)
    with torch.no_grad():
        all_of_them = net.model.visual_abstractor(tokens, torch.arange(8))
        assert torch.allclose(all_of_them, net.model.visual_abstractor(tokens), atol=1e-6)
        assert net.model.visual_abstractor(tokens[:, 2:], torch.arange(2, 8)).shape == (
            2,
            9,
            192,
        )


def test_mirroring_a_frame_mirrors_each_view() -> None:
    frames = np.arange(2 * 12 * 6 * 3, dtype=np.uint8).reshape(2, 12, 6, 3)
    found = {augment(frames, 6, True, np.random.default_rng(seed)).numpy().tobytes() for seed in range(20)}
    assert found == {
        frames.tobytes(),
        np.ascontiguousarray(frames[:, :, ::-1]).tobytes(),
    }


def test_data_of_other_views_or_another_size_are_refused(data: Path, tmp_path: Path) -> None:
    from qalign.mplug_owl2.tokenizer import Tokenizer

    tokenizer = Tokenizer(NANO)
    two, one = (parse_config(config_values(views)) for views in (VIEWS, ("whole",)))
    whole = PreparedSplit(prepare_data(tmp_path / "whole", 5, SIZE), "train", tokenizer)
    both = PreparedSplit(data, "train", tokenizer)
    larger = PreparedSplit(prepare_data(tmp_path / "larger", 5, SIZE + 32, VIEWS), "train", tokenizer)
    require_views(whole, one)
    require_views(both, two)
    assert both.pixels.shape[1:] == two.frame_shape and whole.pixels.shape[1:] == one.frame_shape

    def refused(split: PreparedSplit, config: ModelConfig, message: str) -> None:
        with pytest.raises(TrainingError, match=message):
            require_views(split, config)

    refused(whole, two, "have the views whole, but the model sees whole, native")
    refused(both, one, "have the views whole, native, but the model sees whole;")
    refused(larger, two, "have 96 pixels, but the model takes 64; remove prepare_size")


def test_flops_count_the_tokens_of_all_views() -> None:
    one, two = (abstractor_flops(parse_config(config_values(views))) for views in (("whole",), VIEWS))
    assert one < two < 2 * one
