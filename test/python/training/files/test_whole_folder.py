from pathlib import Path

import pytest

from qalign.training.files.whole_folder import whole_folder


def test_a_complete_folder_replaces_an_earlier_one(tmp_path: Path) -> None:
    target = tmp_path / "run" / "model"
    for text in ("first", "second"):
        with whole_folder(target) as draft:
            (draft / text).write_text(text)
            assert not (target / text).exists()
        assert [file.name for file in target.iterdir()] == [text]
    assert [folder.name for folder in target.parent.iterdir()] == ["model"]


def test_an_error_keeps_the_earlier_folder_and_its_draft_is_not_reused(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with whole_folder(target) as draft:
        (draft / "good").touch()
    with pytest.raises(OSError, match="full"), whole_folder(target) as draft:
        (draft / "half").touch()
        raise OSError("full")
    assert [file.name for file in target.iterdir()] == ["good"]
    with whole_folder(target) as draft:
        assert not list(draft.iterdir())
