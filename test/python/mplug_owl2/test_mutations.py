"""Breaks every epsilon, layout and routing decision, one at a time. The comparison with the references must fail."""

import pytest
import torch
from golden import GOLDEN, LEVELS, TINY, TOLERANCE, cases, literal_logits, load_tiny, scores, tokenizer, worst
from torch import nn

from qalign.mplug_owl2 import abstractor, language, vision
from qalign.mplug_owl2.engine import visual as engine_visual
from qalign.mplug_owl2.engine.kernels import sequence as engine_sequence
from qalign.mplug_owl2.engine.scorer import Scorer
from qalign.weights.answers import ModelInfo, ScoreItem

LABELS = ("image_00", "image_01", "two_images", "video_2")


def scorer_of(model):
    info = ModelInfo("test", "local", "", "fp32", "cpu", model.config.image_size, 0)
    return Scorer(model, tokenizer(model.name), info)


def distance(model):
    """Largest difference of the literal model and of the engine from the references."""
    chosen = [cases(model.name)[label] for label in LABELS]
    ids = scores(model.name)["level_ids"]
    literal = max(worst(literal_logits(model, case)[ids], case.level_logits) for case in chosen)
    scorer = scorer_of(model)
    answers = scorer.score([ScoreItem(case.visuals, [case.prompt]) for case in chosen], LEVELS)
    engine = max(
        worst(torch.tensor(answer.prompts[0].logits), case.level_logits)
        for case, answer in zip(chosen, answers, strict=True)
    )
    return literal, engine


@pytest.fixture(params=TINY)
def model(request):
    loaded = load_tiny(request.param)
    loaded.name = request.param
    return loaded


def vit_norms(model, kind):
    visual = model.model.vision_model
    named = {
        "pre_layernorm": [visual.embeddings.pre_layernorm],
        "post_layernorm": [visual.post_layernorm],
        "input_layernorm": [block.input_layernorm for block in visual.encoder.layers],
        "post_attention_layernorm": [block.post_attention_layernorm for block in visual.encoder.layers],
    }
    return named[kind]


def abstractor_norms(model, kind):
    layers = [layer.crossattention for layer in model.model.visual_abstractor.encoder.layers]
    named = {
        "norm1": [layer.norm1 for layer in layers],
        "normk": [layer.normk for layer in layers],
        "norm2": [layer.output.norm2 for layer in layers],
        "ffn_ln": [layer.output.mlp.ffn_ln for layer in layers],
    }
    return named[kind]


def language_norms(model, kind):
    if kind == "norm":
        return [model.model.norm]
    return [norm for layer in model.model.layers for norm in getattr(layer, kind).multiway]


VIT = ("pre_layernorm", "input_layernorm", "post_attention_layernorm", "post_layernorm")
RMS = ("input_layernorm", "post_attention_layernorm", "norm")
EPSILONS = [
    (vit_norms, VIT),
    *((abstractor_norms, (kind,)) for kind in ("norm1", "normk", "norm2", "ffn_ln")),
    (language_norms, RMS),
]
SITES = [*((vit_norms, kind) for kind in VIT), *((language_norms, kind) for kind in RMS)]


def test_unbroken_models_fit(model):
    assert max(distance(model)) < TOLERANCE


@pytest.mark.parametrize(("norms", "kinds"), EPSILONS, ids=["-".join(kinds) for _, kinds in EPSILONS])
def test_every_epsilon_matters(model, norms, kinds):
    """Swaps 1e-5 and 1e-6, which are easily confused."""
    for kind in kinds:
        for norm in norms(model, kind):
            norm.eps = 1e-6 if norm.eps == 1e-5 else 1e-5
    assert min(distance(model)) > TOLERANCE


@pytest.mark.parametrize(("norms", "kind"), SITES)
def test_every_place_reads_its_epsilon(model, norms, kind):
    """Several modules read the epsilons of the encoder and of the language model. In some modules a factor of ten
    changes the output only by rounding errors. Each module in turn therefore gets an epsilon with a larger effect."""
    for norm in norms(model, kind):
        norm.eps = 0.1
    assert min(distance(model)) > TOLERANCE


def both(monkeypatch, name, replacement, *modules):
    for module in modules:
        monkeypatch.setattr(module, name, replacement)


def qkv_by_kind(fused, heads):
    """[3, heads, d], the layout of most published models."""
    batch, tokens, width = fused.shape
    return fused.view(batch, tokens, 3, heads, width // (3 * heads)).permute(2, 0, 3, 1, 4).unbind()


def qkv_kind_last(fused, heads):
    batch, tokens, width = fused.shape
    return fused.view(batch, tokens, heads, width // (3 * heads), 3).permute(4, 0, 2, 1, 3).unbind()


def interleaved(x, cos, sin):
    """Rotary pairs (0, 1), (2, 3), …, the other common layout."""
    half = x.shape[-1] // 2
    even, odd = x[..., 0::2], x[..., 1::2]
    cos, sin = cos[..., :half], sin[..., :half]
    return torch.stack([even * cos - odd * sin, odd * cos + even * sin], dim=-1).flatten(-2)


def rounded(x, cos, sin, rotate=language.rotate):
    return rotate(x, cos.half().float(), sin.half().float())


def eos_first(self, tokens):
    return torch.cat([self.vit_eos.expand(len(tokens), -1, -1), tokens], dim=1)


def eos_missing(self, tokens):
    return torch.cat([tokens, torch.zeros_like(self.vit_eos).expand(len(tokens), -1, -1)], dim=1)


LAYOUTS = {
    "vit qkv by kind": ("split_fused_qkv", qkv_by_kind, (vision, engine_visual)),
    "vit qkv, kind last": ("split_fused_qkv", qkv_kind_last, (vision, engine_visual)),
    "image before queries": (
        "join_tokens",
        lambda queries, image: torch.cat([image, queries], dim=1),
        (abstractor, engine_visual),
    ),
    "residual of the unnormalised queries": (
        "residual_stream",
        lambda queries, normed: queries,
        (abstractor, engine_visual),
    ),
    "rope interleaved": ("rotate", interleaved, (language, engine_sequence)),
    "rope tables in 16 bit": ("rotate", rounded, (language, engine_sequence)),
    "rope omitted": ("rotate", lambda x, cos, sin: x, (language, engine_sequence)),
    "vit_eos first": ("close", eos_first, (abstractor.VisualAbstractor,)),
    "vit_eos omitted": ("close", eos_missing, (abstractor.VisualAbstractor,)),
}


@pytest.mark.parametrize("what", LAYOUTS)
def test_every_layout_matters(model, monkeypatch, what):
    name, replacement, modules = LAYOUTS[what]
    both(monkeypatch, name, replacement, *modules)
    assert min(distance(model)) > TOLERANCE


def test_the_activation_matters(model, monkeypatch):
    monkeypatch.setattr(vision, "quick_gelu", nn.functional.gelu)
    monkeypatch.setattr(engine_visual, "QUICK_GELU", 1.6)
    assert min(distance(model)) > TOLERANCE


def halves(table):
    return torch.cat(table.chunk(2, dim=1)[::-1], dim=1)


def quarters(table):
    a, b, c, d = table.chunk(4, dim=1)
    return torch.cat([b, a, d, c], dim=1)


POSITIONS = {
    "columns and rows swapped": ("k_pos_embed", halves),
    "sines and cosines swapped": ("k_pos_embed", quarters),
    "cls row last": ("k_pos_embed", lambda table: table.roll(-1, dims=0)),
    "queries' sines and cosines swapped": ("q_pos_embed", halves),
    "queries' positions omitted": ("q_pos_embed", torch.zeros_like),
}


@pytest.mark.parametrize("what", POSITIONS)
def test_every_position_table_matters(model, what):
    name, change = POSITIONS[what]
    for layer in model.model.visual_abstractor.encoder.layers:
        attention = layer.crossattention.attention
        setattr(attention, name, change(getattr(attention, name)))
    assert min(distance(model)) > TOLERANCE


@pytest.mark.parametrize("name", TINY)
def test_computed_position_tables_equal_the_stored_ones(name):
    model = load_tiny(name)
    config = model.config.abstractor
    computed = abstractor.Attention(config, has_cls_token=True)
    near = 1e-6 if name == "tiny_a" else 1e-3  # tiny_b stores them in fp16
    for layer in model.model.visual_abstractor.encoder.layers:
        stored = layer.crossattention.attention
        assert worst(stored.q_pos_embed, computed.q_pos_embed) < near
        assert worst(stored.k_pos_embed, computed.k_pos_embed) < near


ROUTES = [(where, how) for where in ("k_proj", "v_proj", "input_layernorm", "post_attention_layernorm") for how in
          ("swapped", "text everywhere", "image everywhere")]  # fmt: skip


@pytest.mark.parametrize(("where", "how"), ROUTES)
def test_every_route_matters(model, where, how):
    for layer in model.model.layers:
        multiway = getattr(layer.self_attn if where.endswith("proj") else layer, where).multiway
        text, image = multiway[0].weight.data, multiway[1].weight.data
        multiway[0].weight.data = (text if how == "text everywhere" else image).clone()
        multiway[1].weight.data = (image if how == "image everywhere" else text).clone()
    assert min(distance(model)) > TOLERANCE


def test_the_final_norm_has_one_weight_for_both_modalities(model):
    model.model.norm.weight.data = model.model.layers[-1].input_layernorm.multiway[1].weight.data.clone()
    assert min(distance(model)) > TOLERANCE


def test_the_fixtures_exist():
    assert sorted(path.name for path in GOLDEN.glob("tiny_?")) == sorted(TINY)
