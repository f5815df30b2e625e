"""Everything the gateway raises, cut by what the reader does next."""

from collections.abc import Sequence


class GatewayError(Exception):
    """Base of this package's errors."""


class SurveillanceError(GatewayError):
    """A surveillance function was given what it cannot judge: mend the named parameter, nothing was computed."""


class HistoryError(GatewayError):
    """A history file was refused and nothing of it was stored: mend the rows that `problems` names, import again."""

    def __init__(self, message: str, problems: Sequence[tuple[int, str]] = ()) -> None:
        """Take a sentence and (line number from 1, what is wrong with it) for every bad row."""
        super().__init__(message)
        self.problems = tuple(problems)


class SettingsError(GatewayError):
    """A setting or a file it names is missing or wrong: say the sentence and exit with code 2."""


class ReplacedError(GatewayError):
    """Another process's rows are not those that were read: end, and begin anew from what is there now."""


class BacktestError(GatewayError):
    """The back-test cannot run as asked: say the sentence and exit with code 2."""
