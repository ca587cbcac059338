"""Passes of the engine: their bounds, their order, and words of several tokens."""

import pytest
import torch

pytest.importorskip("transformers", reason="NOT RUN: needs the Python package transformers")

import tiny

from qalign.transformers_backend.engine import Limits
from qalign.transformers_backend.load import load_scorer
from qalign.weights.answers import ChatPrompt, ScoreItem
from qalign.weights.errors import Cancelled, InvalidInput, NonFinite

QUESTION = ChatPrompt("<|image|>How would you rate the quality of this image?", "The quality of the image is")
OTHER = ChatPrompt("<|image|>How is the aesthetics of this picture?", "The aesthetics of the picture is")
WORDS = ["excellent", "unacceptable", "good picture"]


@pytest.fixture(scope="module", params=["qwen3_5", "qwen3_vl", "gemma3"])
def folder(request, tmp_path_factory):
    made = tmp_path_factory.mktemp(request.param)
    tiny.write(made, request.param)
    return made


@pytest.fixture
def scorer(folder):
    return load_scorer(str(folder))


def pixels(*sizes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, 256, (1, h, w, 3), dtype=torch.uint8, generator=generator) for h, w in sizes]


def items(*sizes, prompts=(QUESTION, OTHER), seed=0):
    return [ScoreItem([one], list(prompts)) for one in pixels(*sizes, seed=seed)]


def recorded(scorer):
    """The shapes of the passes of the language model, as they happen."""
    shapes = []
    whole = scorer.engine._pass

    def record(questions):
        shapes.append((len(questions), max(len(question.ids) for question in questions)))
        return whole(questions)

    scorer.engine._pass = record
    return shapes


def test_a_batch_is_split_into_passes_of_bounded_size(scorer):
    batch = items(*[(64, 64 + 32 * number) for number in range(6)])
    whole = scorer.score(batch, tiny.LEVELS)
    scorer.engine.limits = Limits(values=2 * 64 * 96 * 3, positions=100)
    shapes = recorded(scorer)
    split = scorer.score(batch, tiny.LEVELS)
    assert sum(count for count, _ in shapes) == 12
    assert all(count == 1 or count * length <= 100 for count, length in shapes)
    assert len(shapes) >= 4
    for one, other in zip(whole, split, strict=True):
        for a, b in zip(one.prompts, other.prompts, strict=True):
            assert a.logits == pytest.approx(b.logits, abs=2e-5)


def test_pictures_of_very_different_sizes_are_not_padded_to_the_longest(tmp_path):
    tiny.write(tmp_path, "qwen3_vl")
    scorer = load_scorer(str(tmp_path))
    shapes = recorded(scorer)
    scorer.score(items((32, 32), (32, 64), (384, 384), prompts=[QUESTION]), tiny.LEVELS)
    assert sorted(count for count, _ in shapes) == [1, 2]


def test_pictures_are_encoded_once_for_all_prompts(scorer):
    calls = []
    whole = scorer.engine.model.model.get_image_features

    def record(*args, **options):
        calls.append(args)
        return whole(*args, **options)

    scorer.engine.model.model.get_image_features = record
    (found,) = scorer.score(items((64, 64), prompts=[QUESTION, OTHER, QUESTION]), tiny.LEVELS)
    assert len(calls) == 1
    assert found.prompts[0].logits == pytest.approx(found.prompts[2].logits, abs=2e-5)
    assert found.prompts[0].logits != pytest.approx(found.prompts[1].logits, abs=1e-3)


def test_a_question_without_a_picture_is_scored(scorer):
    alone = ScoreItem([], [ChatPrompt("How is the quality?", "The quality is")])
    first, second = scorer.score([alone, *items((64, 64), prompts=[QUESTION])], tiny.LEVELS)
    assert first.error is None and second.error is None
    (again,) = scorer.score([alone], tiny.LEVELS)
    assert first.prompts[0].logits == pytest.approx(again.prompts[0].logits, abs=2e-5)


def test_log_probabilities_of_whole_words_are_those_of_teacher_forcing(folder):
    scorer = load_scorer(str(folder), chat={"thinking": False, "level_tokens": {"mode": "sequence"}})
    batch = items((64, 64), (64, 128))
    scores = scorer.score(batch, WORDS)
    for item, found in zip(batch, scores, strict=True):
        pictures, asked = scorer._prepared(item, WORDS)
        assert [len(ids) > 1 for ids in asked[0].levels.values()] == [False, True, True]
        for prompt, scored in zip(asked, found.prompts, strict=True):
            assert scored.log_sum_exp == 0 and scored.level_tokens == prompt.levels
            wanted = [forced(scorer, pictures, prompt.ids, ids) for ids in prompt.levels.values()]
            assert scored.logits == pytest.approx(wanted, abs=5e-5)


def forced(scorer, pictures, ids, word):
    """The sum of log-probabilities of a word, by one pass of transformers for each of its tokens."""
    from qalign.transformers_backend.engine import Question

    (features,) = scorer.engine.encode([pictures])
    total = 0.0
    for number, token in enumerate(word):
        before = [*ids, *word[:number]]
        types = scorer._processor.create_mm_token_type_ids([before])[0]
        question = Question(before, types, pictures.grids, features, [range(scorer.engine.head.shape[0])])
        ((reading,),) = scorer.engine.ask([question])
        total += torch.tensor(reading.logits).log_softmax(0)[token].item()
    return total


def test_words_of_several_tokens_need_that_mode(scorer):
    (found,) = scorer.score(items((64, 64), prompts=[QUESTION]), WORDS)
    assert isinstance(found.error, InvalidInput) and "'unacceptable'" in str(found.error)


def test_nan_is_an_error_of_its_item(scorer):
    weights = scorer.engine.model.get_output_embeddings().weight
    with torch.inference_mode():
        weights[3] = float("nan")
    (found,) = scorer.score(items((64, 64), prompts=[QUESTION]), tiny.LEVELS)
    assert isinstance(found.error, NonFinite)


def test_a_step_can_stop_the_computation(scorer):
    def stop():
        raise Cancelled("stopped")

    scorer.on_step = stop
    with pytest.raises(Cancelled):
        scorer.score(items((64, 64)), tiny.LEVELS)
    scorer.on_step = lambda: None
    assert scorer.score(items((64, 64)), tiny.LEVELS)[0].error is None
