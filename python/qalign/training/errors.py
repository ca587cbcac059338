"""Errors of training, each with the code of the error registry that TypeScript shows."""


class TrainingError(Exception):
    """The message names the wrong value and what to do. `code` is a row of the error registry."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Diverged(TrainingError):
    """The loss or the gradient norm is not finite, or far above its recent average."""

    def __init__(self, message: str) -> None:
        super().__init__("TRAINING_DIVERGED", message)
