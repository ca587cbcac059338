"""A load captures the graphs of the expected requests. The capture itself needs a GPU: test/python/gpu."""

import logging

import pytest
import torch
from golden import GOLDEN, LEVELS, cases

from qalign.mplug_owl2.engine.capture import Captured
from qalign.mplug_owl2.engine.load import load_scorer
from qalign.mplug_owl2.engine.scorer import Scorer
from qalign.mplug_owl2.engine.warm_up import WarmUp, warm_up
from qalign.weights.answers import ScoreItem
from qalign.weights.errors import Cancelled

QUALITY, BEAUTY = "USER: <|image|>rate its quality ASSISTANT:", "USER: <|image|>rate its beauty ASSISTANT:"
EXPECTED = WarmUp([[QUALITY], [BEAUTY], [QUALITY, BEAUTY]], LEVELS)
NO_MEMORY = "CUDA out of memory."


class Recorded:
    """A graph that computes eagerly when it is replayed."""

    def __init__(self, compute):
        self.replay = compute


class FakeCapturer:
    """Captures on the CPU. `errors` maps (items, prompts of each) to the error of its capture."""

    def __init__(self, errors=None):
        self.errors, self.shapes, self.recovered, self.replays = errors or {}, [], 0, 0
        self.recover_error = None

    def __call__(self, questions, level_ids):
        items = len({question.first_frame for question in questions})
        shape = items, len(questions) // items
        self.shapes.append(shape)
        if shape in self.errors:
            raise self.errors[shape]
        engine = self.scorer.engine
        size = engine.config.image_size
        frames = torch.zeros(items, size, size, 3, dtype=torch.uint8)
        answer = torch.zeros(len(questions), len(level_ids) + 1)

        def compute():
            self.replays += 1
            features = engine.features(frames)
            for row, question in enumerate(questions):
                answer[row] = engine.ask([question], features, level_ids)[0]

        return Captured(Recorded(compute), frames, answer, [])

    def recover(self):
        self.recovered += 1
        if self.recover_error is not None:
            raise self.recover_error


@pytest.fixture(scope="module")
def plain():
    return load_scorer(str(GOLDEN / "tiny_a" / "model"))


def with_graphs(plain, errors=None, **options):
    capture = FakeCapturer(errors)
    capture.scorer = Scorer(plain.model, plain.tokenizer, plain.info, capture=capture, **options)
    return capture.scorer, capture


def test_every_bucket_of_every_expected_request_is_captured_once(plain):
    scorer, capture = with_graphs(plain)
    told = []
    warm_up(scorer, EXPECTED, lambda done, total: told.append((done, total)))
    assert sorted(capture.shapes) == sorted([(bucket, count) for bucket in (1, 2, 4, 8) for count in (1, 1, 2)])
    assert told == [(done, 16) for done in range(17)]  # 3 single pictures, 12 graphs, a full batch
    for prompts in EXPECTED.prompts:
        for count in (1, 2, 3, 5, 8):
            before = capture.replays
            pictures = [case.visuals for case in list(cases("tiny_a").values())[:3]] * 3
            items = [ScoreItem(visuals, prompts) for visuals in pictures[:count]]
            got, want = scorer.score(items, LEVELS), plain.score(items, LEVELS)
            assert capture.replays == before + 1, "the first request replays a graph"
            for a, b in zip(got, want, strict=True):
                for x, y in zip(a.prompts, b.prompts, strict=True):
                    assert torch.allclose(torch.tensor(x.logits), torch.tensor(y.logits), atol=1e-5)
    assert len(capture.shapes) == 12


def test_a_failed_capture_disables_its_shape_only_with_one_log_line(plain, caplog):
    errors = {(4, 1): torch.OutOfMemoryError(NO_MEMORY), (2, 2): RuntimeError("operation not permitted")}
    scorer, capture = with_graphs(plain, errors)
    with caplog.at_level(logging.WARNING):
        warm_up(scorer, EXPECTED)
        case = cases("tiny_a")["image_01"]
        for _ in range(3):
            answers = scorer.score([ScoreItem(case.visuals, [QUALITY])] * 4, LEVELS)
            assert all(answer.error is None for answer in answers)
    assert len(scorer._graphs.captured) == 9 and len(scorer._graphs.failed) == 3
    assert capture.shapes.count((4, 1)) == 2 and capture.recovered == 3
    assert [record for record in caplog.messages if "without a CUDA graph" in record] == [
        f"a batch of {items} items with {prompts} prompts each runs without a CUDA graph, "
        f"because its capture failed: {why}"
        for items, prompts, why in [(2, 2, "operation not permitted"), (4, 1, NO_MEMORY), (4, 1, NO_MEMORY)]
    ]


def test_a_device_that_fails_in_a_capture_is_not_passed_over(plain):
    sticky = RuntimeError("CUDA error: an illegal memory access was encountered")
    scorer, capture = with_graphs(plain, {(1, 1): sticky})
    capture.recover_error = sticky
    with pytest.raises(RuntimeError, match="illegal memory access"):
        warm_up(scorer, EXPECTED)


def test_a_shape_that_is_not_expected_is_captured_at_its_second_use(plain):
    scorer, capture = with_graphs(plain)
    case = cases("tiny_a")["image_01"]
    for uses, captures in [(1, 0), (2, 1), (3, 1)]:
        scorer.score([ScoreItem(case.visuals, [case.prompt])], LEVELS)
        assert len(capture.shapes) == captures, uses


def test_without_expected_requests_one_picture_is_scored(plain):
    scorer, capture = with_graphs(plain)
    told = []
    warm_up(scorer, None, lambda *progress: told.append(progress))
    assert not capture.shapes and told == [(0, 1), (1, 1)]


def test_a_deterministic_scorer_uses_no_graphs(plain):
    scorer, capture = with_graphs(plain, deterministic=True)
    warm_up(scorer, EXPECTED)
    case = cases("tiny_a")["image_01"]
    for _ in range(3):
        scorer.score([ScoreItem(case.visuals, [QUALITY])], LEVELS)
    assert not capture.shapes


def test_a_full_batch_without_room_is_skipped(plain, monkeypatch, caplog):
    scorer, _ = with_graphs(plain)
    score = scorer.score

    def little_room(items, levels):
        if len(items) > 4:
            raise torch.OutOfMemoryError(NO_MEMORY)
        return score(items, levels)

    monkeypatch.setattr(scorer, "score", little_room)
    warm_up(scorer, EXPECTED)
    assert "pass 16 of the warm-up is skipped, because it ran out of memory: CUDA out of memory." in caplog.messages


def test_no_room_for_one_picture_is_an_error(plain, monkeypatch):
    scorer, _ = with_graphs(plain)

    def no_room(items, levels):
        raise torch.OutOfMemoryError(NO_MEMORY)

    monkeypatch.setattr(scorer, "score", no_room)
    with pytest.raises(torch.OutOfMemoryError):
        warm_up(scorer, EXPECTED)


def test_other_errors_of_a_pass_are_not_hidden(plain, monkeypatch):
    scorer, _ = with_graphs(plain)
    done = []

    def fail(items, levels):
        done.append(len(items))
        if len(done) > 1:
            raise RuntimeError("CUDA error: unspecified launch failure")

    monkeypatch.setattr(scorer, "score", fail)
    with pytest.raises(RuntimeError, match="launch failure"):
        warm_up(scorer, EXPECTED)


def test_a_prompt_that_cannot_be_asked_does_not_fail_the_load(plain, caplog):
    scorer, capture = with_graphs(plain)
    warm_up(scorer, WarmUp([["no picture"], [QUALITY]], LEVELS))
    assert capture.shapes == [(bucket, 1) for bucket in (1, 2, 4, 8)]
    assert any("not warmed up for a prompt" in line for line in caplog.messages)


def test_a_cancelled_load_stops(plain):
    scorer, _ = with_graphs(plain)

    def stop(done, total):
        if done == 2:
            raise Cancelled("enough")

    with pytest.raises(Cancelled):
        warm_up(scorer, EXPECTED, stop)
