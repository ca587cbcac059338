"""Clips in chunks: the same scores as whole clips, ranges of frames, and kept and released features."""

import pytest
import torch
from golden import GOLDEN, LEVELS, TINY, TOLERANCE, cases, literal_logits, scores, worst

from qalign.mplug_owl2.engine import attention
from qalign.mplug_owl2.engine.attention import _sdpa, _square
from qalign.mplug_owl2.engine.clips import AGE_S, KeptClips
from qalign.mplug_owl2.engine.load import load_scorer
from qalign.mplug_owl2.engine.memory import _of_group, _of_host, free_bytes
from qalign.weights.answers import ClipRange, FramePrompt, ScoreItem
from qalign.weights.errors import Cancelled, InvalidInput, OutOfRoom, UnknownClip

SAME = 1e-5
PROMPT = "USER: How would you rate the quality of this video?\n<|image|>\nASSISTANT: The quality of the video is"


@pytest.fixture(scope="module", params=TINY)
def tiny(request):
    return request.param, load_scorer(str(GOLDEN / request.param / "model"))


@pytest.fixture(autouse=True)
def nothing_is_left(request):
    yield
    if "tiny" in request.fixturenames:
        _, scorer = request.getfixturevalue("tiny")
        scorer.clips._clips.clear()
        scorer.on_step = lambda: None


def frames_of(name, count):
    """Different frames, made from the pictures of the reference."""
    pixels = torch.cat([case.pixels for case in cases(name).values()])
    return pixels.repeat(-(-count // len(pixels)), 1, 1, 1)[:count]


def encode(scorer, clip, pixels, chunk):
    first = 0
    for part in pixels.split(chunk):
        first = scorer.encode(clip, first, part)
    return first


def logits(answer, prompt=0):
    assert answer.error is None, answer.error
    return torch.tensor([*answer.prompts[prompt].logits, answer.prompts[prompt].log_sum_exp])


@pytest.mark.parametrize("chunk", [1, 3, 16])
def test_a_clip_in_chunks_equals_the_whole_clip_and_the_literal_model(tiny, chunk):
    name, scorer = tiny
    for case in (case for case in cases(name).values() if case.frames == [len(case.pixels)]):
        frames = encode(scorer, "clip", case.pixels, chunk)
        assert frames == len(case.pixels)
        item = ScoreItem([ClipRange("clip", 0, frames)], [case.prompt])
        whole, kept = scorer.score([ScoreItem(case.visuals, [case.prompt]), item], LEVELS)
        assert worst(logits(kept), logits(whole)) < SAME, case.name
        literal = literal_logits(scorer.model, case)[scores(name)["level_ids"]]
        assert worst(logits(kept)[:-1], literal) < TOLERANCE, case.name
        assert kept.prompts[0].positions == whole.prompts[0].positions
        scorer.clips.release("clip")


def test_ranges_of_one_clip_beside_pixels_in_one_batch(tiny):
    name, scorer = tiny
    pixels = frames_of(name, 11)
    encode(scorer, "a", pixels, 4)
    encode(scorer, "b", pixels.flip(0), 5)
    spans = [("a", 0, 11), ("a", 3, 2), ("b", 4, 6), ("a", 10, 1), ("a", 2, 7)]
    ranged = [ScoreItem([ClipRange(*span)], [PROMPT]) for span in spans]
    sources = {"a": pixels, "b": pixels.flip(0)}
    whole = [ScoreItem([sources[clip][first : first + count]], [PROMPT]) for clip, first, count in spans]
    answers = scorer.score([whole[0], ranged[0], whole[1], *ranged[1:]], LEVELS)
    expected = [scorer.score([item], LEVELS)[0] for item in whole]
    for got, want in zip([answers[1], *answers[3:]], expected, strict=True):
        assert worst(logits(got), logits(want)) < SAME
    assert worst(logits(answers[0]), logits(expected[0])) < SAME
    assert len(scorer.clips) == 2


def test_unknown_clips_and_frames_fail_alone(tiny):
    name, scorer = tiny
    pixels = frames_of(name, 3)
    encode(scorer, "a", pixels, 2)
    bad = [ClipRange("a", 1, 3), ClipRange("gone", 0, 1), ClipRange("a", 3, 1)]
    answers = scorer.score([ScoreItem([one], [PROMPT]) for one in (*bad, ClipRange("a", 0, 3))], LEVELS)
    assert [type(answer.error) for answer in answers] == [UnknownClip] * 3 + [type(None)]
    scorer.clips.release("a")
    scorer.clips.release("a")
    (answer,) = scorer.score([ScoreItem([ClipRange("a", 0, 3)], [PROMPT])], LEVELS)
    assert isinstance(answer.error, UnknownClip)
    assert len(scorer.clips) == scorer.clips.bytes == 0


def test_chunks_are_neither_skipped_nor_counted_twice(tiny):
    name, scorer = tiny
    pixels = frames_of(name, 4)
    scorer.encode("a", 0, pixels[:2])
    for first in (1, 3):
        with pytest.raises(UnknownClip):
            scorer.encode("a", first, pixels[2:])
    with pytest.raises(UnknownClip):
        scorer.encode("b", 2, pixels[2:])
    assert scorer.encode("a", 2, pixels[2:]) == 4
    assert scorer.encode("a", 0, pixels[:1]) == 1  # a restarted clip drops its earlier frames
    with pytest.raises(InvalidInput):
        scorer.encode("a", 1, pixels[:, :-1])


def test_a_chunk_that_is_cancelled_or_does_not_fit_in_memory_keeps_nothing(tiny, monkeypatch):
    name, scorer = tiny
    pixels = frames_of(name, 6)
    scorer.encode("a", 0, pixels)
    steps = []

    def stop():
        steps.append(1)
        if len(steps) > 1:
            raise Cancelled("enough")

    monkeypatch.setattr(scorer.engine, "frames_at_once", 2)
    scorer.on_step = stop
    with pytest.raises(Cancelled):
        scorer.encode("a", 6, pixels)
    scorer.on_step = lambda: None
    monkeypatch.setattr(scorer.clips, "_free_bytes", lambda: 9 * scorer.engine.frame_bytes)
    with pytest.raises(OutOfRoom):
        scorer.encode("a", 6, pixels)
    assert scorer.encode("a", 6, pixels[:1]) == 7  # 7 frames of 6 + 9
    assert scorer.clips.bytes == 7 * scorer.engine.frame_bytes


def test_an_unused_clip_is_dropped():
    now = [0.0]
    clips = KeptClips(lambda: None, lambda: now[0])
    features = torch.zeros(2, 3, 4)
    for name in ("a", "b"):
        clips.expect(name, 0, features.nbytes)
        clips.add(name, features)
    now[0] = AGE_S
    clips.parts(ClipRange("b", 0, 1))
    now[0] = 1.5 * AGE_S
    clips.expect("c", 0, 1)
    assert len(clips) == 1
    with pytest.raises(UnknownClip):
        clips.parts(ClipRange("a", 0, 1))


def test_long_sequences_run_in_blocks_that_can_be_stopped(tiny, monkeypatch):
    name, scorer = tiny
    pixels = frames_of(name, 40)
    item = ScoreItem([pixels], [PROMPT])
    (whole,) = scorer.score([item], LEVELS)
    rows = scorer._questions(item, 0)[0].layout.rows
    monkeypatch.setattr(attention, "MASK_KEPT", 0)
    monkeypatch.setattr(attention, "SQUARE", 1 << 24)
    (square,) = scorer.score([item], LEVELS)
    assert worst(logits(square), logits(whole)) < SAME
    monkeypatch.setattr(attention, "SQUARE", 16)
    for least in (7, 64, rows - 1):
        monkeypatch.setattr(attention, "LEAST_BLOCK", least)
        (blocks,) = scorer.score([item], LEVELS)
        assert worst(logits(blocks), logits(whole)) < SAME
    steps = []
    scorer.on_step = lambda: steps.append(1)
    scorer.score([item], LEVELS)
    few = len(steps)
    monkeypatch.setattr(attention, "LEAST_BLOCK", 7)
    scorer.score([item], LEVELS)
    assert len(steps) - few > few + 10


def test_causal_attention_without_a_mask_equals_masked_attention():
    query, key, value = torch.randn(2, 9, 4, 8), torch.randn(2, 14, 4, 8), torch.randn(2, 14, 4, 8)
    mask = torch.full((9, 14), float("-inf")).triu(6)
    assert worst(_square(query, key, value), _sdpa(query, key, value, mask)) < 1e-6


def test_a_sequence_that_does_not_fit_in_memory_is_refused_before_it_is_computed(tiny, monkeypatch):
    name, scorer = tiny
    pixels = frames_of(name, 5)
    monkeypatch.setattr(scorer.engine, "limits", type(scorer.engine.limits)(8200, 10))
    monkeypatch.setattr("qalign.mplug_owl2.engine.scorer.free_bytes", lambda device: 1000)
    encoded = []
    monkeypatch.setattr(scorer.engine, "features", lambda frames: encoded.append(frames))
    (answer,) = scorer.score([ScoreItem([pixels], [PROMPT])], LEVELS)
    assert isinstance(answer.error, OutOfRoom) and answer.error.code == "OUT_OF_MEMORY"
    assert "5 frames" in str(answer.error)
    assert encoded == []


def test_positions_and_the_longest_sequence_of_the_model(tiny):
    name, scorer = tiny
    case = cases(name)["image_00"]
    (answer,) = scorer.score([ScoreItem(case.visuals, [case.prompt])], LEVELS)
    tokens = scorer.engine.config.tokens_per_frame
    assert answer.prompts[0].positions == len(scorer.tokenizer.encode(case.prompt)) - 1 + tokens
    assert scorer.info.max_positions == scorer.model.config.max_position_embeddings


def test_free_memory_of_host_and_container(tmp_path):
    assert free_bytes(torch.device("cpu")) > 1 << 20
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9 kB\nMemAvailable:    4 kB\n")
    assert _of_host(meminfo) == 4096
    assert _of_host(tmp_path / "none") is None
    for file, text in {
        "memory.max": "1000\n",
        "memory.current": "900\n",
        "memory.stat": "anon 1\ninactive_file 300\n",
    }.items():
        (tmp_path / file).write_text(text)
    assert _of_group(tmp_path) == 400
    (tmp_path / "memory.max").write_text("max\n")
    assert _of_group(tmp_path) is None


FRAME_PROMPT = PROMPT.replace("video", "image")


def encoded_frames(scorer, monkeypatch):
    """The number of frames of every call of the encoder from now on."""
    counts, encode = [], scorer.engine.encode
    monkeypatch.setattr(scorer.engine, "encode", lambda frames: (counts.append(len(frames)), encode(frames))[1])
    return counts


@pytest.mark.parametrize("sent", ["pixels", "chunks"])
def test_prompts_about_frames_equal_scores_of_these_frames_alone(tiny, sent, monkeypatch):
    name, scorer = tiny
    pixels = frames_of(name, 11)
    ranges = [*((at, at + 1) for at in range(11)), (0, 4), (3, 9), (7, 11), (0, 11)]
    alone = [scorer.score([ScoreItem([pixels[a:b]], [FRAME_PROMPT])], LEVELS)[0] for a, b in ranges]
    (clip,) = scorer.score([ScoreItem([pixels], [PROMPT])], LEVELS)
    counts = encoded_frames(scorer, monkeypatch)
    if sent == "chunks":
        encode(scorer, "clip", pixels, 4)
    visual = pixels if sent == "pixels" else ClipRange("clip", 0, 11)
    prompts = [PROMPT, *(FramePrompt(FRAME_PROMPT, span) for span in ranges)]
    before, item = ScoreItem([pixels[:2]], [PROMPT]), ScoreItem([visual], prompts)
    _, got = scorer.score([before, item], LEVELS)
    assert sum(counts) == 11 + 2  # every frame once, for all prompts
    assert worst(logits(got), logits(clip)) < SAME
    for number, want in enumerate(alone):
        assert worst(logits(got, number + 1), logits(want)) < SAME
        assert got.prompts[number + 1].positions == want.prompts[0].positions


def test_ranges_over_several_visuals_and_ranges_that_do_not_fit(tiny):
    name, scorer = tiny
    pixels = frames_of(name, 6)
    one, two = FRAME_PROMPT, FRAME_PROMPT.replace("<|image|>", "<|image|> and <|image|>")
    asked = [FramePrompt(one, (4, 6)), FramePrompt(two, (1, 5)), FramePrompt(one, (0, 2)), two]
    (got,) = scorer.score([ScoreItem([pixels[:2], pixels[2:]], asked)], LEVELS)
    parts = [
        ([pixels[4:]], one),
        ([pixels[1:2], pixels[2:5]], two),
        ([pixels[:2]], one),
        ([pixels[:2], pixels[2:]], two),
    ]
    for number, (visuals, prompt) in enumerate(parts):
        (want,) = scorer.score([ScoreItem(visuals, [prompt])], LEVELS)
        assert worst(logits(got, number), logits(want)) < SAME
    bad = [FramePrompt(one, span) for span in [(0, 7), (2, 2), (3, 1)]] + [FramePrompt(one, (1, 5))]
    answers = scorer.score([ScoreItem([pixels[:2], pixels[2:]], [one_bad]) for one_bad in bad], LEVELS)
    assert [type(answer.error) for answer in answers] == [InvalidInput] * 4
    (said,) = scorer.generate([ScoreItem([pixels], [FramePrompt(one, (0, 1))])], 1)
    assert isinstance(said.error, InvalidInput)


def test_the_frame_prompts_of_a_long_clip_run_in_passes_under_the_limit(tiny, monkeypatch):
    name, scorer = tiny
    pixels = frames_of(name, 700)
    encode(scorer, "long", pixels, 64)
    passes, ask = [], scorer.engine.ask
    monkeypatch.setattr(
        scorer.engine,
        "ask",
        lambda questions, *rest: (passes.append(sum(q.layout.rows for q in questions)), ask(questions, *rest))[1],
    )
    prompts = [FramePrompt(FRAME_PROMPT, (at, at + 1)) for at in range(700)]
    (got,) = scorer.score([ScoreItem([ClipRange("long", 0, 700)], prompts)], LEVELS)
    assert len(passes) > 1 and max(passes) <= scorer.engine.limits.positions
    (want,) = scorer.score([ScoreItem([pixels[650:651]], [FRAME_PROMPT])], LEVELS)
    assert worst(logits(got, 650), logits(want)) < SAME
