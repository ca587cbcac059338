"""The literal model against the reference values of the published implementation."""

import pytest
import torch
from golden import TINY, TOLERANCE, cases, literal_logits, load_tiny, prepared, scores, tensors, tokenizer, worst

from qalign.mplug_owl2.model import expand_ids
from qalign.mplug_owl2.normalise import CLIP, normalisation_table, normalise

STAGES = ("image_00", "image_01", "two_images", "video_3")


@pytest.fixture(scope="module", params=TINY)
def tiny(request):
    return request.param, load_tiny(request.param)


def test_every_case_has_the_reference_ids_and_logits(tiny):
    name, model = tiny
    for case in cases(name).values():
        assert list(tokenizer(name).encode(case.prompt)) == case.input_ids, case.name
        logits = literal_logits(model, case)
        assert worst(logits, case.last_logits) < TOLERANCE, case.name
        assert worst(logits[scores(name)["level_ids"]], case.level_logits) < TOLERANCE, case.name


def test_level_words_have_the_reference_ids(tiny):
    name, _ = tiny
    words = ("excellent", "good", "fair", "poor", "bad")
    assert [tokenizer(name).word_id(word) for word in words] == scores(name)["level_ids"]


@torch.inference_mode()
def test_every_stage_equals_the_reference(tiny):
    name, model = tiny
    for label in STAGES:
        case, expected = cases(name)[label], tensors(name)
        pixels = normalise(case.pixels, normalisation_table(CLIP), torch.float32)
        assert torch.equal(pixels, expected[f"{label}.pixel_values"])
        vision = model.model.vision_model(pixels)
        assert worst(vision, expected[f"{label}.vision"]) < TOLERANCE
        features = model.model.visual_abstractor(vision)
        assert worst(features, expected[f"{label}.abstractor"]) < TOLERANCE
        x, image_rows = model.embed_sequence(case.input_ids, list(features.split(case.frames)))
        hidden = []
        logits = model.forward_embedded(x[None], image_rows[None], hidden.append)
        for layer, state in enumerate(hidden):
            assert worst(state[0], expected[f"{label}.hidden.{layer}"]) < TOLERANCE, (label, layer)
        assert worst(logits[0], expected[f"{label}.logits"]) < TOLERANCE


@torch.inference_mode()
def test_a_batch_of_unequal_lengths_equals_its_items(tiny):
    name, model = tiny
    chosen = [cases(name)[label] for label in ("video_7", "image_00", "two_images", "video_2")]
    pixels = normalise(torch.cat([case.pixels for case in chosen]), normalisation_table(CLIP), torch.float32)
    logits = model([case.input_ids for case in chosen], [case.frames for case in chosen], pixels)
    for row, case in zip(logits, chosen, strict=True):
        length = len(expand_ids(case.input_ids, case.frames, model.config.tokens_per_frame))
        assert worst(row[length - 1], case.last_logits) < TOLERANCE, case.name


@torch.inference_mode()
def test_the_reference_batch_of_four(tiny):
    name, model = tiny
    batch = scores(name)["batch4"]
    ids = tokenizer(name).encode(batch["prompt"])
    frames = torch.stack([prepared(name)[file] for file in batch["inputs"]])
    logits = model([ids] * 4, [[1]] * 4, normalise(frames, normalisation_table(CLIP), torch.float32))
    assert worst(logits[:, -1], tensors(name)["batch4.last_logits"]) < TOLERANCE


def test_the_literal_model_is_differentiable(tiny):
    name, model = tiny
    case = cases(name)["two_images"]
    pixels = normalise(case.pixels, normalisation_table(CLIP), torch.float32)
    model.zero_grad()
    model([case.input_ids], [case.frames], pixels).logsumexp(-1).sum().backward()
    silent = [key for key, value in model.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert silent == []
