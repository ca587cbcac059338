import json

import pytest

from qalign.worker import count


def test_the_tiny_model_has_the_work_that_its_shapes_say(capsys):
    assert count.main(["--architecture", "tiny", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    by_load = {row["load"]: row for row in report["results"]}
    one, many = by_load["1 picture"]["stages"], by_load["64 pictures"]["stages"]
    for stage in ("vision", "abstractor", "language"):
        assert one[stage]["kernels"] > 0
        assert many[stage]["flops"] > 60 * one[stage]["flops"]
    # the encoder's products and attention: 3 layers of width 48, 17 tokens of 56 px in patches of 14
    tokens, width, inner = 17, 48, 96
    layer = 2 * tokens * width * (4 * width + 2 * inner) + 4 * tokens * tokens * width
    assert one["vision"]["flops"] == 3 * layer + 2 * 16 * 3 * 14 * 14 * width


@pytest.fixture(scope="module")
def published():
    return count.cuda_engine("mplug_owl2_7b")


def test_counting_allocates_nothing_and_gives_the_figures_of_the_published_model(published):
    work = count.count(published, count.Load("1 picture", 1)).work
    # 1737.0 with the half of the language model's attention that its mask removes
    assert round(sum(part.flops for part in work.values()) / 1e8) == 17355
    assert sum(part.kernels for part in work.values()) <= 700
    assert all(part.weight.device.type == "meta" for part in published.language.layers[0].key_value)


@pytest.mark.parametrize(("tasks", "gigabytes"), [(1, 25), (2, 50)])
def test_elementwise_traffic_and_kernels_of_a_full_batch_stay_low(published, tasks, gigabytes):
    tally = count.count(published, count.Load("64 pictures", 64, tasks=tasks))
    assert tally.elementwise["language"].bytes < gigabytes * 1e9
    assert tally.elementwise["vision"].bytes < 41e9
    assert tally.work["language"].kernels < 380, "all questions run in one pass"


def test_a_table_has_a_total_for_each_load(capsys):
    assert count.main(["--architecture", "tiny"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("total") == len(count.LOADS)
