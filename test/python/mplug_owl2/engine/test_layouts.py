"""Prompts of unusual layouts, together in one pass, equal the literal model."""

import pytest
import torch
from golden import TINY, TOLERANCE, load_tiny, worst

from qalign.mplug_owl2.engine.engine import Engine, Question
from qalign.mplug_owl2.engine.layout import plan_layout
from qalign.mplug_owl2.model import IMAGE_TOKEN

LAYOUTS = {
    "picture": ((1, 5, 6, IMAGE_TOKEN, 7, 8), (1,)),
    "no prefix": ((IMAGE_TOKEN, 7, 9), (1,)),
    "the last row is an image row": ((1, 4, IMAGE_TOKEN), (1,)),
    "only a picture": ((IMAGE_TOKEN,), (2,)),
    "two visuals": ((1, 5, IMAGE_TOKEN, 7, IMAGE_TOKEN, 3), (1, 3)),
    "adjacent visuals": ((1, 5, IMAGE_TOKEN, IMAGE_TOKEN, 3), (2, 1)),
    "clip": ((1, 5, 6, IMAGE_TOKEN, 7, 8), (5,)),
    "another prefix": ((1, 9, IMAGE_TOKEN, 7, 8), (1,)),
    "text only": ((1, 5, 6, 4), ()),
    "one token": ((3,), ()),
}


@pytest.fixture(scope="module", params=[(name, unequal) for name in TINY for unequal in (False, True)])
def both(request):
    """The literal model's function of ids and features, and an engine with the same weights."""
    name, unequal = request.param
    literal, fast = load_tiny(name), load_tiny(name)
    for model in (literal, fast):
        for module in model.modules():
            if unequal and hasattr(module, "multiway") and hasattr(module.multiway[1], "eps"):
                module.multiway[0].eps, module.multiway[1].eps = 1e-2, 0.3
    return literal, Engine(fast)


@torch.inference_mode()
@pytest.mark.parametrize(
    "chosen",
    [*([name] for name in LAYOUTS), [*LAYOUTS, *reversed(LAYOUTS)], ["picture"] * 3 + ["clip"] * 2 + ["text only"]],
    ids=lambda names: names[0] if len(names) == 1 else f"{len(names)} together",
)
def test_every_layout_equals_the_literal_model(both, chosen):
    literal, engine = both
    tokens = engine.config.tokens_per_frame
    level_ids = torch.tensor([3, 4, 5])
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(40 + 2, tokens, engine.config.hidden_size, generator=generator)
    questions, want, at = [], [], 2  # frames before the first and after the last are not read
    for name in chosen:
        ids, frames = LAYOUTS[name]
        questions.append(Question(plan_layout(ids, frames, tokens), at))
        visuals = [
            features[at : at + sum(frames)][start - count : start].flatten(0, 1) for start, count in ends(frames)
        ]
        x, image_rows = literal.embed_sequence(
            list(ids), [visual.view(-1, tokens, visual.shape[1]) for visual in visuals]
        )
        logits = literal.forward_embedded(x[None], image_rows[None])[0, -1]
        want.append(torch.cat([logits[level_ids], logits.logsumexp(0, keepdim=True)]))
        at += sum(frames)
    order = [index for chunk in engine.chunks(questions) for index in chunk]
    got = engine.ask([questions[index] for index in order], features, level_ids)
    assert worst(got, torch.stack([want[index] for index in order])) < TOLERANCE


def ends(frames):
    total = 0
    for count in frames:
        total += count
        yield total, count


@torch.inference_mode()
def test_the_operators_equal_the_direct_calls(both, monkeypatch):
    """The path of CUDA through the dispatcher, here with its CPU implementations."""
    _, engine = both
    tokens = engine.config.tokens_per_frame
    questions = [Question(plan_layout(*LAYOUTS[name], tokens), 0) for name in ("picture", "clip", "two visuals")]
    features = torch.randn(5, tokens, engine.config.hidden_size)
    want = engine.ask(questions, features, torch.tensor([3]))
    language = engine.language
    plan, constants = engine.plan(questions)
    prefixes, cos, sin = constants
    layer, x = language.layers[0], torch.randn(len(plan.order), language.widths[0])
    normed = torch.ops.qalign.rms_rows(x, layer.input_norm.weights, 1e-5, 1e-4, plan.ways, plan.order)
    image, text = layer.keys_and_values(normed, plan.images)
    rows = plan.all
    tables = rows.query_rows, rows.places, plan.key_rows, plan.key_places
    query, keys = torch.ops.qalign.in_sequence(normed, image, text, prefixes[0], *tables, cos, sin, language.heads)
    runs = [number for run in rows.spans.runs for number in run]
    starts = rows.spans.query_starts, rows.spans.key_starts
    packed = torch.ops.qalign.causal_attention(query, keys, *starts, language.heads, runs, "varlen")
    # each sequence alone, by the literal formula
    for first, last, begin, end in zip(starts[0], starts[0][1:], starts[1], starts[1][1:], strict=False):
        split = [
            part.unflatten(1, (language.heads, -1)).transpose(0, 1)
            for part in (query[first:last], *keys[begin:end].chunk(2, 1))
        ]
        scores = split[0] @ split[1].mT * split[0].shape[-1] ** -0.5
        future = torch.ones(last - first, end - begin, dtype=torch.bool).triu(1 + (end - begin) - (last - first))
        alone = (scores.masked_fill(future, float("-inf")).softmax(-1) @ split[2]).transpose(0, 1).flatten(1)
        assert worst(packed[first:last], alone) < 1e-5
    assert worst(engine.ask(questions, features, torch.tensor([3])), want) == 0
