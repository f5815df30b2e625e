"""Whether a browser would trust a certificate for an address: a TLS handshake in memory, against this machine's trust.

No socket and no name look-up: both ends of the handshake live here. What the machine trusts is the nearest thing to
what phones trust; an authority that only this machine knows passes, and the manual says so.
"""

import ssl
from pathlib import Path
from typing import Final

from kioskwatch.errors import CertificateError

MAX_FLIGHTS: Final = 10  # TLS 1.3 needs two, 1.2 three


def check_trusted(chain: Path, key: Path, host: str) -> None:
    """Raise CertificateError unless the chain is for `host`, valid now, and ends at an authority that is trusted."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        server.load_cert_chain(chain, key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as exc:
        raise CertificateError(
            f"{chain} and {key} cannot be used: {_reason(exc)}; give a PEM certificate chain with --results-cert and "
            "its unencrypted key with --results-key"
        ) from exc
    try:
        _shake_hands(server, ssl.create_default_context(), host)
    except ssl.SSLCertVerificationError as exc:
        raise CertificateError(
            f"{chain}: no phone would open https://{host} with it ({exc.verify_message}); give with --results-cert "
            "the whole chain of a certificate for that name from an authority that phones trust"
        ) from exc
    except (ssl.SSLError, ValueError) as exc:
        raise CertificateError(f"{chain} cannot serve https://{host}: {_reason(exc)}") from exc


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(MAX_FLIGHTS):
        finished = [_has_finished(end) for end in ends]  # both take a turn, whatever the first one says
        if all(finished):
            return
    raise ssl.SSLError("the handshake does not end")


def _has_finished(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _reason(exc: Exception) -> str:
    if isinstance(exc, ssl.SSLError) and exc.reason:
        return exc.reason.replace("_", " ").lower()
    return str(exc)
