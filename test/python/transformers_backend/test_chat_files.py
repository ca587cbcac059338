"""Wrong files of a chat model are found while it loads, by one typed error that says what to do."""

import json
import shutil

import pytest

pytest.importorskip("transformers", reason="NOT RUN: needs the Python package transformers")

import tiny

from qalign.transformers_backend.inspection import inspect_model
from qalign.transformers_backend.library import library_message, refusing
from qalign.transformers_backend.load import load_scorer
from qalign.transformers_backend.source import TEXTS
from qalign.weights.errors import CheckpointError, ConfigError

PICTURES = "preprocessor_config.json"
BOTH = ("qwen3_5", "internvl")


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    folders = {family: tmp_path_factory.mktemp(family) for family in BOTH}
    for family, folder in folders.items():
        tiny.write(folder, family)
    return folders


@pytest.fixture
def damaged(published, tmp_path):
    """A copy of a family's folder with other values in a JSON file, or with another text."""

    def damage(family, file, change):
        folder = shutil.copytree(published[family], tmp_path / "model")
        path = folder / file
        if isinstance(change, dict):
            change = json.dumps({**json.loads(path.read_text()), **change})
        path.write_text(change)
        return folder

    return damage


@pytest.mark.parametrize("family", BOTH)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_mean": [0.5]}, r"image_mean .* must be three numbers"),
        ({"image_mean": "half"}, "image_mean of the image processor is 'half'"),
        ({"image_std": [0.5, 0, 0.5]}, r"image_std .* must be three numbers above 0"),
        ({"image_std": [0.5, float("inf"), 0.5]}, "must be three numbers above 0"),
        ({"size": {}}, r"(?s)size must have one of .* Correct or download again"),
        ({"size": "large"}, "large. Correct or download again"),
        ({"rescale_factor": "1/255"}, r"no usable processor .* Correct or download again"),
    ],
)
def test_wrong_settings_of_pictures(damaged, family, change, message):
    with pytest.raises(ConfigError, match=message):
        load_scorer(str(damaged(family, PICTURES, change)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": {"shortest_edge": 4096}}, "the most None; correct these bounds"),
        ({"size": {"shortest_edge": "small", "longest_edge": 4096}}, "pixels of a picture are 'small'"),
        ({"size": {"shortest_edge": 9000, "longest_edge": 4096}}, "correct these bounds"),
        ({"patch_size": 0}, "patch_size of the image processor is 0; it must be a whole number from 1 to 256"),
        ({"merge_size": "2"}, "merge_size of the image processor is '2'"),
        ({"temporal_patch_size": True}, "temporal_patch_size of the image processor is True"),
        ({"temporal_patch_size": 1}, "temporal_patch_size of the vision encoder is 2"),
        ({"patch_size": 14}, "patch_size of the image processor is 14, but patch_size of the vision encoder is 16"),
        ({"merge_size": 4}, "spatial_merge_size of the vision encoder is 2"),
    ],
)
def test_patches_that_the_encoder_does_not_read(damaged, change, message):
    folder = damaged("qwen3_5", PICTURES, change)
    with pytest.raises(ConfigError, match=message):
        load_scorer(str(folder))
    with pytest.raises(ConfigError, match=message):
        inspect_model(str(folder), offline=True, chat={"thinking": False})


@pytest.mark.parametrize("family", BOTH)
@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for message in messages %}", r"refuses the question: .* Correct chat_template.jinja"),
        (
            "{{ raise_exception('first line\\nsecond line') }}",
            r"refuses the question: first line second line[.] Correct",
        ),
        ("{{ messages.first.role.name }}", "refuses the question"),
        ("{{ messages[0].role }}", "made 0 placeholders"),
    ],
)
def test_chat_templates_that_cannot_ask_about_a_picture(damaged, family, template, message):
    with pytest.raises(ConfigError, match=message):
        load_scorer(str(damaged(family, "chat_template.jinja", template)))


@pytest.mark.parametrize("family", BOTH)
@pytest.mark.parametrize(
    ("file", "text"), [("tokenizer.json", "{}"), ("tokenizer.json", '{"cut'), ("processor_config.json", "[]")]
)
def test_files_that_the_library_cannot_read(damaged, family, file, text):
    with pytest.raises(ConfigError, match=r"no usable processor and tokenizer.* Correct or download again"):
        load_scorer(str(damaged(family, file, text)))


@pytest.mark.parametrize("family", BOTH)
def test_a_missing_tokenizer_gives_no_empty_one(damaged, family):
    folder = damaged(family, "config.json", {})
    for name in TEXTS:
        if not name.startswith(("chat", "tokenizer_config")):
            (folder / name).unlink(missing_ok=True)
    with pytest.raises(ConfigError, match=r"needs tokenizer\.json, or .* Download the missing files"):
        load_scorer(str(folder))


@pytest.mark.parametrize("family", BOTH)
@pytest.mark.parametrize("token", [0, 3, 10**6, -1])
def test_a_wrong_token_of_pictures(damaged, family, token):
    with pytest.raises(ConfigError, match=f"names {token} as the token of pictures.* Correct image_token_id"):
        load_scorer(str(damaged(family, "config.json", {"image_token_id": token})))


def test_the_whole_message_of_the_library_is_kept():
    long = "\n".join(f"line {number}" for number in range(100))
    assert library_message(ValueError(long)).endswith("line 98 line 99")
    assert library_message(KeyError()) == "KeyError"
    with pytest.raises(CheckpointError, match=r"line 99\. Do this\."), refusing("Folder", "Do this.", CheckpointError):
        raise ValueError(long)
    with pytest.raises(ConfigError, match=r"^as it is$"), refusing("Folder", "Do this.", CheckpointError):
        raise ConfigError("as it is")
