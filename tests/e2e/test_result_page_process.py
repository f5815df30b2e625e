"""The whole way of a result behind the kiosk: a store as ingest writes it, the real process, a browser."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from backend.results.page_hash import page_hash
from contracts import cohorts
from contracts.claim import PRACTICE_CODE, PRACTICE_TICK, ClaimCode
from contracts.sealed import dummy
from stores.state.cohorts import CohortStore, SealedTick
from stores.state.database import open_for_writing
from tests.support.chromium import watched_page
from tests.support.process import Program, accepts, free_port
from tests.support.repository import ROOT
from tests.support.result_host import sealed
from tests.support.result_visit import BODY, CODE, NOW, TICK, link, said, stands_at, type_in


@contextmanager
def running_process(folder: Path) -> Iterator[str]:
    """`kioskwatch backend results` on a store with one real record among dummies."""
    state = f"sqlite:{folder / 'state'}"
    with open_for_writing(state, "cohorts") as database:
        records = [dummy(), sealed(CODE, BODY), dummy(), dummy()]
        CohortStore(database).add([SealedTick("kiosk-1", TICK, b"".join(records))])
    port = free_port()
    settings = {
        "state": state,
        "district": str(ROOT / "kioskwatch/demo/district.toml"),
        "public_dir": str(folder / "public"),
        "listen": f"127.0.0.1:{port}",
    }
    text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
    (folder / "results.toml").write_text(f"{text}simulated = true\n")
    command = [sys.executable, "-m", "kioskwatch", "backend", "results", "--settings", str(folder / "results.toml")]
    program = Program(command, log=folder / "results.log", ready=lambda: accepts(port))
    program.start()
    try:
        yield f"http://localhost:{port}"
    finally:
        program.stop()


@pytest.mark.timeout(60)
def test_a_record_in_the_store_is_read_in_the_browser_and_leaves_no_trace(browser: Browser, tmp_path: Path) -> None:
    with running_process(tmp_path) as url:
        with watched_page(browser) as page:
            page.goto(f"{url}/{link(CODE, TICK)}")
            page.click("#do-show")
            stands_at(page, "result")
            assert "Positive" in said(page)
            page.click("#about summary")
            expect(page.locator("#about")).to_contain_text(page_hash())
            page.click("#do-hide")
            type_in(page, str(PRACTICE_CODE), PRACTICE_TICK)
            stands_at(page, "result")
            assert "nobody’s result" in said(page)
            page.click("#do-hide")
            type_in(page, str(ClaimCode.generate()), TICK)
            stands_at(page, "absent")
        public = (tmp_path / "public" / cohorts.file_name(cohorts.cohort_of(TICK))).read_bytes()
        assert cohorts.split_records(public)
    assert NOW - TICK < cohorts.TTL_TICKS
    log = (tmp_path / "results.log").read_text()
    for trace in (CODE.symbols, str(CODE), CODE.keys().slot.hex(), "cohorts/", "127.0.0.1", "GET"):
        assert trace not in log
