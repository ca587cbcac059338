"""Loss and gradients of one step equal those of transformers on the same text."""

from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("transformers", reason="NOT RUN: needs the Python package transformers")

import chat_data
import numpy as np
import tiny
from PIL import Image

from qalign.training.chat.batch import ChatBatcher
from qalign.training.chat.conversation import Conversations
from qalign.training.chat.setup import chat_model, picture_texts
from qalign.training.chat.split import ChatSplit
from qalign.training.errors import TrainingError
from qalign.training.objective import objective, term_counts
from qalign.transformers_backend.chat import Chat
from qalign.transformers_backend.families import FAMILIES
from qalign.transformers_backend.levels import LevelTokens
from qalign.transformers_backend.library import library_class, without_network
from qalign.transformers_backend.load import load_scorer, read_network
from qalign.transformers_backend.source import open_folder
from qalign.weights.answers import ChatPrompt, ScoreItem

CPU = torch.device("cpu")


class Subject:
    """A family's checkpoint, four items of it, and what the training makes of them."""

    def __init__(self, family, folder) -> None:
        self.processor = tiny.write(folder / "model", family)
        self.scorer = load_scorer(str(folder / "model"))
        self.preparing = self.scorer._preparing
        data = chat_data.prepare_rectangles(folder / "data", self.preparing.preparation, count=4)
        self.folder = open_folder(folder / "model")
        self.chat = Chat(self.processor.tokenizer, self.processor.chat_template, self.processor.image_token)
        levels = LevelTokens(None, self.scorer.engine.head.shape[0])
        self.conversations = Conversations(self.chat, self.processor, levels)
        texts = picture_texts(self.preparing)
        self.split = ChatSplit(data, "train", self.preparing.preparation, self.conversations, texts)
        self.batcher = ChatBatcher(self.processor, self.preparing, CPU, flip=False)

    def pixels(self):
        return [torch.zeros(1, *chat_data.SIZES[0], 3, dtype=torch.uint8)]

    def model(self, **changes):
        with without_network():
            net = read_network(self.folder, torch.float32)
        recipe = {"freeze": [], "lora": None, "seed": 0, "recompute": True, **changes}
        recipe |= {"weights": "fp32", "compute": "fp32"}
        return chat_model(recipe, net, self.folder, self.preparing, SimpleNamespace(device=CPU))

    def logits(self, model):
        batch = self.batcher.training_batch(self.split, self.split.items, np.random.default_rng(0))
        return batch, model(batch)

    def theirs(self):
        """The summed loss and gradients of the library's own forward passes with labels, one item at a time."""
        with without_network():
            net = library_class(FAMILIES[self.folder.family.model_type].model).from_pretrained(self.folder.path)
        net.train()
        total = torch.zeros(())
        for item in self.split.items:
            answer = f"The quality of the image is {chat_data.LEVELS[self.split.items.index(item) % 5]}."
            begun = self.chat.render(ChatPrompt("<|image|>How would you rate the quality of this image?", ""), [1])
            picture = Image.fromarray(self.split.frames_of(item)[0])
            begins = self.processor.tokenizer.bos_token is not None
            inputs = self.processor(
                text=[begun + answer + self.chat.ending()],
                images=[[picture]],
                add_special_tokens=not begins,
                return_tensors="pt",
            )
            said = len(self.processor.tokenizer(answer + self.chat.ending(), add_special_tokens=False)["input_ids"])
            labels = inputs["input_ids"].clone()
            labels[:, :-said] = -100
            assert item.conversation.ids.tolist() == inputs["input_ids"][0].tolist()
            total = total + net(**inputs, labels=labels, use_cache=False).loss * said
        total.backward()
        return total.item(), {name: value.grad for name, value in net.named_parameters()}


@pytest.fixture(scope="module", params=["qwen3_5", "qwen3_vl", "internvl"])
def subject(request, tmp_path_factory):
    return Subject(request.param, tmp_path_factory.mktemp(request.param))


def test_loss_and_gradients_equal_those_of_the_library(subject):
    model = subject.model()
    batch, logits = subject.logits(model)
    loss = torch.nn.functional.cross_entropy(logits, batch.labels, reduction="sum")
    loss.backward()
    wanted, gradients = subject.theirs()
    assert loss.item() == pytest.approx(wanted, rel=1e-5)
    found = dict(model.net.named_parameters())
    assert set(found) == set(gradients)
    largest = max(value.abs().max().item() for value in gradients.values() if value is not None)
    for name, value in gradients.items():
        if value is None:
            assert found[name].grad is None, name
        else:
            assert torch.allclose(found[name].grad, value, rtol=1e-3, atol=2e-5 * max(1.0, largest)), name


def test_a_share_of_the_blocks_is_recomputed(subject):
    model = subject.model(recompute=0.5)
    recomputed = [block.gradient_checkpointing for block in model.sharded_blocks()]
    assert sum(recomputed) == len(recomputed) // 2 > 0
    expected = subject.logits(subject.model(recompute=False))[1]
    assert torch.equal(subject.logits(model)[1], expected)


def test_the_level_word_is_supervised_where_scoring_reads_it(subject):
    batch, logits = subject.logits(subject.model().eval())
    question = ChatPrompt("<|image|>How would you rate the quality of this image?", "The quality of the image is")
    ids = [subject.conversations.level_ids()[level] for level in chat_data.LEVELS]
    for number, item in enumerate(subject.split.items):
        pixels = torch.from_numpy(np.array(subject.split.frames_of(item)))
        (scored,) = subject.scorer.score([ScoreItem([pixels], [question])], list(chat_data.LEVELS))
        row = logits[batch.level_slots[number]]
        assert row[ids].tolist() == pytest.approx(scored.prompts[0].logits, abs=2e-5)
        assert batch.labels[batch.level_slots[number]].item() == ids[number % 5]


def test_frozen_parts_get_no_gradients(subject):
    model = subject.model(freeze=["vision", "merger"])
    batch, logits = subject.logits(model)
    torch.nn.functional.cross_entropy(logits, batch.labels).backward()
    with_gradients = {model.part_of(name) for name, value in model.named_parameters() if value.grad is not None}
    assert with_gradients == {"language"}
    only_merger = subject.model(freeze=["vision", "language"])
    batch, logits = subject.logits(only_merger)
    torch.nn.functional.cross_entropy(logits, batch.labels).backward()
    assert {only_merger.part_of(n) for n, value in only_merger.named_parameters() if value.grad is not None} == {
        "merger"
    }


def test_all_terms_of_the_objective_have_gradients(subject):
    model = subject.model()
    batch, logits = subject.logits(model)
    weights = {"next_token": 1.0, "soft_label": 1.0, "fidelity": 1.0, "in_level": 1.0, "series": 0.0}
    items = subject.split.items
    ids = torch.tensor([subject.conversations.level_ids()[level] for level in chat_data.LEVELS])
    loss, terms = objective(logits, batch, items, ids, weights, term_counts(items, weights))
    loss.backward()
    assert all(term.item() > 0 for term in terms[:4])
    assert model.net.get_output_embeddings().weight.grad.abs().max() > 0


def test_lora_trains_matrices_of_every_linear_layer_and_the_merger(subject):
    pytest.importorskip("peft", reason="NOT RUN: needs the Python package peft")
    lora = {"r": 4, "alpha": 8, "dropout": 0.0, "abstractor": True, "quantise_base": None}
    model = subject.model(lora=lora)
    batch, logits = subject.logits(model)
    torch.nn.functional.cross_entropy(logits, batch.labels).backward()
    trained = {name for name, value in model.named_parameters() if value.requires_grad}
    assert {model.part_of(name) for name in trained} == {"lora", "merger"}
    assert all(value.grad is not None for value in model.parameters() if value.requires_grad)
    only = subject.model(lora={**lora, "abstractor": False})
    assert {only.part_of(name) for name, value in only.named_parameters() if value.requires_grad} == {"lora"}


@pytest.mark.parametrize(
    ("row", "said", "level_at"),
    [
        ({"question": "How?\n<|image|>", "answer": "It is good.", "level": "good"}, "It is good.", True),
        ({"prompt": "<|image|>How?", "stem": "It is", "answer": "good.", "level": "good"}, " good.", True),
        ({"prompt": "<|image|>How?", "stem": "It is", "answer": "3.45."}, " 3.45.", False),
        ({"question": "How?", "answer": "The score is 3.45."}, "The score is 3.45.", False),
    ],
)
def test_what_is_supervised(subject, row, said, level_at):
    built = subject.conversations.of({"id": "a", **row}, subject.preparing.prepare(subject.pixels()).texts)
    decode = subject.processor.tokenizer.decode
    assert decode(list(built.labels)) == said + subject.chat.ending()
    assert list(built.ids[-len(built.labels) :]) == list(built.labels)
    assert (decode([built.ids[built.level_at]]) == " good") if level_at else built.level_at == -1
    assert level_at or decode(list(built.lead)).endswith("is")


def test_an_answer_without_its_level_word_is_refused(subject):
    texts = subject.preparing.prepare(subject.pixels()).texts
    for row in (
        {"id": "a", "question": "How?", "answer": "It is fine.", "level": "good"},
        {"id": "a", "prompt": "<|image|>How?", "stem": "It is", "answer": "very good.", "level": "good"},
    ):
        with pytest.raises(TrainingError, match="'good' is not in the answer"):
            subject.conversations.of(row, texts)
