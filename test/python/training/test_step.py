"""A diverging run ends before its weights are damaged."""

import math

import pytest

from qalign.training.errors import Diverged
from qalign.training.step import REMEMBERED, DivergenceGuard


@pytest.mark.parametrize(("loss", "norm"), [(math.nan, 1.0), (1.0, math.inf), (-math.inf, 1.0)])
def test_a_loss_that_is_not_finite_has_diverged(loss: float, norm: float) -> None:
    with pytest.raises(Diverged, match="Step 3 gave loss"):
        DivergenceGuard().check(3, loss, norm)


def test_a_loss_far_above_the_last_ones_has_diverged() -> None:
    guard = DivergenceGuard()
    guard.check(1, 1e9, 1.0)  # no earlier loss to compare with
    for step in range(2, REMEMBERED + 2):
        guard.check(step, 0.5, 1.0)
    guard.check(REMEMBERED + 2, 9.9, 1.0)  # under 20 times the average
    with pytest.raises(Diverged, match="on average"):
        guard.check(REMEMBERED + 3, 50.0, 1.0)
