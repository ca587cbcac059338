"""The errors that a worker can return, and the mapping from library exceptions to registry codes."""

from ..mplug_owl2.engine.memory import is_out_of_memory
from ..protocol import ERROR_CODES
from ..training.errors import TrainingError
from ..weights.errors import ModelError
from .device_failure import device_failure

DEVICE_FAILED = "DEVICE_FAILED"


class WorkerError(Exception):
    """An error with a code of the registry. `message` names the wrong value and what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        assert code in ERROR_CODES, code
        self.code = code


def to_wire(error: BaseException) -> dict[str, str]:
    """Any exception → {code, message} for Node. Unknown exceptions become WORKER_INTERNAL with only their type."""
    what = device_failure(error)
    if what is not None:
        return {
            "code": DEVICE_FAILED,
            "message": f"{what}; the worker ends, because only a new process can use the device.",
        }
    if isinstance(error, WorkerError | ModelError | TrainingError):
        return {"code": error.code, "message": str(error) or ERROR_CODES[error.code].sentence}
    if is_out_of_memory(error):
        return {
            "code": "OUT_OF_MEMORY",
            "message": "The device ran out of memory; use fewer frames or a smaller batch.",
        }
    return {
        "code": "WORKER_INTERNAL",
        "message": f"The worker failed with {type(error).__name__}; the log has the traceback.",
    }
