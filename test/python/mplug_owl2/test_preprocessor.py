"""A checkpoint's preprocessor_config.json: its normalisation is used, and other preprocessing is refused."""

import json

import pytest
import torch
from golden import GOLDEN, LEVELS, TINY, TOLERANCE, cases, scores, worst

from qalign.mplug_owl2.config import load_config
from qalign.mplug_owl2.engine.load import load_scorer
from qalign.mplug_owl2.normalise import CLIP, Normalisation, normalisation_table, normalise
from qalign.mplug_owl2.preprocessor import parse_preprocessor, read_normalisation
from qalign.training.files.model_files import load_network
from qalign.weights.answers import ScoreItem
from qalign.weights.errors import ConfigError
from qalign.worker import bench

NANO = GOLDEN.parents[2] / "configs" / "models" / "nano-1"
IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
PUBLISHED = {
    "crop_size": 448,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": list(CLIP.mean),
    "image_std": list(CLIP.std),
    "resample": 3,
    "size": 448,
}
SAVED_BY_TRANSFORMERS_4 = {
    "_valid_processor_keys": ["images", "do_resize"],
    "crop_size": {"height": 448, "width": 448},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": list(CLIP.mean),
    "image_processor_type": "CLIPImageProcessor",
    "image_std": list(CLIP.std),
    "processor_class": "CLIPProcessor",
    "resample": 3,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 448},
}
SAVED_BY_TRANSFORMERS_5 = {
    **SAVED_BY_TRANSFORMERS_4,
    "data_format": "channels_first",
    "default_to_square": False,
    "device": None,
    "disable_grouping": None,
    "do_pad": None,
    "image_processor_type": "CLIPImageProcessorFast",
    "input_data_format": None,
    "pad_size": None,
    "return_tensors": None,
}


def write(directory, normalisation=None, **changes):
    """Edit mean and std, or any other key, in the file of a copied checkpoint."""
    file = directory / "preprocessor_config.json"
    values = json.loads(file.read_text()) if file.is_file() else {}
    if normalisation is not None:
        changes |= {"image_mean": list(normalisation.mean), "image_std": list(normalisation.std)}
    file.write_text(json.dumps(values | changes))


def normalised(frames, normalisation):
    """The definition of the normalisation in fp64: uint8 [F, S, S, 3] → [F, 3, S, S]."""
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in (normalisation.mean, normalisation.std))
    return ((frames.permute(0, 3, 1, 2).double() / 255 - mean) / std).float()


@torch.inference_mode()
def literal(model, case, normalisation, more=()):
    return model([[*case.input_ids, *more]], [case.frames], normalised(case.pixels, normalisation))[0, -1]


def test_the_published_forms_are_clip_s():
    for values in (PUBLISHED, SAVED_BY_TRANSFORMERS_4, SAVED_BY_TRANSFORMERS_5, {}):
        assert parse_preprocessor(values, 448) == CLIP
    for directory in (GOLDEN / "tiny_a" / "model", GOLDEN / "tiny_b" / "model", NANO):
        assert load_config(directory).normalisation == CLIP


def test_a_missing_file_or_key_means_clip_s_values(checkpoint):
    a = checkpoint("tiny_a")
    write(a, HALVES)
    write(a, image_mean=None)
    assert read_normalisation(a, 56) == Normalisation(CLIP.mean, HALVES.std)
    (a / "preprocessor_config.json").unlink()
    assert read_normalisation(a, 56) == CLIP


@pytest.mark.parametrize(
    "values",
    [
        {"size": {"height": 448, "width": 448}},
        {"size": [448, 448]},
        {"do_center_crop": False, "crop_size": 224},
        {"do_pad": False, "do_thumbnail": False},
        {"rescale_factor": 1 / 255},
        {"image_mean": [0, 0, 0], "image_std": [1, 1, 1]},
        {"do_convert_rgb": None, "resample": None, "size": None},
    ],
)
def test_values_that_change_no_pixel_are_accepted(values):
    parse_preprocessor(PUBLISHED | values, 448)


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize("value", [0.5, [0.5, 0.5], [0.5] * 4, ["0.5"] * 3, [True, 0.5, 0.5], [NAN, 0.5, 0.5],
                                   [0.5, INFINITY, 0.5], [10**400, 0, 0], {}, False])  # fmt: skip
@pytest.mark.parametrize("key", ["image_mean", "image_std"])
def test_statistics_that_are_not_three_numbers_are_refused(checkpoint, key, value):
    a = checkpoint("tiny_a")
    write(a, **{key: value})
    with pytest.raises(ConfigError, match=rf"tiny_a/preprocessor_config\.json .* {key} is .* must be three numbers"):
        load_scorer(str(a))


@pytest.mark.parametrize("value", [0, -0.5, 1e-60])
def test_a_standard_deviation_near_zero_is_refused(value):
    with pytest.raises(ConfigError, match="image_std"):
        parse_preprocessor({"image_std": [0.5, value, 0.5]}, 448)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("do_resize", False),
        ("do_rescale", False),
        ("do_normalize", False),
        ("do_normalize", "false"),
        ("do_normalize", 0),
        ("resample", 2),
        ("resample", "bicubic"),
        ("rescale_factor", 1 / 127.5),
        ("rescale_factor", 0.0039),
        ("rescale_factor", NAN),
        ("size", 336),
        ("size", {"shortest_edge": 336}),
        ("size", {"height": 448, "width": 336}),
        ("size", {"shortest_edge": 448, "longest_edge": 1333}),
        ("size", {}),
        ("crop_size", 224),
        ("crop_size", {"height": 224, "width": 224}),
        ("image_processor_type", "ViTImageProcessor"),
        ("feature_extractor_type", ["CLIPFeatureExtractor"]),
        ("do_pad", True),
        ("auto_map", {"AutoImageProcessor": "own.Processor"}),
        ("rescale_offset", True),
    ],
)
def test_other_pixels_are_refused_by_name(key, value):
    with pytest.raises(ConfigError, match=f"{key} is "):
        parse_preprocessor(PUBLISHED | {key: value}, 448)


def test_one_error_lists_all_wrong_values():
    with pytest.raises(ConfigError) as caught:
        parse_preprocessor(PUBLISHED | {"do_normalize": False, "resample": 2, "image_std": [0, 0, 0]}, 336, "here")
    for part in ("here", "do_normalize is False", "resample is 2", "image_std is [0, 0, 0]", "size is 448", "is 336"):
        assert part in str(caught.value)


@pytest.mark.parametrize("text", ["", "[1]", "{", '"x"'])
def test_a_file_without_a_json_object_is_named(checkpoint, text):
    a = checkpoint("tiny_a")
    (a / "preprocessor_config.json").write_text(text)
    with pytest.raises(ConfigError, match=r"preprocessor_config\.json"):
        load_config(a)


@pytest.mark.parametrize("name", TINY)
def test_the_engine_scores_with_the_checkpoint_s_own_values(checkpoint, name):
    directory = checkpoint(name)
    write(directory, IMAGENET)
    scorer = load_scorer(str(directory))
    ids = scores(name)["level_ids"]
    for case in list(cases(name).values())[:6]:
        (answer,) = scorer.score([ScoreItem(case.visuals, [case.prompt])], LEVELS)
        got = torch.tensor(answer.prompts[0].logits)
        assert worst(got, literal(scorer.model, case, IMAGENET)[ids]) < TOLERANCE, case.name
        assert worst(got, case.level_logits) > 10 * TOLERANCE, "CLIP's values must give other logits"


def test_generation_uses_the_checkpoint_s_own_values(checkpoint):
    a = checkpoint("tiny_a")
    write(a, HALVES)
    scorer, before = load_scorer(str(a)), load_scorer(str(GOLDEN / "tiny_a" / "model"))
    differs = False
    for case in list(cases("tiny_a").values())[:6]:
        expected = []
        for _ in range(4):
            token = int(literal(scorer.model, case, HALVES, expected).argmax())
            if token == scorer.tokenizer.end_id:
                break
            expected.append(token)
        item = ScoreItem(case.visuals, [case.prompt])
        (answer,), (other,) = scorer.generate([item], 4), before.generate([item], 4)
        assert answer.prompts[0].text == scorer.tokenizer.decode(expected), case.name
        differs = differs or answer.prompts != other.prompts
    assert differs, "CLIP's values must give another text somewhere"


def test_the_literal_model_of_the_bench_uses_the_checkpoint_s_own_values(checkpoint):
    a = checkpoint("tiny_a")
    write(a, HALVES)
    scorer = load_scorer(str(a))
    case = cases("tiny_a")["image_00"]
    model, prompt = scorer.model, scorer.tokenizer.encode(bench.PROMPT)
    with torch.inference_mode():
        wanted = model([prompt], [[1]], normalised(case.pixels, HALVES))[0, -1][scores("tiny_a")["level_ids"]]
    assert worst(bench._literal(scorer, case.pixels)[0], wanted) < TOLERANCE
    assert worst(bench._engine(scorer, case.pixels)[0], wanted) < TOLERANCE


def test_an_efficientnet_gets_the_same_input_with_every_normalisation(tmp_path):
    """The encoder inverts the normalisation, so the scores of the shipped model do not depend on its values."""
    for file in NANO.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "preprocessor_config.json").unlink()
    write(tmp_path, IMAGENET, size=512)
    pixels = torch.randint(0, 256, (1, 512, 512, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(5))
    item = ScoreItem([pixels], [bench.PROMPT])
    shipped, changed = (load_scorer(str(model)).score([item], LEVELS)[0].prompts[0] for model in (NANO, tmp_path))
    assert worst(torch.tensor(changed.logits), torch.tensor(shipped.logits)) < 1e-3
    with torch.inference_mode():
        seen = [
            load_network(model).model.vision_model.measure(
                normalise(pixels, normalisation_table(values), torch.float32)
            )
            for model, values in ((NANO, CLIP), (tmp_path, IMAGENET))
        ]
    assert worst(*seen) < 1e-3 * float(seen[0].abs().max())


def test_another_normalisation_is_part_of_the_weights_hash(checkpoint, caplog):
    a, plain = checkpoint("tiny_a"), load_scorer(str(GOLDEN / "tiny_a" / "model")).info.weights_sha256
    assert load_scorer(str(a)).info.weights_sha256 == plain
    assert not caplog.records
    write(a, IMAGENET)
    changed = load_scorer(str(a)).info.weights_sha256
    assert changed != plain
    assert "padded with [122, 116, 104], but the mean of this checkpoint is [123, 116, 103]" in caplog.text
    write(a, HALVES)
    assert load_scorer(str(a)).info.weights_sha256 not in (changed, plain)
    (a / "preprocessor_config.json").unlink()
    assert load_scorer(str(a)).info.weights_sha256 == plain


def test_a_lora_normalises_like_its_base(checkpoint):
    base, lora = checkpoint("tiny_a"), checkpoint("tiny_a_lora")
    item = ScoreItem(cases("tiny_a")["image_00"].visuals, [cases("tiny_a")["image_00"].prompt])

    def logits():
        return load_scorer(str(lora), base=str(base)).score([item], LEVELS)[0].prompts[0].logits

    plain = logits()
    write(lora, CLIP, size=56)
    assert logits() == plain
    write(base, IMAGENET)
    with pytest.raises(ConfigError, match=r"tiny_a_lora/preprocessor_config\.json .* but the base in .*tiny_a with"):
        logits()
    with pytest.raises(ConfigError, match="but the base"):
        load_network(base, adapter=lora)
    write(lora, IMAGENET)
    changed = logits()
    assert changed != plain
    (lora / "preprocessor_config.json").unlink()
    assert logits() == changed
    write(lora, do_normalize=False)
    with pytest.raises(ConfigError, match="do_normalize"):
        logits()
