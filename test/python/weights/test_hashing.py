"""The wait for a digest reports the bytes that were read, and an error elsewhere stops the reading."""

import hashlib
import threading
import time

import pytest

from qalign.weights.digest import weights_sha256
from qalign.weights.hashing import Hashing


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"x" * (3 << 20))
    return path


def test_the_wait_on_a_slow_disk_reports_bytes(file, tmp_path):
    def slow(files, on_bytes):
        def delayed(count):
            time.sleep(0.05)
            on_bytes(count)

        return weights_sha256(files, tmp_path / "cache", delayed)

    told = []
    with Hashing([file], slow, report_s=0.02) as hashing:
        digest = hashing.result(lambda *progress: told.append(progress))
    assert digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert told and all(row == ("hash", row[1], 3 << 20, "bytes") for row in told)
    assert [row[1] for row in told] == sorted({row[1] for row in told})


def test_a_disk_that_hangs_gives_no_report(file):
    goes_on = threading.Event()
    told = []

    def hangs(files, on_bytes):
        goes_on.wait(10)
        return "digest"

    with Hashing([file], hangs, report_s=0.01) as hashing:
        threading.Timer(0.2, goes_on.set).start()
        assert hashing.result(lambda *progress: told.append(progress)) == "digest"
    assert not told


def test_an_error_of_the_load_stops_the_reading(file):
    read = []
    ended = threading.Event()

    def endless(files, on_bytes):
        try:
            while True:
                on_bytes(1)
                read.append(1)
                time.sleep(0.001)
        finally:
            ended.set()

    with pytest.raises(MemoryError), Hashing([file], endless):
        raise MemoryError
    assert ended.wait(5)


def test_an_error_of_the_disk_is_raised(file):
    def fails(files, on_bytes):
        raise TimeoutError("the disk does not answer")

    with Hashing([file], fails) as hashing, pytest.raises(TimeoutError, match="the disk"):
        hashing.result(lambda *progress: None)


def test_a_report_can_stop_the_wait(file):
    def stop(*progress):
        raise InterruptedError

    def endless(files, on_bytes):
        while True:
            time.sleep(0.001)
            on_bytes(1)

    with Hashing([file], endless, report_s=0.01) as hashing, pytest.raises(InterruptedError):
        hashing.result(stop)


def test_bytes_of_the_cache_count(file, tmp_path):
    for _ in range(2):
        told = []
        weights_sha256([file], tmp_path / "cache", told.append)
        assert sum(told) == 3 << 20
