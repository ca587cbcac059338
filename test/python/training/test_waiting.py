"""Processes wait for work on disks outside of the limit of the training group."""

import time
from datetime import timedelta

import torch.distributed as dist
from gloo import on_ranks
from torch.distributed.distributed_c10d import _set_pg_timeout

from qalign.training.distributed import World


def test_a_process_waits_longer_than_the_training_group_allows() -> None:
    def work(world: World) -> tuple[float, str]:
        _set_pg_timeout(timedelta(seconds=1), dist.group.WORLD)
        begun = time.monotonic()
        if world.rank == 0:
            time.sleep(4)  # as an export does
        world.wait()
        waited = time.monotonic() - begun
        try:
            if world.rank == 0:
                time.sleep(4)
            dist.barrier()
        except RuntimeError as error:
            return waited, str(error)
        return waited, ""

    [_, (waited, refused)] = on_ranks(2, work)
    assert waited > 3
    assert refused, "the group's own barrier does not wait so long"
