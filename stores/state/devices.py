"""The registry: district, zones, sites, devices, assay layouts, safety rules; and how devices prove who they are.

The backend alone writes it. Ingest and analyse read it whole, as a `RegistrySnapshot`, every few seconds. Nothing is
deleted: what left the district file is `retired`, so that old rows keep their names; layouts are kept for ever.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, cast

from sqlalchemy import Connection, Table, delete, insert, select, update

from contracts.layout import Assay, AssayLayout
from contracts.registry import (
    Device,
    District,
    Layout,
    LimitRule,
    Placement,
    RegistrySnapshot,
    Rule,
    Site,
    StuckRule,
    Zone,
    placed,
)
from stores.errors import ConflictError, StoreUnavailableError
from stores.state.database import Database, Transaction
from stores.state.rows import Row, upsert
from stores.state.tables import CERTIFICATES, DEVICES, DISTRICT, LAYOUTS, PLACEMENTS, RULES, SITES, TOKENS, ZONES

_RULE_KINDS: Final[dict[str, type[Rule]]] = {"limit": LimitRule, "stuck": StuckRule}
_RULE_COLUMNS: Final = ("name", "metric", "severity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate that was given out."""

    serial: str
    device: str
    not_after_ns: int
    fingerprint: str
    revoked: bool = False


def load_registry(database: Database) -> RegistrySnapshot:
    """Return the registry; StoreUnavailableError before the first district file was applied."""
    with database.read() as connection:
        district = connection.execute(select(DISTRICT)).first()
        if district is None:
            raise StoreUnavailableError("the registry is empty (yet): the backend fills it when it starts")
        in_order = select(ZONES).where(ZONES.c.retired.is_(False)).order_by(ZONES.c.place)
        zones = [Zone(**_read(row._asdict())) for row in connection.execute(in_order)]
        sites = [Site(**_read(row._asdict())) for row in connection.execute(_kept(SITES))]
        zone_of = {site.id: site.zone for site in sites}
        devices = [Device(**_read(row._asdict()), zone=zone_of[row.site]) for row in connection.execute(_kept(DEVICES))]
        layouts = [_layout(row._asdict()) for row in connection.execute(select(LAYOUTS).order_by(LAYOUTS.c.number))]
        rules = [_rule(row._asdict()) for row in connection.execute(select(RULES).order_by(RULES.c.name))]
        placements = _placements(connection)
    return RegistrySnapshot(
        District(**_read(district._asdict())),
        {zone.id: zone for zone in zones},
        {site.id: site for site in sites},
        {device.id: device for device in devices},
        {layout.layout.number: layout for layout in layouts},
        tuple(rules),
        placements,
    )


class Registry:
    """What the backend does to the registry; each method takes the open transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def apply(
        self,
        tx: Transaction,
        district: District,
        *,
        zones: Sequence[Zone],
        sites: Sequence[Site],
        devices: Sequence[Device],
        rules: Sequence[Rule],
        now_ns: int,
    ) -> None:
        """Make the registry what the district file says; a device's enrolment and keys stay as they are.

        `now_ns` is the district's time: a device's windows count in its new zone from the next one on (C31).
        """
        tx.execute(delete(DISTRICT))
        tx.execute(insert(DISTRICT), [_written(district)])
        _replace(tx, ZONES, [_written(zone) for zone in zones])
        _replace(tx, SITES, [_written(site) for site in sites])
        self._place_devices(tx, devices)
        calendar = district.calendar
        next_window_ns = calendar.window_start_ns(now_ns) + calendar.window_ns
        self._place_windows(tx, devices, next_window_ns)
        tx.execute(delete(RULES))
        if rules:
            tx.execute(insert(RULES), [_rule_row(rule) for rule in rules])

    def _place_devices(self, tx: Transaction, devices: Sequence[Device]) -> None:
        tx.execute(update(DEVICES).values(retired=True))
        known = set(tx.execute(select(DEVICES.c.id)).scalars())
        for device in devices:
            row = _written(device)
            if device.id in known:
                said = {"site": device.site, "kind": device.kind, "label": device.label, "retired": False}
                tx.execute(update(DEVICES).where(DEVICES.c.id == device.id).values(said))
            else:
                tx.execute(insert(DEVICES), [row])

    def _place_windows(self, tx: Transaction, devices: Sequence[Device], next_window_ns: int) -> None:
        known = _placements(tx)
        tx.execute(delete(PLACEMENTS))
        known |= {
            device.id: placed(known.get(device.id, ()), device.site, device.zone, next_window_ns=next_window_ns)
            for device in devices
        }
        rows = [{"device": device, **asdict(one)} for device, history in known.items() for one in history]
        if rows:
            tx.execute(insert(PLACEMENTS), rows)

    def add_layout(self, tx: Transaction, layout: Layout) -> None:
        """Add a layout; numbers are given once and never change."""
        assays = [{"code": assay.code, "targets": list(assay.targets)} for assay in layout.layout.assays]
        row = {"number": layout.layout.number, "valid_from_ns": layout.valid_from_ns, "assays": json.dumps(assays)}
        tx.execute(insert(LAYOUTS), [row])

    def add_token(self, tx: Transaction, token_hash: bytes, device: str, expires_s: int) -> None:
        """Remember a one-time token by its hash; earlier tokens of the device end."""
        tx.execute(delete(TOKENS).where(TOKENS.c.device == device))
        tx.execute(insert(TOKENS), [{"hash": token_hash, "device": device, "expires_s": expires_s, "public_key": None}])

    def use_token(self, tx: Transaction, token_hash: bytes, public_key: bytes, now_s: int) -> str | None:
        """Return the token's device when it may enrol this key: the token's first use, or a repeat for the same key."""
        row = tx.execute(select(TOKENS).where(TOKENS.c.hash == token_hash)).first()
        if row is None or row.expires_s <= now_s:
            return None
        if row.public_key is None:
            tx.execute(update(TOKENS).where(TOKENS.c.hash == token_hash).values(public_key=public_key))
        elif bytes(row.public_key) != public_key:
            return None
        return cast("str", row.device)

    def enrol(self, tx: Transaction, certificate: Certificate, public_key: bytes) -> int:
        """Record a certificate and the key in it; return the device's new enrolment number.

        With another key, the certificates of the one before end: whoever still holds it is not this device any more.
        """
        before = tx.execute(select(DEVICES.c.public_key).where(DEVICES.c.id == certificate.device)).scalar()
        if before is not None and bytes(before) != public_key:
            self._end_certificates(tx, certificate.device)
        upsert(tx, CERTIFICATES, [asdict(certificate)])
        changed = (
            update(DEVICES)
            .where(DEVICES.c.id == certificate.device)
            .values(
                enrolment=DEVICES.c.enrolment + 1,
                public_key=public_key,
                cert_not_after_ns=certificate.not_after_ns,
                status="active",
            )
            .returning(DEVICES.c.enrolment)
        )
        return int(tx.execute(changed).scalar_one())

    def renew(self, tx: Transaction, certificate: Certificate, public_key: bytes) -> None:
        """Record a certificate that takes an older one's place; the enrolment, and so the outbox, stays the same.

        ConflictError when the device was shut out meanwhile.
        """
        upsert(tx, CERTIFICATES, [asdict(certificate)])
        changed = {"public_key": public_key, "cert_not_after_ns": certificate.not_after_ns}
        active = (DEVICES.c.id == certificate.device) & (DEVICES.c.status == "active")
        if tx.execute(update(DEVICES).where(active).values(changed)).rowcount != 1:
            raise ConflictError("the device was shut out while its renewal was under way")

    def revoke(self, tx: Transaction, device: str) -> int:
        """Refuse a device from now on; return how many certificates that ends.

        Its token ends too: one that was used may be used again by the same key, and would let it in.
        """
        tx.execute(update(DEVICES).where(DEVICES.c.id == device).values(status="revoked"))
        tx.execute(delete(TOKENS).where(TOKENS.c.device == device))
        return self._end_certificates(tx, device)

    def _end_certificates(self, tx: Transaction, device: str) -> int:
        alive = (CERTIFICATES.c.device == device) & CERTIFICATES.c.revoked.is_(False)
        return tx.execute(update(CERTIFICATES).where(alive).values(revoked=True)).rowcount

    def revoked_serials(self) -> list[str]:
        """Return the serial numbers of every revoked certificate, for the revocation list."""
        wanted = select(CERTIFICATES.c.serial).where(CERTIFICATES.c.revoked.is_(True)).order_by(CERTIFICATES.c.serial)
        with self._database.read() as connection:
            return list(connection.execute(wanted).scalars())

    def certificates(self, device: str) -> list[Certificate]:
        """Return the certificates of a device, the longest valid first."""
        wanted = select(CERTIFICATES).where(CERTIFICATES.c.device == device)
        with self._database.read() as connection:
            rows = connection.execute(wanted.order_by(CERTIFICATES.c.not_after_ns.desc())).all()
        return [Certificate(**row._asdict()) for row in rows]


def _placements(connection: Connection) -> dict[str, tuple[Placement, ...]]:
    found: dict[str, tuple[Placement, ...]] = {}
    for row in connection.execute(select(PLACEMENTS).order_by(PLACEMENTS.c.device, PLACEMENTS.c.from_ns)):
        found[row.device] = (*found.get(row.device, ()), Placement(row.from_ns, row.site, row.zone))
    return found


def _kept(table: Table) -> Any:  # noqa: ANN401 -- a select of all columns has no narrower type
    return select(table).where(table.c.retired.is_(False)).order_by(table.c.id)


def _replace(tx: Transaction, table: Table, rows: Sequence[Row]) -> None:
    """Retire all, then insert or replace those given."""
    tx.execute(update(table).values(retired=True))
    upsert(tx, table, rows)


def _written(entry: District | Zone | Site | Device) -> dict[str, Any]:
    row = {one.name: getattr(entry, one.name) for one in fields(entry)}
    if isinstance(entry, Device):
        del row["zone"]  # its site's
    else:
        row["names"] = json.dumps(dict(entry.names), ensure_ascii=False, sort_keys=True)
    if isinstance(entry, District):
        row["languages"] = ",".join(entry.languages)
    return row


def _read(row: dict[str, Any]) -> dict[str, Any]:
    if "names" in row:
        row["names"] = json.loads(row["names"])
    if "languages" in row:
        row["languages"] = tuple(row["languages"].split(","))
    if row.get("public_key") is not None:
        row["public_key"] = bytes(row["public_key"])
    return row


def _layout(row: dict[str, Any]) -> Layout:
    assays = tuple(Assay(entry["code"], tuple(entry["targets"])) for entry in json.loads(row["assays"]))
    return Layout(AssayLayout(row["number"], assays), row["valid_from_ns"])


def _rule_row(rule: Rule) -> dict[str, Any]:
    row = asdict(rule)
    kind = next(kind for kind, made in _RULE_KINDS.items() if isinstance(rule, made))
    settings = {name: value for name, value in row.items() if name not in _RULE_COLUMNS}
    return {
        **{name: row[name] for name in _RULE_COLUMNS},
        "kind": kind,
        "settings": json.dumps(settings, sort_keys=True),
    }


def _rule(row: dict[str, Any]) -> Rule:
    settings = json.loads(row["settings"])
    if "site_kinds" in settings:
        settings["site_kinds"] = tuple(settings["site_kinds"])
    return _RULE_KINDS[row["kind"]](**{name: row[name] for name in _RULE_COLUMNS}, **settings)
