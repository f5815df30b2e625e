"""What stops the command: each is one sentence for the operator, and exit code 2."""

from typing import Final

OPERATOR_MUST_ACT: Final = 2  # exit code of every process: starting again changes nothing until a person did


class OperatorError(Exception):
    """Something that a person must change; the message says what is wrong and how to mend it."""


class OptionError(OperatorError):
    """An option or its value makes no sense: type another."""


class PortTakenError(OperatorError):
    """Another program listens there: stop it or choose another port."""


class AlreadyRunningError(OperatorError):
    """Another copy uses this state folder: stop it or choose another folder."""


class StateFolderError(OperatorError):
    """The state folder cannot be read or written: mend its rights or choose another."""


class DiskFullError(OperatorError):
    """No room to keep what devices send: free some."""


class CertificateError(OperatorError):
    """A certificate or key cannot be used: replace it."""


class BrokerError(OperatorError):
    """No broker that this district may use: install or name one."""


class ProcessFailedError(OperatorError):
    """A process of the district cannot start: its log says why."""


class ResultPageError(OperatorError):
    """A result page does not answer, or what it gives is not whole: try again later, or look at the address."""
