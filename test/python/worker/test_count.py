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


# kernels of one picture; elementwise GB of 64 pictures, where bf16 has 72.4; weights and activations of one picture, GB
LEAN = {"fp8": (850, 72.4 * 1.3, 12), "int8": (1010, 195, 14), "nf4": (950, 95, 40)}


@pytest.mark.parametrize("precision", LEAN)
def test_quantised_precisions_stay_lean(precision):
    kernels, elementwise, gigabytes = LEAN[precision]
    engine = count.cuda_engine("mplug_owl2_7b", precision)
    one = count.count(engine, count.Load("1 picture", 1)).work.values()
    assert sum(part.kernels for part in one) <= kernels
    assert sum(part.bytes for part in one) < gigabytes * 1e9
    many = count.count(engine, count.Load("64 pictures", 64))
    assert sum(part.bytes for part in many.elementwise.values()) < elementwise * 1e9
    assert sum(part.flops for part in many.work.values()) // 1e9 == 111073, "padding adds no work to full batches"


def test_a_table_has_a_total_for_each_load(capsys):
    assert count.main(["--architecture", "tiny"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("total") == len(count.LOADS)
    assert count.main(["--architecture", "tiny", "--precision", "int8"]) == 0
    assert capsys.readouterr().out.startswith("tiny, int8, torch ")
