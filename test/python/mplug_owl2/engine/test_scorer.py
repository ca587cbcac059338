"""The scoring engine equals the references and the literal model, and scores equally in every batch."""

import random
from collections import OrderedDict

import pytest
import torch
from golden import GOLDEN, LEVELS, TINY, TOLERANCE, cases, literal_logits, scores, worst

from qalign.mplug_owl2.engine import engine as engine_module
from qalign.mplug_owl2.engine.engine import Limits
from qalign.mplug_owl2.engine.load import load_scorer
from qalign.weights.answers import ScoreItem
from qalign.weights.errors import Cancelled, InvalidInput, LoraError

LORAS = {"tiny_a_lora": "tiny_a", "tiny_b_lora": "tiny_b"}
INVARIANCE = 1e-5


def mos(logits):
    return float(torch.tensor(logits).double().softmax(0) @ torch.tensor([5.0, 4, 3, 2, 1], dtype=torch.float64))


def item(case, prompts=None):
    return ScoreItem(case.visuals, prompts or [case.prompt])


@pytest.fixture(scope="module", params=TINY)
def tiny(request):
    return request.param, load_scorer(str(GOLDEN / request.param / "model"))


def test_every_case_equals_the_reference_and_the_literal_model(tiny):
    name, scorer = tiny
    for case in cases(name).values():
        (answer,) = scorer.score([item(case)], LEVELS)
        got = answer.prompts[0]
        assert worst(torch.tensor(got.logits), case.level_logits) < TOLERANCE, case.name
        assert abs(got.log_sum_exp - float(case.last_logits.logsumexp(0))) < TOLERANCE, case.name
        literal = literal_logits(scorer.model, case)[scores(name)["level_ids"]]
        assert worst(torch.tensor(got.logits), literal) < TOLERANCE, case.name


def test_everything_in_one_batch_with_videos_of_unequal_length(tiny):
    name, scorer = tiny
    chosen = list(cases(name).values())
    for case, answer in zip(chosen, scorer.score([item(case) for case in chosen], LEVELS), strict=True):
        assert worst(torch.tensor(answer.prompts[0].logits), case.level_logits) < TOLERANCE, case.name


@pytest.mark.parametrize("lora", LORAS)
def test_both_lora_layouts_in_both_models(lora):
    scorer = load_scorer(str(GOLDEN / lora), base=str(GOLDEN / LORAS[lora] / "model"))
    for case in cases(lora).values():
        (answer,) = scorer.score([item(case)], LEVELS)
        assert worst(torch.tensor(answer.prompts[0].logits), case.level_logits) < TOLERANCE, case.name
        same = cases(LORAS[lora])["image_01"]
        ids = scorer.tokenizer.encode(case.prompt)
        literal = literal_logits(scorer.model, type(same)(**{**case.__dict__, "input_ids": list(ids)}))
        assert worst(literal[scores(LORAS[lora])["level_ids"]], case.level_logits) < TOLERANCE, case.name


def test_a_score_is_the_same_in_any_batch_bucket_and_order(tiny):
    name, scorer = tiny
    pool = list(cases(name).values())
    alone = {case.name: mos(scorer.score([item(case)], LEVELS)[0].prompts[0].logits) for case in pool}
    shuffle = random.Random(3)
    ordinary = scorer.engine.limits, scorer.engine.frames_at_once
    try:
        for size, frames, positions in [(2, 1, 64), (5, 2, 128), (9, 3, 256), (17, 8, 512), (40, 64, 8192), (64, 5, 1)]:
            scorer.engine.frames_at_once, scorer.engine.limits = frames, Limits(0, positions)
            batch = [shuffle.choice(pool) for _ in range(size)]
            for case, answer in zip(batch, scorer.score([item(case) for case in batch], LEVELS), strict=True):
                assert abs(mos(answer.prompts[0].logits) - alone[case.name]) < INVARIANCE, (case.name, size)
    finally:
        scorer.engine.limits, scorer.engine.frames_at_once = ordinary


def test_tables_of_long_passes_are_not_kept(tiny, monkeypatch):
    name, scorer = tiny
    case = cases(name)["video_7"]
    monkeypatch.setattr(scorer.engine, "_plans", OrderedDict())
    monkeypatch.setattr(engine_module, "PLAN_KEPT", 16)
    (before,) = scorer.score([item(case)], LEVELS)
    assert not scorer.engine._plans
    monkeypatch.setattr(engine_module, "PLAN_KEPT", 1000)
    monkeypatch.setattr(engine_module, "PLANS", 2)
    for label in ("image_00", "video_7", "image_00", "two_images", "video_7"):
        scorer.score([item(cases(name)[label])], LEVELS)
    (after,) = scorer.score([item(case)], LEVELS)
    assert len(scorer.engine._plans) == 2
    assert after.prompts == before.prompts


def test_prompts_of_one_item_share_its_features(tiny):
    name, scorer = tiny
    case = cases(name)["image_00"]
    other = case.prompt.replace("aesthetics", "quality")
    encoded = []
    features = scorer.engine.features
    scorer.engine.features = lambda frames: encoded.append(len(frames)) or features(frames)
    try:
        (answer,) = scorer.score([item(case, [case.prompt, other])], LEVELS)
    finally:
        del scorer.engine.features
    assert encoded == [1]
    for prompt, got in zip([case.prompt, other], answer.prompts, strict=True):
        alone = scorer.score([item(case, [prompt])], LEVELS)[0].prompts[0]
        assert worst(torch.tensor(got.logits), torch.tensor(alone.logits)) < INVARIANCE
    assert answer.prompts[0] != answer.prompts[1]


@pytest.mark.parametrize(
    "prompt", ["USER: hello ASSISTANT:", "<|image|>", "<|image|>and <|image|>", "a<|image|><|image|>"]
)
def test_unusual_prompts_agree_with_the_literal_model(tiny, prompt):
    name, scorer = tiny
    case = cases(name)["two_images"]
    frames = case.frames[: prompt.count("<|image|>")]
    odd = type(case)(**{**case.__dict__, "prompt": prompt, "frames": frames, "pixels": case.pixels[: len(frames)],
                        "input_ids": list(scorer.tokenizer.encode(prompt))})  # fmt: skip
    if not frames:
        with torch.inference_mode():
            x, rows = scorer.model.embed_sequence(odd.input_ids, [])
            literal = scorer.model.forward_embedded(x[None], rows[None])[0, -1]
    else:
        literal = literal_logits(scorer.model, odd)
    (answer,) = scorer.score([ScoreItem(odd.visuals if frames else [], [prompt])], LEVELS)
    assert answer.error is None
    assert worst(torch.tensor(answer.prompts[0].logits), literal[scores(name)["level_ids"]]) < TOLERANCE


def test_a_bad_item_fails_alone(tiny):
    name, scorer = tiny
    case = cases(name)["image_00"]
    bad = [
        ScoreItem([], [case.prompt]),
        ScoreItem([case.pixels[:, :-1]], [case.prompt]),
        ScoreItem([case.pixels.float()], [case.prompt]),
        ScoreItem([case.pixels[:0]], [case.prompt]),
        ScoreItem([case.pixels], []),
        ScoreItem([], [""]),
    ]
    answers = scorer.score([item(case), *bad, item(case)], LEVELS)
    assert [isinstance(answer.error, InvalidInput) for answer in answers] == [False, *[True] * len(bad), False]
    assert worst(torch.tensor(answers[-1].prompts[0].logits), case.level_logits) < TOLERANCE


def test_on_step_can_cancel_and_the_scorer_stays_usable(tiny):
    name, scorer = tiny
    case = cases(name)["image_00"]

    def stop():
        raise Cancelled("enough")

    scorer.on_step = stop
    with pytest.raises(Cancelled):
        scorer.score([item(case)], LEVELS)
    scorer.on_step = lambda: None
    assert scorer.score([item(case)], LEVELS)[0].error is None


@pytest.mark.parametrize(("precision", "near"), [("bf16", 0.3), ("fp16", 0.05)])
def test_sixteen_bits_stay_near_fp32_in_both_models(precision, near):
    scorer = load_scorer(str(GOLDEN / "tiny_a" / "model"), precision=precision)
    assert scorer.info.precision == precision
    for case in list(cases("tiny_a").values())[:6]:
        (answer,) = scorer.score([item(case)], LEVELS)
        assert worst(torch.tensor(answer.prompts[0].logits), case.level_logits) < near


def test_info_and_base_rules():
    info = load_scorer(str(GOLDEN / "tiny_a" / "model")).info
    assert (info.precision, info.device, info.image_size, info.revision) == ("fp32", "cpu", 56, "local")
    assert info.parameters > 100_000
    assert len(info.weights_sha256) == 64
    with pytest.raises(LoraError, match="--base"):
        load_scorer(str(GOLDEN / "tiny_a_lora"))
    with pytest.raises(LoraError, match="whole checkpoint"):
        load_scorer(str(GOLDEN / "tiny_a" / "model"), base=str(GOLDEN / "tiny_b" / "model"))
