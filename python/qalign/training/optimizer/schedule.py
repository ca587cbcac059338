"""The learning rate as a pure function of the step, so that a resumed run needs no scheduler state."""

import math


def learning_rate_factor(kind: str, step: int, total: int, warmup: int) -> float:
    """Factor in [0, 1] for the update with 0-based index `step` of `total`.

    cosine: linear over `warmup` updates, then half a cosine to 0. one_cycle: the same with cosine warm-up and a floor
    of 1/25 at the start. constant: after the warm-up, 1.
    """
    if step < warmup:
        rise = (step + 1) / warmup if kind != "one_cycle" else 0.04 + 0.96 * (1 - math.cos(math.pi * step / warmup)) / 2
        return rise
    if kind == "constant":
        return 1.0
    progress = (step - warmup) / max(1, total - warmup)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
