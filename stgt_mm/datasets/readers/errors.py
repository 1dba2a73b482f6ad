"""The one error that readers raise."""

from stgt_mm.errors import UserError


class VideoReadError(UserError):
    """A file that gives no frames, with its path and the reason of every reader that tried."""

    def __init__(self, path: object, why: str = '') -> None:
        # Both go to ``args``, and ``why`` may be missing, so that the error survives a worker process.
        super().__init__(path, why)
        self.path = str(path)
        self.why = why

    def __str__(self) -> str:
        return f'cannot read video {self.path}: {self.why}' if self.why else self.path
