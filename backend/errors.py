"""What can go wrong in the backend; cut by what the reader does next.

A sentence is an English msgid with `%(name)s` places: the API answers it as it stands, a page in the reader's
language. No sentence repeats what a stranger typed.
"""

from http import HTTPStatus
from typing import ClassVar


class BackendError(Exception):
    """A request or a start that cannot go on; the sentence says what to do."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR

    def __init__(self, sentence: str, **values: object) -> None:
        super().__init__(sentence % values if values else sentence)
        self.sentence = sentence
        self.values = values


class OperatorError(BackendError):
    """The operator must mend a file, a port or a certificate: exit code 2 and this sentence."""


class DistrictFileError(OperatorError):
    """district.toml says something impossible: mend the key in the line named."""

    def __init__(self, sentence: str, *, key: str, line: int | None = None) -> None:
        where = f"line {line}, {key}" if line is not None else key
        super().__init__(f"district.toml, {where}: {sentence}")
        self.key = key
        self.line = line


class AuthorityError(OperatorError):
    """A key or certificate of the development CA is damaged: restore it from the backup."""


class InputError(BackendError):
    """The person or device sent something unusable: mend it and send again."""

    status = HTTPStatus.BAD_REQUEST


class NotSignedInError(BackendError):
    """Nobody is signed in: sign in first."""

    status = HTTPStatus.UNAUTHORIZED


class NotAllowedError(BackendError):
    """This person may not do that: ask somebody whose role allows it."""

    status = HTTPStatus.FORBIDDEN


class AgreementError(BackendError):
    """No agreement covers this: conclude one and write it into district.toml, or share less."""

    status = HTTPStatus.FORBIDDEN


class MustChangePasswordError(NotAllowedError):
    """The first password is still in force: change it before anything else."""


class NotFoundError(BackendError):
    """There is no such thing: go back to the list."""

    status = HTTPStatus.NOT_FOUND


class MethodError(BackendError):
    """The address exists, for another method: the program that asked is wrong."""

    status = HTTPStatus.METHOD_NOT_ALLOWED


class ConflictError(BackendError):
    """The thing is in another state than the person thought: look again."""

    status = HTTPStatus.CONFLICT


class TooManyError(BackendError):
    """Too many attempts from one address: wait so many seconds."""

    status = HTTPStatus.TOO_MANY_REQUESTS

    def __init__(self, sentence: str, *, retry_after_s: int) -> None:
        super().__init__(sentence, seconds=retry_after_s)
        self.retry_after_s = retry_after_s


class UnavailableError(BackendError):
    """A store does not answer now: the page may be loaded again in a moment."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
