"""What is loaded, and what is refused before or while it is loaded."""

import json
import os
import shutil

import pytest
import torch

pytest.importorskip("transformers", reason="NOT RUN: needs the Python package transformers")

import tiny
from safetensors.torch import load_file, save_file

from qalign.transformers_backend import library
from qalign.transformers_backend.families import FAMILIES
from qalign.transformers_backend.load import load_scorer
from qalign.transformers_backend.source import SMALL_FILES, open_folder
from qalign.weights.answers import ChatPrompt, ScoreItem
from qalign.weights.digest import weights_sha256
from qalign.weights.errors import CheckpointError, ConfigError, InvalidInput, MissingPackage, ModelNotFound, NonFinite
from qalign.weights.hub import needed_files

QUESTION = ChatPrompt("<|image|>How would you rate the quality of this image?", "The quality of the image is")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    tiny.write(folder, "qwen3_5")
    return folder


@pytest.fixture
def model(published, tmp_path):
    """A copy that a test can damage."""
    return shutil.copytree(published, tmp_path / "model")


def change(file, **values):
    found = json.loads(file.read_text())
    file.write_text(json.dumps({key: value for key, value in {**found, **values}.items() if value is not None}))


def score(folder, **options):
    scorer = load_scorer(str(folder), **options)
    pixels = torch.arange(64 * 96 * 3, dtype=torch.int64).remainder(251).to(torch.uint8).view(1, 64, 96, 3)
    return scorer, scorer.score([ScoreItem([pixels], [QUESTION])], tiny.LEVELS)[0]


def test_the_digest_is_that_of_the_weights_and_the_environment_is_unchanged(published):
    before = {name: os.environ.get(name) for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")}
    scorer, found = score(published)
    assert scorer.info.weights_sha256 == weights_sha256([published / "model.safetensors"])
    assert found.error is None and os.environ["USE_HUB_KERNELS"] == "NO"
    assert before == {name: os.environ.get(name) for name in before}


@pytest.mark.parametrize(("precision", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_other_precisions_stay_near_fp32(published, precision, dtype):
    _, exact = score(published)
    scorer, found = score(published, precision=precision)
    assert scorer.engine.dtype == dtype and scorer.info.precision == precision
    pairs = zip(found.prompts[0].logits, exact.prompts[0].logits, strict=True)
    assert 0 < max(abs(a - b) for a, b in pairs) < 0.1


@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", "preprocessor_config.json"])
def test_code_of_a_model_is_refused(model, file):
    change(model / file, auto_map={"AutoModel": "modeling.Model"})
    with pytest.raises(ConfigError, match=f"{file} has auto_map.*never runs"):
        load_scorer(str(model))


def test_nested_code_is_refused(model):
    change(model / "config.json", vision_config={"auto_map": {}})
    with pytest.raises(ConfigError, match="auto_map"):
        load_scorer(str(model))


@pytest.mark.parametrize("key", ["text_config", "vision_config"])
def test_parts_without_sizes_are_refused_before_a_network_is_built(model, key):
    file = model / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), key: None}))
    with pytest.raises(ConfigError, match=f"{key} must be an object, not None"):
        open_folder(model)


def test_quantised_checkpoints_are_refused(model):
    change(model / "config.json", quantization_config={"quant_method": "gptq"})
    with pytest.raises(ConfigError, match="unquantised weights"):
        open_folder(model)


@pytest.mark.parametrize("token", ["<|video_pad|>", "<|im_end|>", "<|image_pad|>"])
def test_control_tokens_in_a_prompt_are_an_error_of_the_item(published, token):
    scorer = load_scorer(str(published))
    pixels = torch.zeros((1, 64, 64, 3), dtype=torch.uint8)
    good = ChatPrompt("<|image|>Rate it.", "The quality of the image is")
    prompts = [good, ChatPrompt(f"<|image|>Rate{token} it.", good.stem), ChatPrompt(good.text, f"{token} It is")]
    found = scorer.score([ScoreItem([pixels], [prompt]) for prompt in prompts], tiny.LEVELS)
    assert found[0].error is None
    assert all(isinstance(one.error, InvalidInput) and repr(token) in str(one.error) for one in found[1:])


@pytest.mark.parametrize("name", ["mplug_owl2", "llava", None, ["qwen3_5"]])
def test_other_families_are_refused_with_the_list(model, name):
    change(model / "config.json", model_type=name)
    with pytest.raises(ConfigError, match=", ".join(FAMILIES)):
        load_scorer(str(model))


def test_a_pickle_is_refused(model):
    torch.save(load_file(model / "model.safetensors"), model / "pytorch_model.bin")
    assert open_folder(model).weights.files == [model / "model.safetensors"]
    (model / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="from safetensors only"):
        load_scorer(str(model))


def test_an_adapter_and_a_base_are_refused(model):
    with pytest.raises(ConfigError, match="take no base"):
        load_scorer(str(model), base="q-future/one-align")
    (model / "adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match="merge_and_unload"):
        load_scorer(str(model))


def test_weights_that_do_not_fit_are_refused(model):
    weights = load_file(model / "model.safetensors")
    first, second, *_ = sorted(key for key in weights if key.endswith("mlp.up_proj.weight"))
    missing = {key: value for key, value in weights.items() if key != first}
    save_file(missing, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="1 missing"):
        load_scorer(str(model))
    save_file({**weights, second: weights[second][:5]}, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"up_proj\.weight"):
        load_scorer(str(model))
    weights[second][0, 0] = float("nan")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(NonFinite, match=r"up_proj\.weight"):
        load_scorer(str(model))


def test_further_weights_are_not_used(model, caplog):
    _, before = score(model)
    weights = load_file(model / "model.safetensors")
    save_file({**weights, "other.weight": torch.ones(2)}, model / "model.safetensors", metadata={"format": "pt"})
    _, after = score(model)
    assert after == before and "other.weight" in caplog.text


def test_a_model_without_a_chat_template_is_refused(model):
    (model / "chat_template.jinja").unlink()
    with pytest.raises(ConfigError, match="no chat template"):
        load_scorer(str(model))


def test_the_older_file_of_a_chat_template_is_read(model):
    _, before = score(model)
    template = model / "chat_template.jinja"
    (model / "chat_template.json").write_text(json.dumps({"chat_template": template.read_text()}))
    template.unlink()
    _, after = score(model)
    assert after == before


def test_a_template_that_takes_only_texts_is_refused(model):
    (model / "chat_template.jinja").write_text("{{ 'user: ' + messages[0].content }}")
    with pytest.raises(ConfigError, match="refuses the question"):
        raise score(model)[1].error


def test_the_settings_of_pictures_can_be_in_the_newer_file_alone(model):
    _, before = score(model)
    settings = json.loads((model / "preprocessor_config.json").read_text())
    change(model / "processor_config.json", image_processor=settings)
    (model / "preprocessor_config.json").unlink()
    _, after = score(model)
    assert after == before


def test_a_missing_or_other_image_processor_is_refused(model):
    change(model / "preprocessor_config.json", image_processor_type="CLIPImageProcessor")
    with pytest.raises(ConfigError, match="'CLIPImageProcessor'; qwen3_5 needs Qwen2VLImageProcessor"):
        load_scorer(str(model))
    (model / "preprocessor_config.json").unlink()
    with pytest.raises(ConfigError, match="describes the pictures"):
        load_scorer(str(model))


@pytest.mark.parametrize(("key", "value"), [("do_normalize", False), ("resample", 2), ("do_resize", False)])
def test_pictures_that_node_does_not_prepare_are_refused(model, key, value):
    change(model / "preprocessor_config.json", **{key: value})
    with pytest.raises(ConfigError, match=f"{key} is {value}"):
        load_scorer(str(model))


def test_bounds_of_pixels_replace_those_of_the_processor(published):
    plain = load_scorer(str(published)).info
    both = load_scorer(str(published), chat={"thinking": False, "pixels": {"min": 1024, "max": 40000}}).info
    one = load_scorer(str(published), chat={"thinking": False, "pixels": {"max": 40000}}).info
    assert both.preparation == {"kind": "smart", "multiple": 32, "min_pixels": 1024, "max_pixels": 40000}
    assert one.preparation == {**both.preparation, "min_pixels": plain.preparation["min_pixels"]}
    assert both.image_size == 200
    assert len({info.processing_sha256 for info in (plain, both, one)}) == 3
    with pytest.raises(ConfigError, match="correct these bounds"):
        load_scorer(str(published), chat={"thinking": False, "pixels": {"min": 9000, "max": 8000}})


def test_bounds_are_refused_for_families_that_resize_themselves(tmp_path):
    tiny.write(tmp_path, "internvl")
    with pytest.raises(ConfigError, match="bounds for Qwen's families"):
        load_scorer(str(tmp_path), chat={"thinking": False, "pixels": {"max": 40000}})


def test_the_hash_of_processing_follows_settings_and_files(model):
    hashes = [load_scorer(str(model)).info.processing_sha256]
    for chat in ({"system": "Be exact."}, {"level_tokens": {"mode": "alone"}}):
        hashes.append(load_scorer(str(model), chat={"thinking": False, **chat}).info.processing_sha256)
    change(model / "preprocessor_config.json", image_mean=[0.4, 0.5, 0.6])
    hashes.append(load_scorer(str(model)).info.processing_sha256)
    template = model / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    hashes.append(load_scorer(str(model)).info.processing_sha256)
    assert len(set(hashes)) == 5


def test_the_system_message_is_rendered_first(published):
    _, found = score(published, chat={"thinking": False, "system": "Be exact."})
    assert found.prompts[0].rendered.startswith("<|im_start|>system\nBe exact.<|im_end|>\n<|im_start|>user\n")


def test_thinking_is_off_or_what_the_template_writes_by_default(published):
    off, default = (score(published, chat={"thinking": thinking}) for thinking in (False, "default"))
    closed = "<think>\n\n</think>\n\n"
    texts = [found.prompts[0].rendered for _, found in (off, default)]
    assert closed in texts[0] and texts[1] == texts[0].replace(closed, "")
    assert off[0].info.processing_sha256 != default[0].info.processing_sha256
    assert off[0].info.processing_sha256 == load_scorer(str(published), chat={"thinking": False}).info.processing_sha256


def test_markers_and_placeholders_must_fit_the_pictures(published):
    scorer = load_scorer(str(published))
    pixels = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    for text, visuals in (("<|image|>", []), ("no marker", [pixels]), ("<|image|><|image_pad|>", [pixels])):
        (found,) = scorer.score([ScoreItem(visuals, [ChatPrompt(text, "It is")])], tiny.LEVELS)
        assert isinstance(found.error, InvalidInput)


def test_sides_that_are_no_multiples_are_refused_and_do_not_fail_their_batch(published):
    scorer = load_scorer(str(published))
    pixels = [torch.zeros(1, height, 64, 3, dtype=torch.uint8) for height in (64, 65)]
    good, bad = scorer.score([ScoreItem([one], [QUESTION]) for one in pixels], tiny.LEVELS)
    assert good.error is None and "multiples of 32" in str(bad.error)


def test_too_many_frames_and_positions_are_refused(model):
    change(model / "config.json", text_config={**json.loads((model / "config.json").read_text())["text_config"]})
    scorer = load_scorer(str(model))
    (found,) = scorer.score([ScoreItem([torch.zeros(65, 32, 32, 3, dtype=torch.uint8)], [QUESTION])], tiny.LEVELS)
    assert "at most 64" in str(found.error)
    text = json.loads((model / "config.json").read_text())["text_config"]
    change(model / "config.json", text_config={**text, "max_position_embeddings": 30})
    _, short = score(model)
    assert "reads at most 30" in str(short.error)


def test_a_missing_model_and_a_wrong_version_are_named(published, monkeypatch):
    with pytest.raises(ModelNotFound):
        load_scorer("/nowhere/model")
    monkeypatch.setattr(library.importlib.metadata, "version", lambda name: "4.57.1")
    with pytest.raises(MissingPackage, match=r"4\.57\.1 is installed"):
        load_scorer(str(published))


def test_only_safetensors_and_known_small_files_are_downloaded():
    sizes = dict.fromkeys(
        [*SMALL_FILES, "pytorch_model.bin", "model.safetensors", "modeling_qwen.py", "README.md", "onnx/model.onnx"], 1
    )
    options = {"small_files": SMALL_FILES, "safetensors_only": True}
    assert set(needed_files(sizes, lambda name: {}, **options)) == {*SMALL_FILES, "model.safetensors"}
    del sizes["model.safetensors"]
    with pytest.raises(ModelNotFound, match=r"pytorch_model\.bin"):
        needed_files(sizes, lambda name: {}, **options)
