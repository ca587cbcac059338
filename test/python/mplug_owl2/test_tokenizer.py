import json
import warnings

import pytest
from golden import GOLDEN, SHARED, tokenizer

from qalign.mplug_owl2.tokenizer import Tokenizer
from qalign.weights.errors import TokenizerError

LLAMA = SHARED / "llama_tokenizer"


def test_llama_ids_of_all_published_prompts():
    if not LLAMA.is_dir():
        warnings.warn(f"NOT RUN: {LLAMA} is missing", stacklevel=1)
        pytest.skip(f"NOT RUN: needs {LLAMA}")
    tokens = Tokenizer(LLAMA)
    published = json.loads((GOLDEN / "prompts.json").read_text())
    texts = published["prompts"] + published["training"]
    assert len(texts) > 30
    for text in texts:
        assert list(tokens.encode(text["text"])) == text["input_ids"], text["text"]
    assert {word: tokens.word_id(word) for word in published["level_ids"]} == published["level_ids"]


@pytest.mark.parametrize("name", ["tiny_a", "tiny_b"])
def test_chunk_rule_with_the_tiny_tokenizers(name):
    tokens = tokenizer(name)
    bos, text = 1, list(tokens.encode("good"))
    assert text[0] == bos
    assert list(tokens.encode("<|image|>")) == [-200]
    assert list(tokens.encode("good<|image|><|image|>good")) == [*text, -200, -200, *text[1:]]
    assert list(tokens.encode("<|image|>good<|image|>good")) == [-200, *text, -200, *text[1:]]
    assert tokens.encode("good</s>") == (*text, 2)


def test_a_damaged_or_missing_tokenizer_is_named(tmp_path):
    with pytest.raises(TokenizerError, match=r"tokenizer\.model does not exist"):
        Tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"not a model")
    with pytest.raises(TokenizerError, match="not a SentencePiece model"):
        Tokenizer(tmp_path)
