"""What may go wrong with a model, each with the code of the project's registry that the worker puts on the wire."""


class ModelError(Exception):
    """Base of every error raised here. `code` names its row in bridge/protocol/errors.ts."""

    code = "WORKER_INTERNAL"


class ConfigError(ModelError):
    """config.json or preprocessor_config.json is missing, not JSON, or describes what this code cannot run."""

    code = "MODEL_INVALID"


class CheckpointError(ModelError):
    """Files or tensors are missing, unexpected, misshapen, truncated, or not safe to read."""

    code = "MODEL_INVALID"


class LoraError(CheckpointError):
    """The adapter uses a LoRA variant that is not merged here, or does not fit its base."""


class TokenizerError(CheckpointError):
    """tokenizer.model is missing or not a SentencePiece model."""


class ModelNotFound(ModelError):
    """Neither a local directory nor a model in the hub or its cache."""

    code = "MODEL_NOT_FOUND"


class DownloadFailed(ModelError):
    """The hub could not be reached or broke off."""

    code = "MODEL_DOWNLOAD_FAILED"


class DeviceUnavailable(ModelError):
    """The named device does not exist on this host."""

    code = "DEVICE_UNAVAILABLE"


class NonFinite(ModelError):
    """NaN or infinity in the weights or in the logits."""

    code = "NON_FINITE"


class InvalidInput(ModelError):
    """Visuals or prompts of a request do not fit each other or the model."""

    code = "INVALID_REQUEST"


class UnknownClip(ModelError):
    """Frames of a clip that are not kept: never sent, released, dropped, or lost with an earlier process."""

    code = "CLIP_UNKNOWN"


class OutOfRoom(ModelError):
    """What was asked for needs more memory than the device has left."""

    code = "OUT_OF_MEMORY"


class Cancelled(ModelError):
    """Raised by a caller's `on_step` to stop between two chunks of work."""

    code = "CANCELLED"
