"""Tests that need a CUDA device. Without one, every test is skipped and reported."""

import copy
import math
import sys
import warnings
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "mplug_owl2"))
sys.path.insert(0, str(Path(__file__).parents[1] / "mplug_owl2" / "engine"))
from golden import GOLDEN, LEVELS, TINY, TOLERANCE, cases, worst

from qalign.mplug_owl2.engine import attention
from qalign.mplug_owl2.engine.kernels.coded import quantised_rows
from qalign.mplug_owl2.engine.kernels.register import triton_works
from qalign.mplug_owl2.engine.load import load_scorer
from qalign.mplug_owl2.engine.matrix import fused
from qalign.mplug_owl2.engine.warm_up import WarmUp, warm_up
from qalign.mplug_owl2.random_weights import architecture, random_model
from qalign.weights.answers import ScoreItem
from qalign.weights.codes import CODES, encode, product
from qalign.weights.quantised import CAPABILITY, QuantisedLinear
from qalign.worker.dispatch import dispatch
from qalign.worker.handlers import Handlers

if not torch.cuda.is_available():
    warnings.warn("NOT RUN: test_gpu.py needs a CUDA device", stacklevel=1)

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="NOT RUN: needs a CUDA device")


def logits(scorer, chosen):
    answers = scorer.score([ScoreItem(case.visuals, [case.prompt]) for case in chosen], LEVELS)
    assert all(answer.error is None for answer in answers)
    return torch.tensor([answer.prompts[0].logits for answer in answers])


@pytest.mark.parametrize("name", TINY)
def test_fp32_equals_the_references(name):
    scorer = load_scorer(str(GOLDEN / name / "model"), device="cuda:0", precision="fp32")
    chosen = list(cases(name).values())
    assert worst(logits(scorer, chosen), torch.stack([case.level_logits for case in chosen])) < TOLERANCE


@pytest.mark.parametrize(("precision", "near"), [("bf16", 0.4), ("fp16", 0.05)])
def test_sixteen_bits_stay_near_fp32(precision, near):
    scorer = load_scorer(str(GOLDEN / "tiny_a" / "model"), device="cuda:0", precision=precision)
    chosen = list(cases("tiny_a").values())
    assert worst(logits(scorer, chosen), torch.stack([case.level_logits for case in chosen])) < near


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_graphs_equal_the_plain_path(precision):
    scorer = load_scorer(str(GOLDEN / "tiny_a" / "model"), device="cuda:0", precision=precision)
    chosen = [cases("tiny_a")[label] for label in ("image_01", "image_02", "image_04")]
    for size in (1, 2, 3):
        scorer._graphs.enabled = False
        plain = logits(scorer, chosen[:size])
        scorer._graphs.enabled = True
        for _ in range(3):
            replayed = logits(scorer, chosen[:size])
        assert not scorer._graphs.failed, "a capture failed; see the log"
        assert worst(plain, replayed) < (1e-5 if precision == "fp32" else 0.05)
        assert worst(logits(scorer, chosen[size - 1 :: -1]), plain.flip(0)) < (1e-5 if precision == "fp32" else 0.05)
    assert len(scorer._graphs.captured) == 3


def test_two_tasks_of_each_picture_run_as_one_graph():
    scorer = load_scorer(str(GOLDEN / "tiny_a" / "model"), device="cuda:0", precision="fp32")
    chosen = [cases("tiny_a")[label] for label in ("image_01", "image_02")]
    items = [ScoreItem(case.visuals, [case.prompt, chosen[0].prompt + " not"]) for case in chosen]

    def answers():
        return torch.tensor([[prompt.logits for prompt in answer.prompts] for answer in scorer.score(items, LEVELS)])

    scorer._graphs.enabled = False
    plain = answers()
    scorer._graphs.enabled = True
    replayed = [answers() for _ in range(3)][-1]
    assert len(scorer._graphs.captured) == 1
    assert worst(plain, replayed) < 1e-5


EXPECTED = WarmUp([["USER: <|image|>rate it:"], ["USER: <|image|>rate it:", "USER: <|image|>and again:"]], LEVELS)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_first_request_replays_a_graph_of_the_load(precision):
    scorer = load_scorer(str(GOLDEN / "tiny_a" / "model"), device="cuda:0", precision=precision, expected=EXPECTED)
    assert len(scorer._graphs.captured) == 8 and not scorer._graphs.failed
    visuals = cases("tiny_a")["image_01"].visuals
    for prompts in EXPECTED.prompts:
        for count in (1, 2, 3, 8):
            assert all(answer.error is None for answer in scorer.score([ScoreItem(visuals, prompts)] * count, LEVELS))
    assert len(scorer._graphs.captured) == 8, "a request was captured again"


def test_a_capture_without_memory_disables_its_shape_only():
    scorer = load_scorer(str(GOLDEN / "tiny_a" / "model"), device="cuda:0", precision="bf16")
    features = scorer.engine.features

    def large(frames):
        if len(frames) == 4:
            torch.empty(1 << 50, dtype=torch.uint8, device="cuda:0")
        return features(frames)

    scorer.engine.features = large
    warm_up(scorer, WarmUp(EXPECTED.prompts[:1], LEVELS))
    scorer.engine.features = features
    assert len(scorer._graphs.captured) == 3 and len(scorer._graphs.failed) == 1
    visuals = cases("tiny_a")["image_01"].visuals
    for count in (1, 2, 4, 8):
        answers = scorer.score([ScoreItem(visuals, EXPECTED.prompts[0])] * count, LEVELS)
        assert all(answer.error is None for answer in answers)


def test_memory_after_load_and_unload_is_returned_and_reported():
    handlers = Handlers(lambda: None)
    params = {"model": str(GOLDEN / "tiny_a" / "model"), "device": "cuda:0", "precision": "bf16", "offline": True}
    load = {"id": "1", "method": "load_model", "params": params}
    for _ in range(3):
        told = dispatch(handlers, load, [], lambda progress: None)["result"]["device_memory"]
        assert 0 < told["allocated_bytes"] <= min(told["peak_bytes"], told["reserved_bytes"])
        assert told["reserved_bytes"] <= told["total_bytes"] - told["free_bytes"]
        dispatch(handlers, {"id": "2", "method": "unload_model", "params": {}}, [], lambda progress: None)
    assert torch.cuda.memory_allocated() < told["allocated_bytes"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_deterministic_scores_have_the_same_bits_in_every_batch(precision):
    scorer = load_scorer(str(GOLDEN / "tiny_a" / "model"), device="cuda:0", precision=precision, deterministic=True)
    chosen = list(cases("tiny_a").values())
    alone = torch.cat([logits(scorer, [case]) for case in chosen])
    assert torch.equal(logits(scorer, chosen), alone)
    assert torch.equal(logits(scorer, chosen[::-1] + chosen)[-len(chosen) :], alone)


def test_memory_is_flat():
    scorer = load_scorer(str(GOLDEN / "tiny_a" / "model"), device="cuda:0")
    pool = list(cases("tiny_a").values())
    held = []
    for turn in range(300):
        logits(scorer, [pool[(turn * 7 + i) % len(pool)] for i in range(1 + turn % 5)])
        if turn >= 100:
            held.append(torch.cuda.memory_allocated())
    assert max(held) - min(held) < 4 << 20


def test_random_weights_are_created_on_the_device():
    torch.cuda.reset_peak_memory_stats()
    model = random_model(architecture("tiny"), "cuda:0", torch.bfloat16)
    assert all(value.device.type == "cuda" for value in model.state_dict().values())
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_every_triton_program_equals_its_reference():
    import kernel_cases

    assert triton_works(torch.device("cuda:0"))
    kinds = ("int8", "fp8") if torch.cuda.get_device_capability() >= CAPABILITY["fp8"] else ("int8",)
    for name, difference in kernel_cases.differences("cuda:0", torch.bfloat16, kinds).items():
        near = 1e-5 if "float32" in name else 2**-7
        if "codes of" in name and "codes of rows" not in name:
            near = 0.08  # one step of e4m3 at the largest value
        assert difference < near, name
    assert [math.isfinite(scale) for scale in kernel_cases.damaged_scales("cuda:0")] == [False, False, False, True]


@pytest.mark.parametrize("kind", CODES)
def test_quantised_products_on_the_gpu_equal_those_of_the_cpu(kind):
    if torch.cuda.get_device_capability() < CAPABILITY[kind]:
        pytest.skip(f"{kind} does not work on this GPU")
    torch.manual_seed(0)
    layer, bias = QuantisedLinear(torch.nn.Linear(64, 48), kind), torch.randn(48).bfloat16()
    layer.put_weight(torch.randn(48, 64).bfloat16())
    for rows in (1, 17, 40):
        x = torch.randn(rows, 64).bfloat16()
        matrix = fused(layer, scale=1.7)
        want, total = matrix(x, bias), torch.ones(rows, 48).bfloat16()
        want_total = total.clone()
        matrix.add_to(want_total, x)
        on_gpu = fused(copy.deepcopy(layer).cuda(), scale=1.7)
        total = total.cuda()
        on_gpu.add_to(total, x.cuda())
        assert worst(on_gpu(x.cuda(), bias.cuda()).cpu(), want) < 0.25  # two steps of bf16 at the largest value
        assert worst(total.cpu(), want_total) < 0.25
        if kind != "nf4":  # a slice whose scales are not aligned to 16 bytes
            coded = quantised_rows(torch.cat([x[:1], x]).cuda(), kind)
            assert worst(on_gpu(coded[1:], bias.cuda()).cpu(), want) < 0.25


@pytest.mark.parametrize("rows", [1, 77, 257])
@pytest.mark.parametrize("kind", ["fp8", "int8"])
def test_products_of_few_rows_with_many_inputs(kind, rows):
    if torch.cuda.get_device_capability() < CAPABILITY[kind]:
        pytest.skip(f"{kind} does not work on this GPU")
    torch.manual_seed(0)
    x, weight = torch.randn(rows, 11008).bfloat16(), torch.randn(4096, 11008).bfloat16()
    want = x.float() @ weight.float().t()
    codes, scales = encode(kind, weight.cuda())
    got = product(kind, codes, scales, x.cuda()).cpu().float()
    assert (got - want).norm() < 0.06 * want.norm()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="NOT RUN: needs two CUDA devices")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_model_on_the_second_device_runs_fused_and_as_graphs(precision):
    chosen = [cases("tiny_a")["image_01"]]
    answers = []
    for device in ("cuda:1", "cuda:0"):
        scorer = load_scorer(str(GOLDEN / "tiny_a" / "model"), device=device, precision=precision)
        answers.append([logits(scorer, chosen) for _ in range(3)][-1])
        assert triton_works(torch.device(device)) and len(scorer._graphs.captured) == 1
    assert worst(*answers) < (1e-5 if precision == "fp32" else 0.05)


@pytest.mark.parametrize("backend", attention.BACKENDS[1:])
def test_every_backend_of_attention_equals_the_reference(backend):
    device, dtype, heads, head_dim = torch.device("cuda:0"), torch.bfloat16, 4, 64
    if attention.choose(device, dtype, head_dim, {attention.VARIABLE: backend}) != backend:
        pytest.skip(f"{backend} does not work on this GPU")
    runs = ((3, 7, 12), (2, 5, 5), (1, 1, 9), (1, 300, 310))
    sizes = [(rows, length) for count, rows, length in runs for _ in range(count)]
    starts = [torch.tensor([0, *part]).cumsum(0).int() for part in zip(*sizes, strict=True)]
    query = torch.randn(int(starts[0][-1]), heads * head_dim).to(dtype)
    keys = torch.randn(int(starts[1][-1]), 2 * heads * head_dim).to(dtype)
    spans = attention.Spans(runs, *starts)
    want = attention.causal(query.float(), keys.float(), heads, spans, backend, lambda: None)
    on_device = attention.Spans(runs, *(part.to(device) for part in starts))
    got = attention.causal(query.to(device), keys.to(device), heads, on_device, backend, lambda: None)
    assert worst(got.cpu().float(), want) < 0.03


def test_prompts_of_many_lengths_in_one_pass_equal_the_references():
    for precision, near in [("fp32", TOLERANCE), ("bf16", 0.4)]:
        scorer = load_scorer(str(GOLDEN / "tiny_a" / "model"), device="cuda:0", precision=precision)
        chosen = list(cases("tiny_a").values()) * 2
        assert worst(logits(scorer, chosen), torch.stack([case.level_logits for case in chosen])) < near
