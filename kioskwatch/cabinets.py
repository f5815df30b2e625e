"""Simulated cabinets before their agents start: settings for each, a token for those that must enrol (again).

A cabinet keeps what it was told at enrolment. When that holds no longer (its certificate ran out while it was off,
the broker moved, the CA was made anew, or its outbox is gone, docs/CONTRACT.md C12) its certificate is taken away, so
that its agent enrols as a new one would. Its key, outbox and counters stay.
"""

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from backend.devices.authority import certificate_facts
from backend.errors import AuthorityError
from backend.errors import OperatorError as BackendOperatorError
from backend.web.client import ask
from kioskwatch import plan
from kioskwatch.preparation import local_host, write_toml
from kioskwatch.supervisor import PrepareError

CERTIFICATE = "device.pem"  # without it an agent enrols; kioskwatch.backup takes it away after a restore too


def write_cabinets(district: plan.District, ports: plan.Ports, now: datetime) -> None:
    """Write every cabinet.toml; PrepareError when the backend gives no token or the disk takes no file."""
    try:
        for device in district.simulated_devices:
            path = district.folder.cabinet(device.id)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            token = None if is_enrolled(path.parent, district, now) else _token(district, device.id)
            write_toml(path, plan.cabinet_settings(district, device, ports, token))
    except OSError as exc:
        raise PrepareError(f"the cabinets' settings cannot be written: {exc}") from exc


def is_enrolled(cabinet: Path, district: plan.District, now: datetime) -> bool:
    """Tell whether a cabinet's enrolment still holds; otherwise its certificate is gone after this."""
    certificate = cabinet / CERTIFICATE
    checks: tuple[Callable[[], bool], ...] = (
        lambda: certificate_facts(certificate.read_bytes()).not_after > now,
        lambda: (cabinet / "ca.pem").read_bytes().strip() == (district.folder.ca / "ca.pem").read_bytes().strip(),
        (cabinet / "outbox.db").exists,
        lambda: _told(cabinet).get("broker") == plan.public_broker(district),
    )
    try:
        if all(check() for check in checks):
            return True
    except (OSError, AuthorityError, ValueError):
        pass  # missing or damaged: as good as none
    certificate.unlink(missing_ok=True)
    return False


def _told(cabinet: Path) -> dict[str, Any]:
    told = json.loads((cabinet / "enrolment.json").read_bytes())
    return told if isinstance(told, dict) else {}


def _token(district: plan.District, device: str) -> str:
    options = district.options
    try:
        answer = ask(
            local_host(options),
            options.port,
            "/admin/v1/device-token",
            {"device": device},
            token_file=district.folder.admin_token,
            certificate=district.tls_cert if options.https else None,
        )
        return str(answer["token"])
    except (BackendOperatorError, KeyError) as exc:
        raise PrepareError(f"the backend gave no enrolment token for {device}: {exc}") from exc
