"""Products of codes on devices whose libraries lack some of them."""

import logging

import pytest
import torch

from qalign.weights import codes
from qalign.weights.codes import encode, fp8_product, quantise_rows

REFUSED = RuntimeError(
    "CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasLtMatmulAlgoGetHeuristic( ltHandle )`"
)


@pytest.fixture
def refusing(monkeypatch):
    """cuBLAS without products of few rows with a scale per row. → the shapes of the attempts."""
    tried, scaled_mm = [], torch._scaled_mm

    def product(left, right, left_scales, right_scales, **options):
        if left_scales.numel() > 1:
            tried.append((len(left), right.shape[1], right.shape[0]))
            if len(left) <= 256:
                raise REFUSED
        return scaled_mm(left, right, left_scales, right_scales, **options)

    monkeypatch.setattr(torch, "_scaled_mm", product)
    monkeypatch.setattr(codes, "_unsupported", set())
    return tried


def operands(rows):
    generator = torch.Generator().manual_seed(rows)
    x, weight = (torch.randn(size, 64, generator=generator).bfloat16() for size in (rows, 32))
    return *encode("fp8", weight), *quantise_rows(x, "fp8"), rows, torch.bfloat16


@pytest.mark.parametrize("bias", [None, torch.arange(32).bfloat16()])
@pytest.mark.parametrize("rows", [1, 77, 300])
def test_a_product_that_cublas_lacks_is_scaled_after_it(refusing, rows, bias, caplog):
    wanted = (
        torch.mul(operands(rows)[2].float(), operands(rows)[3])[:rows]
        @ torch.mul(operands(rows)[0].float(), operands(rows)[1]).t()
    )
    with caplog.at_level(logging.WARNING):
        found = [fp8_product(*operands(rows), bias) for _ in range(3)]
    wanted = wanted if bias is None else wanted + bias
    for product in found:
        assert product.dtype == torch.bfloat16 and product.shape == (rows, 32)
        assert torch.allclose(product.float(), wanted, rtol=0.02, atol=0.1)
    assert len(refusing) == (3 if rows > 256 else 1), "a refused shape is tried once"
    assert len(caplog.messages) == (0 if rows > 256 else 1)


def test_other_errors_of_a_product_are_raised(monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch, "_scaled_mm", broken)
    with pytest.raises(RuntimeError, match="illegal memory access"):
        fp8_product(*operands(3))
