"""Asks the running backend on this machine, with the token file; for the commands `user` and `device`."""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any, Final

from backend.errors import OperatorError

TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 1024 * 1024
_ANY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a listening address is turned into one to ask


class NotRunningError(OperatorError):
    """Nobody listens: the command may take the state itself."""


def ask(
    host: str, port: int, path: str, body: dict[str, str], *, token_file: Path, certificate: Path | None
) -> dict[str, Any]:
    """Post to the administration API; NotRunningError when nobody listens, OperatorError with its sentence else."""
    connection = _connection(_ANY.get(host, host), port, certificate)
    try:
        token = token_file.read_text().strip()
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        connection.request("POST", path, json.dumps(body), headers)
        response = connection.getresponse()
        answer = json.loads(response.read(MAX_ANSWER_BYTES))
    except (ConnectionRefusedError, FileNotFoundError) as exc:
        raise NotRunningError("The backend does not run.") from exc
    except (OSError, http.client.HTTPException, ValueError) as exc:
        reason = type(exc).__name__
        raise OperatorError(
            "%(host)s port %(port)s gave no answer: %(reason)s.", host=host, port=port, reason=reason
        ) from exc
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise OperatorError(str(answer.get("error", f"The backend answered {response.status}.")))
    return dict(answer)


def _connection(host: str, port: int, certificate: Path | None) -> http.client.HTTPConnection:
    if certificate is None:
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)
    # The only certificate believed is the one in our own file, under whatever name it was issued.
    context = ssl.create_default_context(cafile=str(certificate))
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=context)
