"""Runs a function on several processes that share a gloo group, forked so that torch is imported once."""

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from typing import Any

from qalign.training.distributed import World, join_world


def on_ranks(size: int, work: Callable[[World], Any]) -> list[Any]:
    """The result of `work` on each rank. A failure of any rank fails the test."""
    context = multiprocessing.get_context("fork")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    queue = context.SimpleQueue()

    def rank_work(rank: int) -> None:
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        try:
            queue.put((rank, work(join_world("cpu")), None))
        except BaseException:
            queue.put((rank, None, traceback.format_exc()))
        os._exit(0)

    ranks = [context.Process(target=rank_work, args=(rank,)) for rank in range(size)]
    for one in ranks:
        one.start()
    found: dict[int, Any] = {}
    try:
        for _ in ranks:
            rank, result, error = queue.get()
            assert error is None, f"rank {rank} failed:\n{error}"
            found[rank] = result
    finally:
        for one in ranks:
            one.kill()
            one.join()
    return [found[rank] for rank in range(size)]
