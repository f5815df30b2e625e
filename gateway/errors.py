"""Everything the gateway raises, cut by what the reader does next."""


class GatewayError(Exception):
    """Base of this package's errors."""


class SurveillanceError(GatewayError):
    """A surveillance function was given what it cannot judge: mend the named parameter, nothing was computed."""


class HistoryError(GatewayError):
    """A history file was refused and nothing of it was stored: mend the lines that the message names, import again."""
