"""The rule for tokens of level words, with a vocabulary of a few pieces. It needs no transformers."""

import pytest

from qalign.transformers_backend.levels import LevelTokens, after_stem
from qalign.weights.errors import InvalidInput

PIECES = [
    " good",
    " bad",
    " poor",
    " ex",
    "cellent",
    " fair",
    "good",
    "bad",
    "Ex",
    "ex",
    "is",
    " is",
    " ",
    "a",
    "b",
    "i",
]
PIECES += ["s", "e", "p", "o", "r", "g", "d", " b"]


def encode(text):
    """The longest piece first, from left to right."""
    ids = []
    while text:
        piece = max((piece for piece in PIECES if text.startswith(piece)), key=len)
        ids.append(PIECES.index(piece))
        text = text[len(piece) :]
    return ids


def find(settings, words, rendered="a is", vocabulary=100):
    return LevelTokens(settings, vocabulary).find(rendered, words, encode, encode)


def test_a_word_is_read_at_its_token_after_the_stem_and_a_space():
    assert find(None, ["good", "bad"]) == {"good": [0], "bad": [1]}


def test_a_word_of_several_tokens_is_refused_by_name():
    with pytest.raises(InvalidInput, match=r"not 'excellent' \(2 tokens\).*mode sequence"):
        find(None, ["excellent", "good"])


def test_a_stem_whose_last_token_changes_is_refused():
    assert encode("a is good")[:2] == encode("a is") and encode("a is good")[:3] != encode("a is ")
    with pytest.raises(InvalidInput, match=r"change before the level word 'good'.*without a space"):
        find(None, ["good", "bad"], "a is ")


def test_a_stem_that_ends_in_white_space_gets_no_second_space():
    assert after_stem("\u00a0".replace("\u00a0", "a "), ["x"], lambda text: [ord(sign) for sign in text]) == {
        "x": [120]
    }


def test_words_with_equal_tokens_are_refused():
    with pytest.raises(InvalidInput, match=r"'good' and 'bad' have the same tokens \[7\]"):
        find({"mode": "ids", "ids": {"good": [7], "bad": [7, 8]}}, ["good", "bad"])


def test_alone_reads_the_first_token_of_the_bare_word():
    assert find({"mode": "alone"}, ["good", "excellent"]) == {"good": [6], "excellent": [9]}
    with pytest.raises(InvalidInput, match="same tokens"):
        find({"mode": "alone"}, ["excellent", "ex"])


def test_given_ids_are_read_and_missing_words_are_named():
    settings = {"mode": "ids", "ids": {"good": [7], "bad": [8, 9]}}
    assert find(settings, ["bad", "good"]) == {"bad": [8], "good": [7]}
    with pytest.raises(InvalidInput, match="not for 'poor'"):
        find(settings, ["good", "poor"])


def test_ids_outside_of_the_logits_are_refused():
    with pytest.raises(InvalidInput, match="not below 8"):
        find({"mode": "ids", "ids": {"good": [7], "bad": [8]}}, ["good", "bad"], vocabulary=8)


def test_sequence_reads_all_tokens_of_each_word():
    found = LevelTokens({"mode": "sequence"}, 100)
    assert found.whole_words and not LevelTokens(None, 100).whole_words
    assert find({"mode": "sequence"}, ["excellent", "good"]) == {"excellent": [3, 4], "good": [0]}


def test_a_word_without_tokens_and_no_words_are_refused():
    with pytest.raises(InvalidInput, match="have no tokens"):
        LevelTokens({"mode": "alone"}, 9).find("a", ["good"], encode, lambda word: [])
    with pytest.raises(InvalidInput, match="No level words"):
        find(None, [])
