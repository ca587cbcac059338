"""Rules of CUDA and Triton that a CPU can check: current device, current stream, and reasons to compile again."""

import gc
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch
from golden import LEVELS, TINY, load_tiny

from qalign.mplug_owl2.engine import capture, memory
from qalign.mplug_owl2.engine import engine as engine_module
from qalign.mplug_owl2.engine.layout import plan_layout
from qalign.mplug_owl2.engine.plan import Question, make_plan

QUALITY, CLIP = plan_layout((1, 2, -200, 3, 4), (1,), 9), plan_layout((1, 2, 5, -200, 3), (3,), 9)


def test_an_engine_makes_its_device_current(monkeypatch):
    made = []
    monkeypatch.setattr(engine_module, "make_current", made.append)
    engine_module.Engine(load_tiny(TINY[0]))
    assert made == [torch.device("cpu")]
    monkeypatch.setattr(torch.cuda, "set_device", made.append)
    for name in ("cpu", "cuda:1"):
        memory.make_current(torch.device(name))
    assert made[1:] == [torch.device("cuda:1")]


class Streams:
    """Enough of torch.cuda for a capture. The end of a capture fails like torch's: it does not restore the stream."""

    def __init__(self):
        self.current, self.calls = "default", []

    def install(self, monkeypatch):
        side = SimpleNamespace(wait_stream=lambda other: None)
        fakes = {
            "Stream": lambda device: side,
            "graph_pool_handle": lambda: 0,
            "current_stream": lambda device=None: SimpleNamespace(name=self.current, wait_stream=lambda other: None),
            "stream": lambda chosen: self.within("side" if chosen is side else chosen.name),
            "device": lambda device: nullcontext(),
            "CUDAGraph": lambda: None,
            "graph": lambda graph, pool, stream: self.failing(),
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(torch.cuda, name, fake)

    @contextmanager
    def within(self, name):
        before, self.current = self.current, name
        try:
            yield
        finally:
            self.current = before

    @contextmanager
    def failing(self):
        self.current = "side"
        assert not gc.isenabled(), "the collector can delete a graph, which ends a capture"
        yield
        raise RuntimeError("CUDA error: operation failed due to a previous error during capture")


def test_a_capture_that_torch_cannot_end_leaves_the_stream_as_it_was(monkeypatch):
    engine = engine_module.Engine(load_tiny(TINY[0]))
    streams = Streams()
    streams.install(monkeypatch)
    layout = plan_layout((1, 2, -200, 3, 4), (1,), engine.config.tokens_per_frame)
    with pytest.raises(RuntimeError, match="during capture"), torch.inference_mode():
        capture.CudaCapturer(engine)([Question(layout, 0)], torch.arange(len(LEVELS)))
    assert streams.current == "default" and gc.isenabled()


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_tables_of_every_pass_have_the_alignment_that_triton_compiles_for(count):
    plan = make_plan([Question(QUALITY, at) for at in range(count)] + [Question(CLIP, count)], 9, torch.device("cpu"))
    tables = {"sources": plan.sources, "order": plan.order, "ways": plan.ways, "last_rows": plan.last_rows}
    tables |= {"key_rows": plan.key_rows, "key_places": plan.key_places}
    for name, rows in (("all", plan.all), ("last", plan.last)):
        parts = {"blocks": rows.blocks, "query_rows": rows.query_rows, "places": rows.places, "ways": rows.ways}
        parts |= {"query_starts": rows.spans.query_starts, "key_starts": rows.spans.key_starts}
        tables |= {f"{name} {part}": table for part, table in parts.items()}
    assert {name: table.storage_offset() % 4 for name, table in tables.items()} == dict.fromkeys(tables, 0)
    assert len(plan.ways) == len(plan.order) == count * QUALITY.rows + CLIP.rows
    assert len(plan.last.query_rows) == count + 1 and plan.last.spans.query_starts.tolist() == list(range(count + 2))


@pytest.mark.skipif(find_spec("triton") is None, reason="NOT RUN: needs the package triton (Linux on x86-64)")
def test_a_batch_of_another_size_needs_no_other_program():
    from qalign.mplug_owl2.engine.kernels import coded_programs, programs

    varying = {
        programs._in_sequence: {"images", "blocks", "keys"},
        coded_programs._activation_codes: {"count"},
        coded_programs._rms_codes: {"count"},
        coded_programs._layer_norm_codes: {"count"},
    }
    for program, names in varying.items():
        assert {param.name for param in program.params if param.do_not_specialize} == names, program
