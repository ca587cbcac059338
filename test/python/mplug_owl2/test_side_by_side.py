"""Parts that run at once: their order, their threads, their modes, their errors."""

import threading

import pytest
import torch

from qalign.mplug_owl2.side_by_side import side_by_side


def test_the_results_have_the_order_of_the_parts_and_no_gradients():
    weight = torch.nn.Parameter(torch.tensor(3.0))
    with torch.no_grad():
        found = side_by_side(lambda part: part * weight, torch.arange(64.0).split(1))
    assert torch.equal(torch.cat(found), torch.arange(64.0) * 3)
    assert not any(part.requires_grad for part in found)


def test_every_part_uses_one_thread_and_the_caller_keeps_its_threads():
    before = torch.get_num_threads()
    seen: list[tuple[int, str]] = []
    with torch.inference_mode():
        side_by_side(
            lambda part: seen.append((torch.get_num_threads(), threading.current_thread().name)) or part,
            torch.zeros(32).split(1),
        )
    assert {count for count, _ in seen} == {1}
    assert len({name for _, name in seen}) <= before
    assert torch.get_num_threads() == before


def test_the_inference_mode_of_the_caller_holds_in_its_parts():
    def modes(part):
        return torch.tensor([torch.is_inference_mode_enabled(), torch.is_grad_enabled()])

    with torch.inference_mode():
        assert side_by_side(modes, [torch.zeros(1)])[0].tolist() == [True, False]
    with torch.no_grad():
        assert side_by_side(modes, [torch.zeros(1)])[0].tolist() == [False, False]


def test_an_error_of_a_part_is_raised():
    def fails(part):
        raise MemoryError(f"part {int(part)}")

    with torch.no_grad(), pytest.raises(MemoryError, match="part 0"):
        side_by_side(fails, torch.zeros(3).split(1))
