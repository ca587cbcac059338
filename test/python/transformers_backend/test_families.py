"""Each family on a tiny random checkpoint: tensors and logits equal those of transformers itself."""

import pytest
import torch

pytest.importorskip("transformers", reason="NOT RUN: needs the Python package transformers")

import numpy as np
import tiny
from PIL import Image

from qalign.transformers_backend.chat import with_pictures
from qalign.transformers_backend.families import FAMILIES
from qalign.transformers_backend.library import library_class, without_network
from qalign.transformers_backend.load import load_scorer
from qalign.weights.answers import ChatPrompt, ScoreItem

QUESTION = ChatPrompt("<|image|>How would you rate the quality of this image?", "The quality of the image is")
OTHER = ChatPrompt("<|image|>How is the aesthetics of this picture?", "The aesthetics of the picture is")
SIZES = ((96, 96), (224, 128), (70, 210))
TOLERANCE = 2e-5


class Subject:
    """A family's checkpoint as the scorer reads it, and as transformers reads it."""

    def __init__(self, family: str, folder) -> None:
        self.folder = folder
        self.processor = tiny.write(folder, family)
        self.scorer = load_scorer(str(folder))
        with without_network():
            self.network = library_class(FAMILIES[family].model).from_pretrained(folder, dtype=torch.float32).eval()

    def frames(self, pictures) -> torch.Tensor:
        """What Node sends for pictures of one size: Pillow's resizing to the smart size, or the pictures."""
        preparation = self.scorer.info.preparation
        if preparation["kind"] == "smart":
            pictures = [self._resized(one, preparation) for one in pictures]
        return torch.from_numpy(np.stack([np.asarray(one) for one in pictures]))

    def _resized(self, picture, preparation):
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

        bounds = preparation["multiple"], preparation["min_pixels"], preparation["max_pixels"]
        height, width = smart_resize(picture.height, picture.width, *bounds)
        return picture.resize((width, height), Image.Resampling.BICUBIC)

    def item(self, prompts, *visuals) -> ScoreItem:
        return ScoreItem([self.frames(pictures) for pictures in visuals], prompts)

    def theirs(self, prompt, *visuals):
        """The inputs and the last logits of one forward pass of transformers."""
        counts = [len(pictures) for pictures in visuals]
        text = self.scorer._chat.render(prompt, counts)
        begins = self.processor.tokenizer.bos_token is not None
        inputs = self.processor(
            text=[text],
            images=[[one for pictures in visuals for one in pictures]],
            add_special_tokens=not begins,
            return_tensors="pt",
        )
        with torch.inference_mode():
            return inputs, self.network(**inputs, logits_to_keep=1, use_cache=False).logits[0, -1]


@pytest.fixture(scope="module", params=list(FAMILIES))
def subject(request, tmp_path_factory):
    return Subject(request.param, tmp_path_factory.mktemp(request.param))


def differs(scored, logits, levels=tiny.LEVELS):
    """The largest difference between a PromptScore and logits of the whole vocabulary [V]."""
    wanted = [logits[scored.level_tokens[word][0]].item() for word in levels]
    pairs = [*zip(scored.logits, wanted, strict=True), (scored.log_sum_exp, torch.logsumexp(logits, 0).item())]
    return max(abs(ours - theirs) for ours, theirs in pairs)


@pytest.mark.parametrize("size", SIZES)
def test_tensors_equal_those_of_the_processor(subject, size):
    picture = tiny.picture(*size)
    inputs, _ = subject.theirs(QUESTION, [picture])
    scorer = subject.scorer
    pictures, (asked,) = scorer._prepared(subject.item([QUESTION], [picture]), tiny.LEVELS)
    assert asked.ids == inputs["input_ids"][0].tolist()
    types = inputs.get("mm_token_type_ids", inputs.get("token_type_ids"))
    if types is not None:
        assert scorer._processor.create_mm_token_type_ids([asked.ids])[0] == types[0].tolist()
    if pictures.tensors is None:
        patches = torch.cat([scorer._preparing.patches(frame) for frame in pictures.frames])
        assert torch.equal(patches, inputs["pixel_values"])
        assert [list(grid) for grid in pictures.grids] == inputs["image_grid_thw"].tolist()
    else:
        assert set(pictures.tensors) == set(inputs) - {*scorer._processor.tokenizer.model_input_names} - {
            *("mm_token_type_ids", "token_type_ids", "num_crops", "num_patches")
        }
        for name, value in pictures.tensors.items():
            assert value.dtype == inputs[name].dtype and torch.equal(value, inputs[name]), name


def test_logits_of_a_batch_equal_single_passes_of_transformers(subject):
    pictures = [tiny.picture(*size, seed) for seed, size in enumerate(SIZES)]
    prompts = [QUESTION, OTHER]
    scores = subject.scorer.score([subject.item(prompts, [one]) for one in pictures], tiny.LEVELS)
    seen = set()
    for picture, found in zip(pictures, scores, strict=True):
        assert found.error is None
        for prompt, scored in zip(prompts, found.prompts, strict=True):
            inputs, logits = subject.theirs(prompt, [picture])
            assert scored.positions == inputs["input_ids"].shape[1]
            assert differs(scored, logits) <= TOLERANCE
            seen.add(round(scored.logits[0], 3))
    assert len(seen) == 6  # every picture and every prompt has its own answer


def test_pictures_of_a_clip_equal_consecutive_pictures(subject):
    clip = [tiny.picture(80, 120, seed) for seed in range(3)]
    (found,) = subject.scorer.score([subject.item([QUESTION], clip)], tiny.LEVELS)
    _, logits = subject.theirs(QUESTION, clip)
    assert differs(found.prompts[0], logits) <= TOLERANCE


def test_two_visuals_are_in_the_order_of_their_markers(subject):
    prompt = ChatPrompt("user: <|image|> and <|image|> good?", "The picture is")
    first, second = tiny.picture(96, 64, 1), tiny.picture(64, 128, 2)
    scores = subject.scorer.score(
        [subject.item([prompt], [first], [second]), subject.item([prompt], [second], [first])], tiny.LEVELS
    )
    for order, found in zip(((first, second), (second, first)), scores, strict=True):
        _, logits = subject.theirs(prompt, *[[one] for one in order])
        assert differs(found.prompts[0], logits) <= TOLERANCE


def test_an_item_does_not_depend_on_its_batch(subject):
    items = [subject.item([QUESTION, OTHER], [tiny.picture(*size, 3)]) for size in (*SIZES, (300, 200), (31, 33))]
    batch = subject.scorer.score(items, tiny.LEVELS)
    for item, together in zip(items, batch, strict=True):
        (alone,) = subject.scorer.score([item], tiny.LEVELS)
        for one, other in zip(together.prompts, alone.prompts, strict=True):
            assert max(abs(a - b) for a, b in zip(one.logits, other.logits, strict=True)) <= TOLERANCE
            assert abs(one.log_sum_exp - other.log_sum_exp) <= TOLERANCE


def test_deterministic_scores_have_the_same_bits_in_every_batch(subject):
    scorer = load_scorer(str(subject.folder), deterministic=True)
    items = [subject.item([QUESTION, OTHER], [tiny.picture(*size, 4)]) for size in SIZES]
    together = scorer.score(items, tiny.LEVELS)
    assert together == [scorer.score([item], tiny.LEVELS)[0] for item in items]
    assert together[::-1] == scorer.score(items[::-1], tiny.LEVELS)


def test_the_answer_says_what_was_asked_and_read(subject):
    (found,) = subject.scorer.score([subject.item([QUESTION], [tiny.picture(64, 64)])], tiny.LEVELS)
    scored = found.prompts[0]
    assert scored.rendered.endswith("The quality of the image is")
    assert scored.rendered.count(subject.processor.image_token) == 1
    decode = subject.processor.tokenizer.decode
    assert [decode(scored.level_tokens[word]) for word in tiny.LEVELS] == [f" {word}" for word in tiny.LEVELS]


def test_the_description_of_a_loaded_model(subject):
    info = subject.scorer.info
    assert info.family in FAMILIES and info.revision == "local" and info.precision == "fp32"
    assert info.processor.endswith("Pil (transformers 5.24.0)")
    assert info.preparation["kind"] == FAMILIES[info.family].pictures
    assert info.parameters == sum(value.numel() for value in subject.network.parameters())
    assert info.image_size == (256 if info.preparation["kind"] == "smart" else tiny.SIDE)
    assert info.max_positions == subject.network.config.get_text_config().max_position_embeddings
    again = load_scorer(str(subject.folder)).info
    assert again == info


def test_a_text_between_pictures_replaces_only_placeholders():
    assert with_pictures("a<i>b<i>c", "<i>", ["<i><i>", "<i>"]) == "a<i><i>b<i>c"
    with pytest.raises(ValueError):
        with_pictures("a<i>b", "<i>", [])
