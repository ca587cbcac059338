"""Detects errors after which every CUDA call of the process fails, so that only a new process can use the device."""

import re

import torch

# Errors that need a new process by the reference of the CUDA runtime. Also errors of broken hardware, and of a lost
# context or server. The value is the text in torch's message.
STICKY = {
    214: "uncorrectable ECC error encountered",
    220: "uncorrectable NVLink error detected during the execution",
    226: "Invalid access of peer GPU memory over nvlink or a hardware error",
    700: "an illegal memory access was encountered",
    702: "the launch timed out and was terminated",
    709: "context is destroyed",
    710: "device-side assert triggered",
    714: "hardware stack error",
    715: "an illegal instruction was encountered",
    716: "misaligned address",
    717: "operation not supported on global/shared address space",
    718: "invalid program counter",
    719: "unspecified launch failure",
    721: "tensor memory not completely freed",
    806: "the remote procedural call between the MPS server and the MPS client failed",
    807: "the MPS server is not ready to accept new MPS client requests",
    810: "the MPS client has been terminated by the server",
    911: "an async error has occured in external entity outside of CUDA",
    999: "unknown error",
}
TEXTS = {sentence.lower() for sentence in STICKY.values()}
# The start of torch's message. ROCm uses the same texts.
MESSAGE = re.compile(r"(?:(?:CUDA|HIP)(?: driver)? error|Triton Error \[CUDA\]): (?P<what>[^\n]+)")
LIBRARY = re.compile(r"CUBLAS_STATUS_|CUDNN_STATUS_|CUSOLVER_STATUS_|CUSPARSE_STATUS_|cuDNN error|cuBLAS error")


def device_failure(error: BaseException) -> str | None:
    """The failure of the device in words, or None for an error after which the device still works.

    The device still works after it ran out of memory, or after a wrong argument or a missing kernel. An error of cuBLAS
    or cuDNN, and one that is not in the list, can have either kind of cause. Then a test call on the device decides.
    Chained causes are checked too.
    """
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        what = _sticky(found)
        if what is not None:
            return what
        found = found.__cause__ or found.__context__
    return None


def _sticky(error: BaseException) -> str | None:
    if not isinstance(error, RuntimeError) or isinstance(error, torch.OutOfMemoryError):
        return None
    text = str(error)
    code = getattr(error, "error_code", None)
    if code in STICKY:
        return STICKY[code]
    what = _said(text)
    if what.lower() in TEXTS:
        return what
    return _asked() if what or code is not None or LIBRARY.search(text) else None


def _said(text: str) -> str:
    """The words of CUDA in a message, or nothing."""
    told = MESSAGE.search(text)
    return told["what"].strip().rstrip(".") if told else ""


def _asked() -> str | None:
    """Test the device after an error that does not tell. → the failure in words, or None if it works.

    Errors of a synchronisation are those of computations, after which no context works, except a lack of memory.
    """
    if not torch.cuda.is_initialized():
        return None
    try:
        torch.cuda.synchronize()
    except RuntimeError as error:
        what = _said(str(error)) or str(error).partition("\n")[0]
        return None if isinstance(error, torch.OutOfMemoryError) or what == "out of memory" else what
    return None
