"""Loads other than single pictures: two tasks, clips of several lengths, mixed lengths, one long clip."""

from ...mplug_owl2.engine.memory import give_back
from ...protocol import LEVELS
from ...weights.answers import ScoreItem
from ..bench import PROMPT
from .report import Section
from .subject import AESTHETICS, Subject
from .timing import Budget, median, once

BOTH = (PROMPT, AESTHETICS)
MIXED = (1, 5, 3, 8, 12, 1, 2, 7)  # frames
LONG = {"cuda": 240, "cpu": 24}  # frames


def work(subject: Subject, section: Section, budget: Budget) -> None:
    loads = {
        "64 pairs": (subject.items(64, prompts=BOTH), 64, "pairs/s"),
        "10 clips of 12 frames": (subject.items(10, frames=12), 10, "clips/s"),
        "1 pair": (subject.items(1, prompts=BOTH), 1, "pairs/s"),
        "1 clip of 5 frames": (subject.items(1, frames=5), 1, "clips/s"),
        "1 clip of 12 frames": (subject.items(1, frames=12), 1, "clips/s"),
        f"{len(MIXED)} items of 1 to 12 frames": (mixed(subject), sum(MIXED), "img/s"),
        f"1 clip of {LONG[subject.device.type]} frames": (
            subject.items(1, frames=LONG[subject.device.type]),
            LONG[subject.device.type],
            "img/s",
        ),
    }
    for index, (name, (items, count, unit)) in enumerate(loads.items()):
        if budget.left < 0:
            section.skip(name, "the time of this section is used up")
            continue
        seconds = min(2.0, budget.left / 2 / (len(loads) - index))
        section.attempt(name, lambda load=(name, items, count, unit, seconds): measure(subject, section, *load))
        give_back()


def measure(
    subject: Subject, section: Section, name: str, items: list[ScoreItem], count: int, unit: str, seconds: float
) -> None:
    """First call and rate of one load."""
    scorer, device = subject.scorer, subject.device

    def call() -> None:
        for answer in scorer.score(items, LEVELS):
            if answer.error:
                raise answer.error

    section.figure(f"{name}, first call", once(call, device), "ms")
    middle = median(call, device, seconds, warm=1)
    section.figure(f"{name}, median", middle, "ms")
    section.figure(name, count / middle * 1000, unit)


def mixed(subject: Subject) -> list[ScoreItem]:
    """One item of each length, like the requests of different clients in one batch."""
    return [subject.items(1, frames=frames, seed=index)[0] for index, frames in enumerate(MIXED)]
