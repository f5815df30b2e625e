"""Sharing while the backend runs: the command asks it, auditors read the register, technicians what was released."""

import hashlib
from collections.abc import Mapping

import httpx
import pytest

from backend.__main__ import main as backend
from backend.share_main import main as share
from contracts.rows import AssayCounts, ReleaseRow
from contracts.windows import NS, to_ns
from stores.state.database import open_for_writing
from stores.state.journal import IngestBatch, IngestState
from tests.support.console import KIOSKS_FROM, Console
from tests.support.process import wait_until

KIOSK = "kiosk-10016-1"
WINDOW_NS = 21_600 * NS


def release(number: int, *, late: bool = False) -> ReleaseRow:
    start_ns = to_ns(KIOSKS_FROM) + number * WINDOW_NS
    return ReleaseRow(
        device=KIOSK,
        zone="z10016",
        window_start_ns=start_ns,
        window_s=21_600,
        layout=1,
        counters={"SARSCOV2": AssayCounts(41 + number, -2, {"sars-cov-2": number - 3})},
        ob=77,
        seq=number + 1,
        received_ns=start_ns + WINDOW_NS + 60 * NS,
        late=late,
    )


@pytest.fixture(scope="module")
def released(console: Console) -> Console:
    """Three windows of one kiosk, as ingest commits them."""
    with open_for_writing(f"sqlite:{console.folder / 'state'}", "ingest") as ingest:
        IngestState(ingest).commit(IngestBatch(releases=[release(0), release(1, late=True), release(2)]))
    return console


def settings(console: Console) -> tuple[str, str]:
    return "--settings", str(console.folder / "backend.toml")


def test_a_package_is_put_into_the_register_of_the_running_backend_and_an_auditor_reads_it(
    released: Console, people: Mapping[str, httpx.Client]
) -> None:
    out = released.folder / "out"
    argv = ["export", "--agreement", "city-health", "--from", "2021-12-12", "--to", "2021-12-18", "--out", str(out)]
    assert share([*argv, *settings(released)]) == 0
    package = hashlib.sha256((out / "city-health_2021-12-12_2021-12-18.zip").read_bytes()).hexdigest()
    page = people["auditor"].get("/sharing", params={"lang": "en"}).text
    for said in ("city-health", "2021-12-12 – 2021-12-18", package[:16], "190 days left", "roll_ups.csv="):
        assert said in page
    assert "数据共享" in people["auditor"].get("/sharing", params={"lang": "zh"}).text
    people["auditor"].get("/sharing", params={"lang": "en"})
    assert people["officer"].get("/sharing").status_code == 403


def test_the_backend_itself_refuses_what_no_agreement_covers(released: Console) -> None:
    body = {
        "agreement": "city-health",
        "first_day": "2021-12-12",
        "last_day": "2021-12-23",  # today: not over
        "operator": "op",
        "package": "0" * 64,
        "files": "",
    }
    answer = httpx.post(f"{released.url}/admin/v1/share", json=body, headers=released.bearer())
    assert (answer.status_code, "not over" in answer.json()["error"]) == (403, True)
    unknown = httpx.post(
        f"{released.url}/admin/v1/share", json={**body, "agreement": "nobody"}, headers=released.bearer()
    )
    assert (unknown.status_code, "no [[agreement]]" in unknown.json()["error"]) == (403, True)
    for harm in ({"package": "x"}, {"last_day": "soon"}, {"files": "x" * 9000}):
        answer = httpx.post(f"{released.url}/admin/v1/share", json={**body, **harm}, headers=released.bearer())
        assert 400 <= answer.status_code < 500


def test_a_command_without_a_backend_that_knows_the_agreement_leaves_nothing(
    released: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    file = released.folder / "district.toml"
    kept = file.read_text()
    file.write_text(kept.replace('name = "city-health"', 'name = "newer"'))
    out = released.folder / "unknown"
    argv = ["export", "--agreement", "newer", "--from", "2021-12-12", "--to", "2021-12-18", "--out", str(out)]
    try:
        assert share([*argv, *settings(released)]) == 2
    finally:
        file.write_text(kept)
    assert "no [[agreement]] named newer" in capsys.readouterr().err
    assert list(out.iterdir()) == []


@pytest.mark.usefixtures("released")
def test_a_technician_sees_what_a_kiosk_released_and_an_auditor_does_not(people: Mapping[str, httpx.Client]) -> None:
    for role in ("technician", "officer", "admin"):
        page = people[role].get(f"/devices/{KIOSK}", params={"lang": "en"}).text
        assert "What it released" in page, role
        assert "SARSCOV2: valid 42, invalid -2, sars-cov-2 -2" in page
        assert page.index("valid 43") < page.index("valid 42") < page.index("valid 41")
    assert "What it released" not in people["auditor"].get(f"/devices/{KIOSK}").text
    assert "What it released" not in people["technician"].get("/devices/air-10022", params={"lang": "en"}).text


def test_the_release_log_is_a_line_a_window_and_nothing_else(
    released: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backend(["device", "release-log", KIOSK, *settings(released)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "2021-12-12 12:00 +6h  layout 1  SARSCOV2: valid 43, invalid -2, sars-cov-2 -1  received 2021-12-12 18:01",
        "2021-12-12 06:00 +6h  layout 1  SARSCOV2: valid 42, invalid -2, sars-cov-2 -2  received 2021-12-12 12:01"
        "  late",
        "2021-12-12 00:00 +6h  layout 1  SARSCOV2: valid 41, invalid -2, sars-cov-2 -3  received 2021-12-12 06:01",
    ]
    assert backend(["device", "release-log", KIOSK, "--limit", "1", *settings(released)]) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert backend(["device", "release-log", "kiosk-0", *settings(released)]) == 2
    assert "Nothing was received" in capsys.readouterr().err


def test_packages_are_drawn_on_the_board_by_agreement(released: Console, people: Mapping[str, httpx.Client]) -> None:
    out = released.folder / "drawn"
    argv = ["export", "--agreement", "city-health", "--from", "2021-12-13", "--to", "2021-12-13", "--out", str(out)]
    assert share([*argv, *settings(released)]) == 0

    def drawn() -> bool:
        answer = people["auditor"].get("/api/v1/boards/pipeline/privacy-exports", params={"span": "2d"})
        answer.raise_for_status()
        return "city-health" in answer.text

    wait_until(drawn, timeout_s=25, what="the projection of the register")
