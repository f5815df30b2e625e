"""What each device last said of itself (state, birth, reported, command answers) and when it was last heard."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Connection, select

from contracts.rows import DeviceReport
from stores.state.database import Database
from stores.state.rows import upsert
from stores.state.tables import REPORTS


def save_reports(connection: Connection, reports: Sequence[DeviceReport]) -> None:
    """Replace what was known; whether a report is newer is ingest's to judge."""
    newest = {(report.device, report.kind): asdict(report) for report in reports}
    upsert(connection, REPORTS, list(newest.values()))


def load_reports(database: Database, device: str | None = None) -> list[DeviceReport]:
    """Return all reports, or those of one device."""
    wanted = select(REPORTS).order_by(REPORTS.c.device, REPORTS.c.kind)
    if device is not None:
        wanted = wanted.where(REPORTS.c.device == device)
    with database.read() as connection:
        return [DeviceReport(**row._asdict() | {"body": bytes(row.body)}) for row in connection.execute(wanted)]
