"""Passes before the first request, so that it does not pay for contexts, plans, kernels and graphs."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from qalign.weights.answers import ScoreItem
from qalign.weights.errors import InvalidInput, OutOfRoom, TokenizerError

from .graphs import BUCKETS, KEPT
from .memory import give_back, is_out_of_memory
from .scorer import Scorer

PROMPT, LEVELS = "<|image|>\nASSISTANT:", ("good", "bad")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WarmUp:
    """The expected requests. Each entry of `prompts` has all prompts about one picture; `levels` are level words."""

    prompts: Sequence[Sequence[str]]
    levels: Sequence[str]


def warm_up(
    scorer: Scorer, wanted: WarmUp | None, on_pass: Callable[[int, int], None] = lambda done, total: None
) -> None:
    """Score black pictures, and capture the graphs of the expected requests in batches of `BUCKETS` pictures.

    Without expected requests, one picture is scored. `on_pass` gets the passes that are done and their number. It can
    raise to stop. Raises torch's out-of-memory errors when there is no room for one picture. A later pass without room
    is skipped with a log line.
    """
    passes = _passes(scorer, wanted)
    for done, run in enumerate(passes):
        on_pass(done, len(passes))
        try:
            run()
        except (InvalidInput, OutOfRoom, TokenizerError) as error:
            log.warning("the model is not warmed up for a prompt: %s", error)
        except RuntimeError as error:
            if done == 0 or not is_out_of_memory(error):
                raise
            log.warning("pass %d of the warm-up is skipped, because it ran out of memory: %s", done + 1, str(error))
        else:
            continue
        give_back()  # after the handlers, whose tracebacks hold the memory of the pass
    on_pass(len(passes), len(passes))
    give_back()


def _passes(scorer: Scorer, wanted: WarmUp | None) -> list[Callable[[], object]]:
    black = torch.zeros(1, *scorer.engine.config.frame_shape, dtype=torch.uint8)

    def score(prompts: Sequence[str], levels: Sequence[str], count: int) -> Callable[[], object]:
        return lambda: scorer.score([ScoreItem([black], prompts)] * count, levels)

    def capture(prompts: Sequence[str], levels: Sequence[str], count: int) -> Callable[[], object]:
        return lambda: scorer.prepare_graph(ScoreItem([black], prompts), levels, count)

    if wanted is None or not wanted.prompts:
        return [score((PROMPT,), LEVELS, 1)]
    passes: list[Callable[[], object]] = [score(prompts, wanted.levels, 1) for prompts in wanted.prompts]
    if scorer.uses_graphs:
        graphs = [(prompts, bucket) for bucket in BUCKETS for prompts in wanted.prompts]
        passes += [capture(prompts, wanted.levels, bucket) for prompts, bucket in graphs[:KEPT]]
    if not scorer.deterministic:
        passes.append(score(wanted.prompts[0], wanted.levels, scorer.engine.frames_at_once))
    return passes
