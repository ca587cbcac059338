"""Errors of models, each with the code of the error registry that the worker sends to Node."""


class ModelError(Exception):
    """Base class of the errors of models. `code` names its row in bridge/protocol/errors.ts."""

    code = "WORKER_INTERNAL"


class ConfigError(ModelError):
    """config.json or preprocessor_config.json is missing, not JSON, or describes an unsupported model."""

    code = "MODEL_INVALID"


class CheckpointError(ModelError):
    """Files or tensors are missing, unexpected, of a wrong shape, truncated, or not safe to read."""

    code = "MODEL_INVALID"


class LoraError(CheckpointError):
    """The adapter uses an unsupported LoRA variant, or does not fit its base."""


class TokenizerError(CheckpointError):
    """tokenizer.model is missing or not a SentencePiece model."""


class ModelNotFound(ModelError):
    """Neither a local directory nor a model in the hub or its cache."""

    code = "MODEL_NOT_FOUND"


class DownloadFailed(ModelError):
    """The hub could not be reached, or the connection broke."""

    code = "MODEL_DOWNLOAD_FAILED"


class DeviceUnavailable(ModelError):
    """The named device does not exist on this host."""

    code = "DEVICE_UNAVAILABLE"


class MissingPackage(ModelError):
    """An optional Python package is not installed, or has another version than the supported one."""

    code = "TRAINING_EXTRA_MISSING"


class NonFinite(ModelError):
    """NaN or infinity in the weights or in the logits."""

    code = "NON_FINITE"


class InvalidInput(ModelError):
    """The visuals and prompts of a request contradict each other or do not fit the model."""

    code = "INVALID_REQUEST"


class UnknownClip(ModelError):
    """The worker does not hold these frames of a clip: never sent, released, dropped, or lost with a process."""

    code = "CLIP_UNKNOWN"


class OutOfRoom(ModelError):
    """The request needs more memory than the device has free."""

    code = "OUT_OF_MEMORY"


class Cancelled(ModelError):
    """Raised by a caller's `on_step` to stop between two chunks of work."""

    code = "CANCELLED"
