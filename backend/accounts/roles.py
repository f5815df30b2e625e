"""Who may do what: one table, read by every route and by the pages that show or hide a button. Pure.

Nobody reads a sealed result or an exact count with any role: none exists (DESIGN §6, §7). A technician handles
alerts about a device, an officer those about people's health too; so does an administrator, who is the only one there
is at a district's first start. An auditor reads and changes nothing.
"""

from enum import StrEnum
from typing import Final, Literal, get_args

from backend.web.words import N_

Role = Literal["officer", "technician", "admin", "auditor"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
ROLE_NAMES: Final[dict[Role, str]] = {
    "officer": N_("officer"),
    "technician": N_("technician"),
    "admin": N_("administrator"),
    "auditor": N_("auditor"),
}


class Permission(StrEnum):
    """What a route may ask for."""

    READ = "read"  # pages, series, alerts, devices
    HANDLE_ANY_ALERT = "handle_any_alert"
    HANDLE_DEVICE_ALERT = "handle_device_alert"
    MANAGE_DEVICES = "manage_devices"  # enrolment tokens, withdrawing a certificate
    OPEN_RESTRICTED = "open_restricted"  # together with a second officer: rooms where people live or lie
    READ_RELEASES = "read_releases"  # what one kiosk released
    MANAGE_ACCOUNTS = "manage_accounts"
    READ_AUDIT = "read_audit"


_P = Permission

GRANTS: Final[dict[Role, frozenset[Permission]]] = {
    "officer": frozenset({_P.READ, _P.HANDLE_ANY_ALERT, _P.HANDLE_DEVICE_ALERT, _P.READ_RELEASES, _P.OPEN_RESTRICTED}),
    "technician": frozenset({_P.READ, _P.HANDLE_DEVICE_ALERT, _P.MANAGE_DEVICES, _P.READ_RELEASES}),
    "admin": frozenset(_P) - {_P.OPEN_RESTRICTED},  # who makes accounts could make the second officer
    "auditor": frozenset({_P.READ, _P.READ_AUDIT}),
}


def may(role: Role, permission: Permission) -> bool:
    """Tell whether the table grants it."""
    return permission in GRANTS[role]
