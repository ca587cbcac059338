"""What can go wrong while training, each with the registry code that TypeScript shows."""


class TrainingError(Exception):
    """One sentence with the offending value and what to do; `code` is a row of the error registry."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Diverged(TrainingError):
    """The loss or the gradient is no longer a number, or far beyond where the run stood."""

    def __init__(self, message: str) -> None:
        super().__init__("TRAINING_DIVERGED", message)
