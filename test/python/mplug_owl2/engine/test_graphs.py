"""Which batches a CUDA graph can replay. The capture itself needs a GPU: test/python/gpu."""

import pytest

from qalign.mplug_owl2.engine.engine import Question
from qalign.mplug_owl2.engine.graphs import item_questions, shared_layouts
from qalign.mplug_owl2.engine.layout import plan_layout

QUALITY = plan_layout((1, 2, -200, 3, 4), (1,), 9)
AESTHETICS = plan_layout((1, 2, 5, -200, 3), (1,), 9)
CLIP = plan_layout((1, 2, -200, 3, 4), (4,), 9)
TEXT = plan_layout((1, 2, 3), (), 9)


@pytest.mark.parametrize("layouts", [(QUALITY,), (QUALITY, AESTHETICS), (CLIP,)])
@pytest.mark.parametrize("items", [1, 2, 3, 8])
def test_items_with_the_same_questions_share_a_graph(layouts, items):
    assert shared_layouts(item_questions(layouts, items)) == layouts


@pytest.mark.parametrize(
    "questions",
    [
        [Question(QUALITY, 0), Question(AESTHETICS, 1)],
        [Question(QUALITY, 0), Question(AESTHETICS, 0), Question(QUALITY, 1)],
        [Question(QUALITY, 0), Question(QUALITY, 2)],
        [Question(QUALITY, 1)],
        [Question(QUALITY, 0), Question(CLIP, 0)],
        [Question(QUALITY, 0), Question(CLIP, 1)],
        [Question(TEXT, 0), Question(TEXT, 0)],
        [Question(QUALITY, 0, whole=False)],  # about the first of several frames
        [Question(QUALITY, frame, whole=False) for frame in range(4)],
    ],
)
def test_other_batches_do_not(questions):
    assert shared_layouts(questions) is None
