"""Runs independent work on the cores of a CPU, each part on one core."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch
from torch import Tensor


def side_by_side(work: Callable[[Tensor], Tensor], parts: Sequence[Tensor]) -> list[Tensor]:
    """`work` of each part, in order. Needs a caller without gradients.

    As many parts run at once as torch has threads. Each part uses one thread, so its bits do not depend on the number
    of cores or of parts. Small convolutions use two cores better in this way than as two threads of one convolution.
    """
    inference = torch.is_inference_mode_enabled()

    def run(part: Tensor) -> Tensor:
        with torch.inference_mode(inference), torch.no_grad():
            return work(part)

    return list(_pool(torch.get_num_threads()).map(run, parts))


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, "qalign-part", initializer=lambda: torch.set_num_threads(1))
