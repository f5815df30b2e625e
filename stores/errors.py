"""What can go wrong with a store, cut by what the caller does next. No text holds anything of a payload."""


class StoreError(Exception):
    """All that this package raises on purpose; by itself: a defect of the store or the call, nothing was stored."""


class SpecError(StoreError):
    """The settings name no store that exists: say the sentence and exit with code 2."""


class WriterLockedError(StoreError):
    """Another process writes here: say the sentence and exit with code 2, for two writers would damage it."""


class SchemaTooNewError(StoreError):
    """A newer program wrote this: say the sentence and exit with code 2, for guessing its layout would lose data."""


class StoreUnavailableError(StoreError):
    """It cannot be reached or is not ready: keep everything and try again, after `retry_after_s` if it was named."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreFullError(StoreUnavailableError):
    """No room is left: keep everything, stop reading, tell the operator; nothing was stored."""


class StoreAuthError(StoreError):
    """It refuses our token or role: keep everything, try again slowly, tell the operator."""


class ConflictError(StoreError):
    """Another writer was first, or the row exists already: nothing was stored; load the state again and judge again."""


class LineError(StoreError):
    """These bytes are no line of ours: dead-letter the line, go on with the next."""


class LinesRefusedError(StoreError):
    """These lines were refused and will be for ever, every other line of the call is stored: dead-letter these only."""

    def __init__(self, bad: list[tuple[int, str]]) -> None:
        """Take (index of the line in the call from 0, reason) for each refused line."""
        super().__init__(f"{len(bad)} lines refused; the first: {bad[0][1]}" if bad else "no line refused")
        self.bad = bad
