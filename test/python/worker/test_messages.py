"""Python's validator accepts and rejects the golden messages of bridge/examples."""

import json
from pathlib import Path

import pytest

from qalign.protocol import ERROR_CODES
from qalign.schemas import problem_with

EXAMPLES = Path(__file__).parents[3] / "bridge" / "examples"


def read(folder: str) -> list:
    files = sorted((EXAMPLES / folder).glob("*.json"))
    return [pytest.param(json.loads(file.read_text()), id=file.stem) for file in files]


@pytest.mark.parametrize("example", read("accepted"))
def test_accepts(example):
    assert problem_with(example["message"], example["value"]) is None


@pytest.mark.parametrize("example", read("rejected"))
def test_rejects(example):
    assert problem_with(example["message"], example["value"]) is not None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_is_never_sent(value):
    item = {"id": "0", "prompts": [{"logits": [value], "log_sum_exp": 1.0, "positions": 92}]}
    result = {"items": [item], "timings": {"compute_ms": 1}}
    assert problem_with("score_result", result) == "NaN or infinity"


def test_every_model_error_has_a_registered_code():
    from qalign.weights import errors

    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert classes and all(cls.code in ERROR_CODES for cls in classes)
