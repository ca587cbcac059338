"""Where a path of the recipe is read."""

import json
from pathlib import Path

import pytest

from qalign.training.files.held import place_of


def test_a_held_path_is_read_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_of("/models/tiny") == Path("/models/tiny")
    monkeypatch.setenv("QALIGN_HELD", json.dumps({"/models/tiny": "/held/0/tiny"}))
    assert place_of("/models/tiny") == Path("/held/0/tiny")
    assert place_of("/models/other") == Path("/models/other")
