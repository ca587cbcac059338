from golden import GOLDEN

from qalign.weights.digest import weights_sha256
from qalign.weights.layout import weight_files


def test_hashes_are_cached_and_stale_entries_are_not_used(checkpoint, tmp_path):
    file = checkpoint("tiny_a") / "model.safetensors"
    cache = tmp_path / "cache"
    first = weights_sha256([file], cache)
    assert first == weights_sha256([file], cache)
    assert len(list(cache.rglob("*"))) == 2
    with file.open("ab") as stream:
        stream.write(b"x")
    assert weights_sha256([file], cache) != first
    both = sorted(weight_files(GOLDEN / "tiny_b" / "model"))
    assert weights_sha256(both, cache) == weights_sha256(both[::-1], cache)
