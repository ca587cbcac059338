"""A deterministic scorer gives an item the same bits in every batch. Other scorers give nearly the same score."""

from pathlib import Path

import pytest
import torch
from golden import GOLDEN, LEVELS

from qalign.mplug_owl2.engine.load import load_scorer
from qalign.weights.answers import ClipRange, FramePrompt, ScoreItem

MODELS = {"nano": Path(__file__).parents[4] / "configs" / "models" / "nano", "tiny": GOLDEN / "tiny_a" / "model"}
SHORT = "USER: <|image|>Rate it. ASSISTANT:"
LONG = "USER: <|image|>How would you rate the aesthetics of this picture, with all its details? ASSISTANT: It is"
FP32 = 1e-5  # of a score from 1 to 5


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return load_scorer(str(MODELS[request.param]), deterministic=True)


@pytest.fixture
def scorer(model):
    model.deterministic = True
    return model


def frames(scorer, seed, count=1):
    shape = (count, *scorer.engine.config.frame_shape)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def company(scorer, count):
    """Items of other prompts, of other lengths, and some clips."""
    prompts = [[LONG], [SHORT, LONG], [LONG + " very"], [SHORT]]
    return [ScoreItem([frames(scorer, 100 + n, 2 if n % 5 == 1 else 1)], prompts[n % 4]) for n in range(count)]


def bits(answer):
    assert answer.error is None
    return torch.tensor([[*prompt.logits, prompt.log_sum_exp] for prompt in answer.prompts], dtype=torch.float64)


def batches(scorer, items):
    """(number of an item, its answer) at the first and the last positions of batches of 3 and 16 items."""
    count = len(items)
    yield from enumerate(scorer.score([*items, *company(scorer, 3 - count)], LEVELS)[:count])
    answers = scorer.score([*items, *company(scorer, 16 - 2 * count), *items], LEVELS)
    yield from enumerate(answers[:count])
    yield from enumerate(answers[-count:])


def test_pictures_and_clips_have_the_same_bits_in_every_batch(scorer):
    items = [ScoreItem([frames(scorer, 1)], [SHORT, LONG]), ScoreItem([frames(scorer, 3, 3)], [SHORT])]
    alone = [bits(scorer.score([item], LEVELS)[0]) for item in items]
    for item, answer in batches(scorer, items):
        assert torch.equal(bits(answer), alone[item])


def test_a_prompt_has_the_same_bits_beside_other_prompts(scorer):
    picture = frames(scorer, 1)
    both = bits(scorer.score([ScoreItem([picture], [SHORT, LONG])], LEVELS)[0])
    for row, prompt in enumerate((SHORT, LONG)):
        (alone,) = scorer.score([ScoreItem([picture], [prompt])], LEVELS)
        assert torch.equal(bits(alone)[0], both[row])


def test_a_frame_of_a_clip_has_the_bits_of_the_picture(scorer):
    clip = frames(scorer, 2, 4)
    asked = [FramePrompt(SHORT, (place, place + 1)) for place in range(4)]
    alone = torch.cat([bits(scorer.score([ScoreItem([frame[None]], [SHORT])], LEVELS)[0]) for frame in clip])
    (sent,) = scorer.score([ScoreItem([clip], asked)], LEVELS)
    assert torch.equal(bits(sent), alone)
    scorer.encode("kept", 0, clip[:1])
    scorer.encode("kept", 1, clip[1:])
    kept = [ScoreItem([ClipRange("kept", place, 1)], [SHORT]) for place in range(4)]
    answers = scorer.score([*company(scorer, 1), *kept], LEVELS)[1:]
    assert torch.equal(torch.cat(list(map(bits, answers))), alone)


def test_a_clip_has_the_same_bits_in_chunks_of_any_size(scorer):
    clip = frames(scorer, 3, 3)
    want = bits(scorer.score([ScoreItem([clip], [SHORT])], LEVELS)[0])
    for size in (1, 2):
        for start in range(0, 3, size):
            scorer.encode("c", start, clip[start : start + size])
        (kept,) = scorer.score([ScoreItem([ClipRange("c", 0, 3)], [SHORT])], LEVELS)
        assert torch.equal(bits(kept), want)


def test_pixels_at_any_address_give_the_same_bits(scorer):
    picture = frames(scorer, 4)
    want = bits(scorer.score([ScoreItem([picture], [SHORT])], LEVELS)[0])
    for offset in (1, 16):  # buffers of the bridge begin anywhere
        room = torch.empty(picture.numel() + offset, dtype=torch.uint8)
        moved = room[offset:].view(picture.shape).copy_(picture)
        assert torch.equal(bits(scorer.score([ScoreItem([moved], [SHORT])], LEVELS)[0]), want)


def test_without_it_a_score_differs_by_rounding_only(scorer):
    def mos(answer):
        logits = torch.tensor(answer.prompts[0].logits, dtype=torch.float64)
        return float(logits.softmax(0) @ torch.tensor([5.0, 4, 3, 2, 1], dtype=torch.float64))

    item = ScoreItem([frames(scorer, 1)], [SHORT])
    alone = mos(scorer.score([item], LEVELS)[0])
    scorer.deterministic = False
    for _, answer in batches(scorer, [item]):
        assert abs(mos(answer) - alone) < FP32
