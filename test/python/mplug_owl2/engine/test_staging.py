"""Kept buffers: every use is followed by garbage in the free buffers, and copies run as late as they can."""

import pytest
import torch
from golden import GOLDEN, LEVELS, cases, worst

from qalign.mplug_owl2.engine import staging as module
from qalign.mplug_owl2.engine.load import load_scorer
from qalign.mplug_owl2.engine.pending import ReadBack
from qalign.mplug_owl2.engine.staging import Staging, cut
from qalign.weights.answers import ScoreItem

GARBAGE = 0xA5


class LateEvent:
    def __init__(self, queue, position):
        self.queue, self.position = queue, position

    def query(self):
        return self.queue.done >= self.position

    def synchronize(self):
        self.queue.run_to(self.position)


class LateQueue:
    """Work that runs only when something waits for it."""

    def __init__(self):
        self.work, self.done = [], 0

    def add(self, call):
        self.work.append(call)
        return LateEvent(self, len(self.work))

    def run_to(self, position):
        while self.done < position:
            self.done += 1
            self.work[self.done - 1]()


class LateLanes:
    """A device whose copies and computations run at the last moment that the events allow."""

    def __init__(self):
        self.copies, self.computations = LateQueue(), LateQueue()
        self.allocated = []

    def host(self, size):
        self.allocated.append(size)
        return torch.full((size,), GARBAGE, dtype=torch.uint8)

    room = host

    def send(self, source, target, after):
        return self.copies.add(lambda: (after.synchronize(), target.copy_(source)))

    def hold(self, event):
        self.computations.add(event.synchronize)

    def mark(self):
        return LateEvent(self.computations, len(self.computations.work))


class Poisoned(Staging):
    """Fills a buffer with garbage as soon as the rules allow to fill it again."""

    def _release(self, slot):
        super()._release(slot)
        for each in self._slots:
            if each.host is not None and (each.copied is None or each.copied.query()):
                each.host.fill_(GARBAGE)


def pictures(*lengths, size=6):
    return [torch.randint(0, 256, (length, size, size, 3), dtype=torch.uint8) for length in lengths]


def test_frames_are_cut_in_order():
    views = pictures(1, 1, 7, 3)
    chunks = cut(views, 4)
    assert [sum(map(len, chunk)) for chunk in chunks] == [4, 4, 4]
    assert torch.equal(torch.cat([part for chunk in chunks for part in chunk]), torch.cat(views))
    assert cut([], 4) == []


def test_a_late_device_reads_what_was_sent():
    lanes = LateLanes()
    staging = Poisoned(lanes)
    sent, read = [], []
    for lengths in [(1,), (2, 1), (1, 1), (5,), (3, 4, 1), (1,), (2,), (8,), *[(n % 3 + 1,) for n in range(8)]]:
        views = pictures(*lengths)
        sent.append(torch.cat(views))
        with staging.frames(views) as frames:
            lanes.computations.add(lambda frames=frames: read.append(frames.clone()))
    lanes.mark().synchronize()
    assert all(torch.equal(a, b) for a, b in zip(sent, read, strict=True))


def test_the_next_frames_are_sent_before_the_last_are_computed():
    lanes = LateLanes()
    staging = Staging(lanes)
    for _ in range(2):
        with staging.frames(pictures(2)):
            lanes.computations.add(lambda: None)
    assert lanes.copies.done == 0 and lanes.computations.done == 0
    with staging.frames(pictures(2)):  # the first buffer again: its copy must have ended, and nothing else
        assert lanes.copies.done == 1


def test_buffers_are_kept_up_to_a_limit(monkeypatch):
    lanes = LateLanes()
    staging = Staging(lanes)
    for _ in range(5):
        with staging.frames(pictures(3)):
            pass
    assert len(lanes.allocated) == 4  # host and device, twice
    monkeypatch.setattr(module, "KEPT_BYTES", 1000)
    for _ in range(2):
        with staging.frames(pictures(40)):
            pass
    assert [slot.host for slot in staging._slots] == [None, None] == [slot.room for slot in staging._slots]


def test_inputs_of_graphs_come_from_the_same_buffers():
    lanes = LateLanes()
    staging = Poisoned(lanes)
    target = torch.zeros(4, 6, 6, 3, dtype=torch.uint8)
    views = pictures(1, 2)
    staging.put(views, target[:3])
    assert torch.equal(target[:3], torch.cat(views)) and not target[3].any()


def test_two_answers_are_read_back_into_different_buffers():
    lanes = LateLanes()
    back = ReadBack(lanes.host, lanes.mark)
    one, two = torch.randn(3, 6), torch.randn(700, 6)
    first, second = back.begin(one), back.begin(two)
    assert first.result() == one.tolist() and second.result() == two.tolist()
    assert back.begin(one).result() == one.tolist()
    assert len(lanes.allocated) == 2


@pytest.mark.parametrize("late", [False, True])
def test_scores_stay_right_with_poisoned_buffers(late):
    scorer = load_scorer(str(GOLDEN / "tiny_a" / "model"))
    chosen = list(cases("tiny_a").values())
    items = [ScoreItem(case.visuals, [case.prompt]) for case in chosen]
    wanted = [answer.prompts[0].logits for answer in scorer.score(items, LEVELS)]
    scorer.engine.frames_at_once = 3
    if late:
        lanes = LateLanes()
        lanes.hold = lambda event: event.synchronize()  # the computations of a CPU are not late
        scorer._staging, scorer._read_back = Poisoned(lanes), ReadBack(lanes.host, lanes.mark)
    else:
        scorer._staging = Poisoned()
    for _ in range(2):
        got = [answer.prompts[0].logits for answer in scorer.score(items, LEVELS)]
        assert worst(torch.tensor(got), torch.tensor(wanted)) < 1e-5
