"""Only errors after which every CUDA call fails end a worker."""

import pytest
import torch

from qalign.weights.errors import CheckpointError
from qalign.worker import device_failure as failures
from qalign.worker.device_failure import STICKY, device_failure
from qalign.worker.errors import to_wire

HINT = (
    "\nCUDA kernel errors might be asynchronously reported at some other API call.\nCompile with `TORCH_USE_CUDA_DSA`"
)


class CodedError(RuntimeError):
    """Like torch.AcceleratorError, which only CUDA can raise."""

    def __init__(self, code: int) -> None:
        super().__init__("a text of a later version")
        self.error_code = code


@pytest.mark.parametrize("text", STICKY.values())
def test_an_error_that_breaks_the_context_ends_the_worker(text: str) -> None:
    for prefix in ("CUDA error: ", "CUDA driver error: ", "HIP error: ", "Triton Error [CUDA]: "):
        assert device_failure(RuntimeError(f"{prefix}{text}{HINT}")) == text
    assert to_wire(RuntimeError(f"CUDA error: {text}{HINT}"))["code"] == "DEVICE_FAILED"


@pytest.mark.parametrize("code", STICKY)
def test_an_error_code_is_recognised_with_any_text(code: int) -> None:
    assert device_failure(CodedError(code)) == STICKY[code]


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
        RuntimeError("CUDA error: out of memory" + HINT),
        RuntimeError("CUDA error: invalid argument" + HINT),
        RuntimeError("CUDA error: invalid device ordinal" + HINT),
        RuntimeError("CUDA error: no kernel image is available for execution on the device" + HINT),
        RuntimeError("CUDA error: operation not permitted when stream is capturing" + HINT),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("shape '[2, 3]' is invalid for input of size 7"),
        ValueError("CUDA error: an illegal memory access was encountered"),
        CodedError(2),
        CodedError(1),
    ],
)
def test_errors_that_leave_the_device_working_do_not_end_the_worker(error: Exception) -> None:
    assert device_failure(error) is None


def test_the_cause_of_an_error_is_checked() -> None:
    try:
        try:
            raise RuntimeError("CUDA error: unspecified launch failure" + HINT)
        except RuntimeError as cause:
            raise CheckpointError("m is refused") from cause
    except CheckpointError as error:
        assert to_wire(error)["code"] == "DEVICE_FAILED"


def test_an_error_of_a_library_tests_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm( handle, opa, opb )`")
    monkeypatch.setattr(failures.torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(failures.torch.cuda, "synchronize", lambda: None)
    assert device_failure(error) is None

    def refuse() -> None:
        raise RuntimeError("CUDA error: misaligned address" + HINT)

    monkeypatch.setattr(failures.torch.cuda, "synchronize", refuse)
    assert device_failure(error) == "misaligned address"


@pytest.mark.parametrize("error", [RuntimeError("CUDA error: a text of a later version" + HINT), CodedError(4711)])
def test_an_error_that_is_not_known_tests_the_device(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(failures.torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(failures.torch.cuda, "synchronize", lambda: None)
    assert device_failure(error) is None

    def refuse() -> None:
        raise error

    monkeypatch.setattr(failures.torch.cuda, "synchronize", refuse)
    assert device_failure(error) == str(error).removeprefix("CUDA error: ").partition("\n")[0]

    def no_room() -> None:
        raise RuntimeError("CUDA error: out of memory" + HINT)

    monkeypatch.setattr(failures.torch.cuda, "synchronize", no_room)
    assert device_failure(error) is None
