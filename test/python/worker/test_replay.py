"""--replay runs requests without Node and ZeroMQ, with the same answers as over the bridge."""

import base64
import json
from pathlib import Path

import pytest

from qalign.worker.__main__ import main

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / "test/fixtures/golden/tiny_a"
LEVELS = ["excellent", "good", "fair", "poor", "bad"]
LOAD = {
    "id": "1",
    "method": "load_model",
    "params": {"model": str(GOLDEN / "model"), "device": "cpu", "precision": "fp32", "offline": True},
}


def score(pixels: bytes, **change) -> dict:
    params = {
        "items": [
            {
                "id": "x",
                "visuals": [{"frames": 1}],
                "prompts": [{"text": "USER: <|image|> The quality of the image is"}],
            }
        ],
        "levels": LEVELS,
        "buffers": [{"dtype": "uint8", "shape": [1, 56, 56, 3]}],
    }
    buffers = [{"base64": base64.b64encode(pixels).decode()}]
    return {"id": "2", "method": "score", "params": params | change, "buffers_from": buffers}


def run(tmp_path: Path, capsys, *requests) -> tuple[int, list[dict]]:
    file = tmp_path / "request.json"
    file.write_text(json.dumps(list(requests)))
    code = main(["--replay", str(file)])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_scores(tmp_path, capsys):
    code, answers = run(tmp_path, capsys, LOAD, score(bytes(56 * 56 * 3)))
    assert code == 0
    assert answers[0]["result"]["model"]["image_size"] == 56
    [item] = answers[1]["result"]["items"]
    assert len(item["prompts"][0]["logits"]) == 5


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (score(bytes(56 * 56 * 3)), "MODEL_NOT_LOADED"),
        ({"id": "1", "method": "shell", "params": {}}, "UNKNOWN_METHOD"),
        ({"id": "1", "method": "load_model", "params": {"model": "x"}}, "INVALID_REQUEST"),
        (LOAD | {"params": LOAD["params"] | {"model": "/nowhere"}}, "MODEL_NOT_FOUND"),
        (LOAD | {"params": LOAD["params"] | {"device": "cuda:99"}}, "DEVICE_UNAVAILABLE"),
    ],
)
def test_errors_are_typed(tmp_path, capsys, request_, code):
    exit_code, [answer] = run(tmp_path, capsys, request_)
    assert exit_code == 1
    assert answer["error"]["code"] == code


def test_short_buffer_is_refused(tmp_path, capsys):
    code, answers = run(tmp_path, capsys, LOAD, score(bytes(10)))
    assert code == 1
    assert answers[1]["error"]["code"] == "INVALID_REQUEST"
    assert "10 bytes" in answers[1]["error"]["message"]


def test_unusable_file(tmp_path, capsys):
    file = tmp_path / "request.json"
    file.write_text("{")
    assert main(["--replay", str(file)]) == 2
    assert "cannot be replayed" in capsys.readouterr().err
