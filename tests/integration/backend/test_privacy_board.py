"""The pipeline board in words: windows of the last whole day, the chain's head, epsilon, restricted openings."""

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from contracts.rows import AssayCounts, ReleaseRow
from contracts.windows import NS, to_ns
from stores.state.database import open_for_writing
from stores.state.journal import IngestBatch, IngestState
from tests.support.console import NOW, PASSWORD, TARGET, Console, running_console

SIX_HOURS_NS = 6 * 3600 * NS


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_console(tmp_path_factory.mktemp("privacy")) as running:
        for name in ("olga", "omar"):
            running.account(name, "officer")
        yield running


def release(folder: Path) -> bytes:
    """Commit a release as ingest does; return the chain's head."""
    row = ReleaseRow(
        device="kiosk-10016-1",
        zone="z10016",
        window_start_ns=to_ns(NOW) // SIX_HOURS_NS * SIX_HOURS_NS,
        window_s=21_600,
        layout=1,
        counters={"SARSCOV2": AssayCounts(7, -1, {TARGET: 3})},
        ob=7,
        seq=1,
        received_ns=to_ns(NOW),
        late=False,
    )
    with open_for_writing(f"sqlite:{folder / 'state'}", "ingest") as database:
        state = IngestState(database)
        state.commit(IngestBatch(releases=[row]))
        with database.read() as connection:
            return bytes(connection.exec_driver_sql("SELECT hash FROM releases ORDER BY id DESC").scalar_one())


@pytest.mark.timeout(120)
def test_the_board_says_what_came_what_is_missing_where_the_chain_is_and_what_a_test_costs(console: Console) -> None:
    head = release(console.folder)
    officer: httpx.Client = console.client("olga")
    told = officer.get("/api/v1/boards/privacy").json()
    # The district's data say 72 windows expected and as many received; nothing late (tests/support/console.py).
    assert (told["expected"], told["received"], told["late"], told["missing"]) == (72, 72, 0, 0)
    assert told["day_start_ns"] == to_ns(NOW.replace(hour=5)) - 86_400 * NS, "the last whole day, at -05:00"
    assert (told["chain_head"], told["releases"]) == (head.hex()[:12], 1)
    assert told["epsilons"] == [{"assay": "SARSCOV2", "target": TARGET, "epsilon": 1.0}]
    assert (told["epsilon_valid"], told["epsilon_invalid"], told["epsilon_test"]) == (0.25, 0.25, 1.0)
    assert told["openings"] == 0
    page = officer.get("/boards/pipeline").text
    for shown in (head.hex()[:12], "Windows of", "0.25 + 0.25"):
        assert shown in page
    assert 'id="privacy"' not in officer.get("/boards/district").text
    officer.close()


@pytest.mark.timeout(120)
def test_an_opening_is_counted_on_the_board_without_its_people_or_reason(console: Console) -> None:
    first, second = console.client("olga"), console.client("omar")
    body = {"reason": "a reason that stays inside", "minutes": 15, "password": PASSWORD}
    number = first.post("/api/v1/restricted", json=body).json()["number"]
    second.post(f"/api/v1/restricted/{number}/confirm", json={"password": PASSWORD}).raise_for_status()
    deadline_s = time.monotonic() + 60
    while (told := first.get("/api/v1/boards/privacy").json())["openings"] == 0:
        assert time.monotonic() < deadline_s, "the projection takes turns"
        time.sleep(0.2)
    assert told["openings"] == 1
    page = first.get("/boards/pipeline")
    assert "stays inside" not in page.text
    assert "omar" not in page.text
    first.close()
    second.close()
