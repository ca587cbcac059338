import json

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


def test_counting_allocates_nothing_and_gives_the_figures_of_the_published_model():
    engine = count.cuda_engine("mplug_owl2_7b")
    work = count.count(engine, count.Load("1 picture", 1)).work
    assert round(sum(part.flops for part in work.values()) / 1e9) == 1737
    assert all(value.device.type == "meta" for part in engine.language.layers[0].key_value for value in [part.weight])


def test_a_table_has_a_total_for_each_load(capsys):
    assert count.main(["--architecture", "tiny"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("total") == len(count.LOADS)
