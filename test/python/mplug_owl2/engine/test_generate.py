"""Greedy generation against the literal model and the reference's last logits."""

import pytest
import torch
from golden import GOLDEN, TINY, cases

from qalign.mplug_owl2.engine.load import load_scorer
from qalign.mplug_owl2.normalise import CLIP, normalisation_table, normalise
from qalign.weights.answers import ScoreItem
from qalign.weights.errors import Cancelled


@pytest.fixture(scope="module", params=TINY)
def tiny(request):
    return request.param, load_scorer(str(GOLDEN / request.param / "model"))


def said(scorer, case, count):
    (answer,) = scorer.generate([ScoreItem(case.visuals, [case.prompt])], count)
    assert answer.error is None
    return answer.prompts[0]


def test_the_first_token_is_the_most_probable_of_the_reference(tiny):
    name, scorer = tiny
    for case in list(cases(name).values())[:6]:
        token = int(case.last_logits.argmax())
        got = said(scorer, case, 1)
        ended = token == scorer.tokenizer.end_id
        assert (got.tokens, got.finished) == ((0, True) if ended else (1, False)), case.name
        assert got.text == ("" if ended else scorer.tokenizer.decode([token])), case.name


def test_every_token_is_the_most_probable_after_its_predecessors(tiny):
    name, scorer = tiny
    case = next(iter(cases(name).values()))
    table = normalisation_table(CLIP)
    ids = list(scorer.tokenizer.encode(case.prompt))
    expected = []
    pixels = torch.cat([normalise(visual, table, torch.float32) for visual in case.visuals])
    with torch.inference_mode():
        for _ in range(6):
            logits = scorer.model([ids + expected], [[len(visual) for visual in case.visuals]], pixels)[0, -1]
            token = int(logits.argmax())
            if token == scorer.tokenizer.end_id:
                break
            expected.append(token)
    got = said(scorer, case, 6)
    assert got.tokens == len(expected)
    assert got.text == scorer.tokenizer.decode(expected)


def test_a_bad_item_fails_alone_and_generation_can_be_stopped(tiny):
    name, scorer = tiny
    case = next(iter(cases(name).values()))
    bad, good = scorer.generate([ScoreItem(case.visuals, ["no marker"]), ScoreItem(case.visuals, [case.prompt])], 2)
    assert "0 image markers" in str(bad.error)
    assert good.error is None

    def stop():
        raise Cancelled("stopped")

    scorer.on_step = stop
    try:
        with pytest.raises(Cancelled):
            said(scorer, case, 2)
    finally:
        scorer.on_step = lambda: None
