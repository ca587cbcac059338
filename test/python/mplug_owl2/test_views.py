"""A model that sees a picture through two views: its config, encoder, checkpoint, and every use of the scorer."""

import json

import pytest
import torch
from golden import GOLDEN
from test_efficientnet import nano_config

from qalign.mplug_owl2.checkpoint import meta_model
from qalign.mplug_owl2.config import VIEWS, load_config, parse_config
from qalign.mplug_owl2.engine.load import load_scorer
from qalign.mplug_owl2.engine.scorer import Scorer
from qalign.mplug_owl2.engine.warm_up import WarmUp, warm_up
from qalign.mplug_owl2.inspection import inspect_model
from qalign.mplug_owl2.model import IMAGE_TOKEN
from qalign.mplug_owl2.normalise import normalise
from qalign.mplug_owl2.vision_efficientnet import EfficientNetLite0Encoder
from qalign.training.files.model_files import export_network, initialise_network
from qalign.weights.answers import ClipRange, FramePrompt, ScoreItem
from qalign.weights.errors import ConfigError, InvalidInput

NANO = GOLDEN.parents[2] / "configs" / "models" / "nano-1"
SIZE, CELLS = 64, 4
LEVELS = ("excellent", "good", "fair", "poor", "bad")
PROMPT = "USER: How would you rate the quality of this image?\n<|image|>\nASSISTANT: The quality of the image is"


def two_views(**vision: object) -> dict:
    return nano_config(SIZE, views=["whole", "native"], **vision)


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    """Random weights whose scale and embedding differ between the views."""
    folder = tmp_path_factory.mktemp("views")
    source = folder / "source"
    source.mkdir()
    (source / "config.json").write_text(json.dumps(two_views()))
    (source / "tokenizer.model").write_bytes((NANO / "tokenizer.model").read_bytes())
    net = initialise_network(source, 3, None)
    encoder, random = net.model.vision_model, torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.normal_(0, (2 / max(1, parameter[0].numel())) ** 0.5, generator=random)
        encoder.standardise(encoder.measure(normalised(frames(8))))
    export_network(net.state_dict(), source, folder / "model")
    return load_scorer(str(folder / "model"))


def frames(count: int, seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 2 * SIZE, SIZE, 3), dtype=torch.uint8, generator=random)


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    return pixels.permute(0, 3, 1, 2).float() / 64 - 2


def logits(scorer: Scorer, *items: ScoreItem) -> torch.Tensor:
    answers = scorer.score(items, LEVELS)
    assert [answer.error for answer in answers] == [None] * len(items)
    return torch.tensor([prompt.logits for answer in answers for prompt in answer.prompts])


def test_the_views_are_an_ordered_list_of_known_names() -> None:
    assert parse_config(nano_config()).vision.views == ("whole",)
    assert parse_config(two_views()).vision.views == VIEWS
    assert parse_config(nano_config(SIZE)).frame_shape == (SIZE, SIZE, 3)
    assert parse_config(two_views()).frame_shape == (2 * SIZE, SIZE, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["native"],
        ["native", "whole"],
        ["whole", "whole"],
        ["whole", "thumbnail"],
        "whole",
        [["whole"]],
        2,
    ],
)
def test_other_lists_are_refused(wrong: object) -> None:
    with pytest.raises(ConfigError, match=r"visual_model: views must list whole and native"):
        parse_config(nano_config(SIZE, views=wrong))


def test_a_vit_refuses_a_second_view() -> None:
    values = json.loads((GOLDEN / "tiny_a" / "model" / "config.json").read_text())
    vision = values["visual_config"]["visual_model"]
    vision["views"] = ["whole"]
    meta_model(parse_config(values))
    vision["views"] = ["whole", "native"]
    with pytest.raises(ConfigError, match="vit sees only the whole picture; remove views"):
        meta_model(parse_config(values))


def test_one_view_has_the_keys_and_shapes_of_earlier_checkpoints() -> None:
    one, two = (meta_model(parse_config(values)).state_dict() for values in (nano_config(SIZE), two_views()))
    differing = {key for key in two if key not in one or one[key].shape != two[key].shape}
    positions = {f"model.visual_abstractor.encoder.layers.{n}.crossattention.attention.k_pos_embed" for n in (0, 1)}
    scales = {f"model.vision_model.token_{name}" for name in ("mean", "scale")}
    assert differing == {*positions, *scales, "model.vision_model.view_embedding"}
    assert all(one[key].ndim == 1 for key in scales)


def test_each_view_passes_the_encoder_alone(scorer: Scorer) -> None:
    encoder: EfficientNetLite0Encoder = scorer.model.model.vision_model
    pixels = normalised(frames(3))
    single = EfficientNetLite0Encoder(parse_config(nano_config(SIZE)).vision)
    shared = {key: value for key, value in encoder.state_dict().items() if key.startswith(("stem.", "stages.", "proj"))}
    single.load_state_dict(shared, strict=False)
    with torch.no_grad():
        tokens = encoder(pixels)
        assert tokens.shape == (3, 2 * CELLS, 192)
        for view in range(2):
            single.token_mean.copy_(encoder.token_mean[view])
            single.token_scale.copy_(encoder.token_scale[view])
            alone = single(pixels[:, :, view * SIZE : (view + 1) * SIZE]) + encoder.view_embedding[view]
            assert (tokens[:, view * CELLS : (view + 1) * CELLS] - alone).abs().max() < 1e-5


def test_begin_resume_and_project_compute_the_forward_pass(scorer: Scorer) -> None:
    encoder: EfficientNetLite0Encoder = scorer.model.model.vision_model
    pixels = normalised(frames(3))
    with torch.no_grad():
        whole = encoder(pixels)
        for stop in (1, 3, 7):
            begun = encoder.begin(pixels, stop)
            assert begun.ndim == 2 and len(begun) == 3
            assert (encoder.project(encoder.resume(begun, stop)) - whole).abs().max() < 1e-4
    encoder.requires_grad_(True)
    recomputed = encoder.project(encoder.resume(encoder.begin(pixels, 3).detach(), 3))
    encoder.requires_grad_(False)
    assert recomputed.requires_grad and (recomputed - whole).abs().max() < 1e-4


def test_each_view_is_standardised_by_itself(scorer: Scorer) -> None:
    encoder: EfficientNetLite0Encoder = scorer.model.model.vision_model
    with torch.no_grad():
        cells = encoder.measure(normalised(frames(8)))
    scaled = (cells - encoder.of_cells(encoder.token_mean)) * encoder.of_cells(encoder.token_scale)
    for view in scaled.split(CELLS, dim=1):
        assert view.flatten(0, 1).mean(0).abs().max() < 1e-2
        assert (view.flatten(0, 1).std(0) - 1).abs().median() < 1e-2
    assert not torch.equal(encoder.token_mean[0], encoder.token_mean[1])


def test_the_positions_of_the_grid_repeat_for_each_view(scorer: Scorer) -> None:
    table = scorer.model.model.visual_abstractor.encoder.layers[0].crossattention.attention.k_pos_embed
    assert table.shape == (2 * CELLS, 192) and torch.equal(table[:CELLS], table[CELLS:])
    assert scorer.engine.tokens_per_picture == 2 * CELLS


def test_the_engine_equals_the_literal_model_and_sees_both_views(
    scorer: Scorer,
) -> None:
    pictures = frames(5)
    items = [ScoreItem([picture[None]], [PROMPT]) for picture in pictures]
    together = logits(scorer, *items)
    ids = list(scorer.tokenizer.encode(PROMPT))
    assert IMAGE_TOKEN in ids
    with torch.no_grad():
        pixels = normalise(pictures, scorer.engine.table, torch.float32)
        literal = scorer.model([ids] * 5, [[1]] * 5, pixels)[:, -1]
    words = [scorer.tokenizer.word_id(word) for word in LEVELS]
    assert (together - literal[:, words]).abs().max() < 1e-4
    assert torch.equal(
        torch.cat([logits(scorer, item) for item in items]).argmax(1),
        together.argmax(1),
    )
    for view in range(2):
        other = pictures[:1].clone()
        other[:, view * SIZE : (view + 1) * SIZE] = 255 - other[:, view * SIZE : (view + 1) * SIZE] // 4
        assert (logits(scorer, ScoreItem([other], [PROMPT])) - together[:1]).abs().max() > 1e-5


def test_frames_without_both_views_are_refused(scorer: Scorer) -> None:
    for shape in ((1, SIZE, SIZE, 3), (1, SIZE, 2 * SIZE, 3), (1, 3 * SIZE, SIZE, 3)):
        (answer,) = scorer.score([ScoreItem([torch.zeros(shape, dtype=torch.uint8)], [PROMPT])], LEVELS)
        assert isinstance(answer.error, InvalidInput)
        assert str(answer.error).endswith(f"the model takes uint8 [frames, {2 * SIZE}, {SIZE}, 3].")


def test_a_kept_clip_has_the_scores_of_its_frames(scorer: Scorer) -> None:
    clip = frames(5)
    prompts = [PROMPT, FramePrompt(PROMPT, (1, 3))]
    sent = logits(scorer, ScoreItem([clip], prompts))
    assert scorer.encode("clip", 0, clip[:2]) == 2
    assert scorer.encode("clip", 2, clip[2:]) == 5
    kept = logits(scorer, ScoreItem([ClipRange("clip", 0, 5)], prompts))
    scorer.clips.release("clip")
    assert (kept - sent).abs().max() < 1e-5
    assert scorer.engine.config.tokens_per_frame == 9


def test_text_is_generated_and_the_model_is_warmed_up(scorer: Scorer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer.engine, "frames_at_once", 4)
    (texts,) = scorer.generate([ScoreItem([frames(2)], [PROMPT])], 2)
    assert texts.error is None and len(texts.prompts) == 1
    passes = []
    warm_up(
        scorer,
        WarmUp([[PROMPT]], LEVELS),
        lambda done, total: passes.append((done, total)),
    )
    assert passes == [(0, 2), (1, 2), (2, 2)]


def test_the_views_are_reported(scorer: Scorer, tmp_path) -> None:
    assert scorer.info.views == VIEWS and scorer.info.image_size == SIZE
    assert inspect_model(scorer.info.id)["views"] == list(VIEWS)
    assert inspect_model(GOLDEN / "tiny_a" / "model")["views"] == ["whole"]
    assert load_config(GOLDEN / "tiny_a" / "model").abstractor.views == 1


def test_cells_of_views_have_the_same_bits_with_any_number_of_threads_and_in_any_batch(scorer: Scorer) -> None:
    encoder: EfficientNetLite0Encoder = scorer.model.model.vision_model
    pixels = normalised(frames(5))
    before, found = torch.get_num_threads(), []
    try:
        with torch.inference_mode():
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                found.append(encoder.measure(pixels))
            found.append(torch.cat([encoder.measure(frame) for frame in pixels.split(1)]))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(cells, found[0]) for cells in found)
