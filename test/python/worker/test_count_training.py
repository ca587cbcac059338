import json

import pytest
import torch

from qalign.mplug_owl2.random_weights import architecture
from qalign.worker import count, count_training

TINY = architecture("tiny")
SYNCING = {"_local_scalar_dense", "nonzero", "masked_select", "index_put_", "index_put", "_index_put_impl_", "index"}


@pytest.fixture
def dispatched(monkeypatch):
    """The names of all dispatched operations."""
    names = []

    class Named(count.CountDispatched):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            names.append(func.overloadpacket.__name__)
            return super().__torch_dispatch__(func, types, args, kwargs)

    monkeypatch.setattr(count_training, "CountDispatched", Named)
    return names


@pytest.mark.parametrize("form", count_training.FORMS)
def test_a_micro_batch_neither_waits_for_the_host_nor_sorts_indices(dispatched, form):
    count_training.count_step(TINY, 3, **count_training.FORMS[form])
    used = set(dispatched)
    assert {"mm", "embedding"} <= used
    # "index" without gradients reads the rotary tables
    assert not used & (SYNCING - {"index"}), used & SYNCING


def test_recomputation_costs_one_forward_pass_of_the_blocks():
    kept, again = (count_training.count_step(TINY, 3, recompute=value).work for value in (False, True))
    assert kept["forward"].flops == again["forward"].flops
    more = again["backward"].flops - kept["backward"].flops
    assert 0.5 * kept["forward"].flops < more < kept["forward"].flops


def test_an_update_of_the_published_model_is_one_kernel_a_tensor_with_ten_bytes_a_parameter():
    counts = count_training.report("mplug_owl2_7b", [])
    fused, plain = counts["adamw_8bit"]["fused"], counts["adamw_8bit"]["plain"]
    assert fused["bytes_per_parameter"] < 10.2 and fused["kernels_per_tensor"] == 1
    assert 300 < plain["bytes_per_parameter"] < 330


def test_the_report_is_json_and_a_table(capsys):
    assert count_training.main(["--architecture", "tiny", "--micro-batch", "2", "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert counts["torch"] == torch.__version__
    assert [row["form"] for row in counts["steps"]] == list(count_training.FORMS)
    assert count_training.main(["--architecture", "tiny", "--micro-batch", "2", "5"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("backward") == 2 * len(count_training.FORMS) and "bytes a parameter" in shown
