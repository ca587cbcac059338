"""The methods encode, score by frame range, and release, called with messages."""

import pytest
import torch
from golden import GOLDEN, LEVELS

from qalign.worker.dispatch import dispatch
from qalign.worker.handlers import Handlers

PROMPT = "USER: rate the video\n<|image|>\nASSISTANT: The quality is"


@pytest.fixture(scope="module")
def ask():
    handlers = Handlers(lambda: None)

    def call(method, params, *buffers):
        answer = dispatch(handlers, {"id": "1", "method": method, "params": params}, buffers, lambda progress: None)
        return answer.get("result", answer.get("error"))

    call.load = lambda: call(
        "load_model",
        {"model": str(GOLDEN / "tiny_a" / "model"), "device": "cpu", "precision": "fp32", "offline": True},
    )
    assert call("release", {"clip": "a"}) == {"clips": 0, "bytes": 0}
    call.model = call.load()["model"]
    return call


def pixels(frames):
    torch.manual_seed(frames)
    return torch.randint(0, 256, (frames, 56, 56, 3), dtype=torch.uint8)


def declared(part):
    return {"dtype": "uint8", "shape": list(part.shape)}


def encode(ask, clip, first, part):
    params = {"clip": clip, "first": first, "buffers": [declared(part)]}
    return ask("encode", params, part.numpy().tobytes())


def score(ask, *items):
    """Pixels or (clip, first, frames) for each item."""
    rows = [
        {
            "id": str(number),
            "visuals": [
                {"frames": len(one)}
                if isinstance(one, torch.Tensor)
                else dict(zip(("clip", "first", "frames"), one, strict=True))
            ],
            "prompts": [{"text": PROMPT}],
        }
        for number, one in enumerate(items)
    ]
    sent = [one for one in items if isinstance(one, torch.Tensor)]
    params = {"items": rows, "levels": LEVELS, "buffers": [declared(one) for one in sent]}
    return ask("score", params, *[one.numpy().tobytes() for one in sent])["items"]


def test_a_clip_in_chunks_its_ranges_and_its_release(ask):
    clip, picture = pixels(7), pixels(1)
    assert encode(ask, "a", 0, clip[:4])["frames"] == 4
    assert encode(ask, "a", 4, clip[4:])["frames"] == 7
    answers = score(ask, ("a", 0, 7), picture, ("a", 2, 3), clip, clip[2:5], ("b", 0, 1))
    assert [set(answer) - {"id"} for answer in answers] == [{"prompts"}] * 5 + [{"error"}]
    assert answers[5]["error"]["code"] == "CLIP_UNKNOWN"
    for kept, whole in ((0, 3), (2, 4)):
        assert answers[kept]["prompts"][0]["logits"] == pytest.approx(answers[whole]["prompts"][0]["logits"], abs=1e-5)
        assert answers[kept]["prompts"][0]["positions"] == answers[whole]["prompts"][0]["positions"]
    encode(ask, "other", 0, clip[:1])
    kept = ask("release", {"clip": "a"})
    assert kept["clips"] == 1 and 0 < kept["bytes"] < 1e6
    assert ask("release", {"clip": "a"}) == kept
    assert score(ask, ("a", 0, 7))[0]["error"]["code"] == "CLIP_UNKNOWN"
    assert ask("release", {"clip": "other"}) == {"clips": 0, "bytes": 0}


def test_loading_another_model_drops_the_clips_of_the_last(ask):
    encode(ask, "a", 0, pixels(2))
    ask.load()
    assert score(ask, ("a", 0, 2))[0]["error"]["code"] == "CLIP_UNKNOWN"
    assert encode(ask, "a", 2, pixels(2))["code"] == "CLIP_UNKNOWN"


def test_invalid_requests_are_refused(ask):
    part = pixels(2)
    params = {"clip": "a", "first": 0, "buffers": [declared(part)]}
    assert ask("encode", params, part.numpy().tobytes()[:-1])["code"] == "INVALID_REQUEST"
    assert ask("encode", params)["code"] == "INVALID_REQUEST"
    small = part[:, :28, :28].contiguous()
    assert encode(ask, "a", 0, small)["code"] == "INVALID_REQUEST"
    assert ask("release", {"clip": "a"}) == {"clips": 0, "bytes": 0}


def test_the_longest_sequence_is_null_if_the_model_does_not_state_it(ask, checkpoint):
    import json

    assert ask.model["max_positions"] > 0
    folder = checkpoint("tiny_a")
    config = json.loads((folder / "config.json").read_text())
    del config["max_position_embeddings"]
    (folder / "config.json").write_text(json.dumps(config))
    loaded = ask("load_model", {"model": str(folder), "device": "cpu", "precision": "fp32", "offline": True})
    assert loaded["model"]["max_positions"] is None
    ask.load()
