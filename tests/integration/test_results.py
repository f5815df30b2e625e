"""The result page's own process on a real socket: over TLS, with signals, and asked by `kioskwatch lookup`."""

import contextlib
import os
import pty
import ssl
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from backend.devices.authority import ensure_authority, issue_server
from contracts.claim import PRACTICE_CODE, ClaimCode, fragment, ready_group
from contracts.cohorts import cohort_of, file_path, parse_clock
from contracts.sealed import dummy, result_body, seal
from stores.state.cohorts import CohortStore, SealedTick
from stores.state.database import Database, open_for_writing
from tests.support.results import DISTRICT, TICK, Results


@pytest.fixture
def cohorts(tmp_path: Path) -> Iterator[Database]:
    with open_for_writing(f"sqlite:{tmp_path / 'state'}", "cohorts") as database:
        yield database


def lookup(said: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kioskwatch", "lookup", *options]
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=120, check=False)


def publish(cohorts: Database, code: ClaimCode, tick: int = TICK) -> None:
    keys = code.keys()
    body = result_body("2021-12-12", {"sars-cov-2": "positive"}).encode()
    record = seal(keys.slot, keys.public_key, keys.origin, body)
    CohortStore(cohorts).add([SealedTick("kiosk-1", tick, dummy() + record)])


@pytest.mark.timeout(180)
def test_a_code_opens_its_result_and_every_other_way_of_asking_has_its_own_answer(
    tmp_path: Path, cohorts: Database
) -> None:
    code = ClaimCode.generate()
    publish(cohorts, code)
    results = Results(tmp_path)
    results.start()
    try:
        at = ("--origin", f"http://localhost:{results.port}", "--language", "en")
        found = lookup(fragment(code, TICK), *at)
        assert (found.returncode, found.stderr) == (0, "")
        assert "sars-cov-2: positive" in found.stdout
        assert "confirmed" in found.stdout
        assert "阳性" in lookup(fragment(code, TICK), *at[:2], "--language", "zh").stdout
        assert "practice" in lookup(fragment(PRACTICE_CODE, 0), *at).stdout
        assert lookup(fragment(ClaimCode.generate(), TICK), *at).returncode == 5
        assert "Not ready until" in (early := lookup(fragment(code, TICK + 50), *at)).stdout
        assert early.returncode == 3
        assert lookup(fragment(ClaimCode.generate(), TICK + 50), *at, "--anyway").returncode == 5
        assert "Expired on" in (late := lookup(fragment(code, TICK - 1440), *at)).stdout
        assert late.returncode == 4
        wrong = str(code)[:-1] + ("0" if str(code)[-1] != "0" else "1")
        assert lookup(wrong, *at).returncode == 2
        assert lookup(str(code), *at).returncode == 5, "nothing is downloaded unasked"
        everywhere = lookup(str(code), *at, "--all")
        assert (everywhere.returncode, "sars-cov-2: positive" in everywhere.stdout) == (0, True)
    finally:
        results.stop()
    assert code.symbols not in results.words.replace("-", "")
    assert lookup(fragment(code, TICK), *at).returncode == 6, "nobody is there"


@pytest.mark.timeout(120)
def test_over_tls_with_its_own_certificate_and_nothing_of_a_request_in_the_log(
    tmp_path: Path, cohorts: Database
) -> None:
    publish(cohorts, ClaimCode.generate())
    ensure_authority(tmp_path / "ca", datetime.now(UTC))  # noqa: TID251 - a certificate lives in real time
    issue_server(tmp_path / "ca", ["localhost"], datetime.now(UTC))  # noqa: TID251 - likewise
    results = Results(
        tmp_path, f'tls_cert = "{tmp_path / "ca" / "server.pem"}"', f'tls_key = "{tmp_path / "ca" / "server.key"}"'
    )
    results.start()
    try:
        context = ssl.create_default_context(cafile=tmp_path / "ca" / "ca.pem")
        with httpx.Client(base_url=f"https://localhost:{results.port}", verify=context) as browser:
            clock = browser.get("/clock.json")
            assert parse_clock(clock.content).tick == TICK
            assert "strict-transport-security" in clock.headers
            file = browser.get(file_path(cohort_of(TICK)), headers={"range": "bytes=0-9", "if-none-match": "*"})
            assert (file.status_code, len(file.content)) == (200, 4096)
            assert browser.get("/secret-path-of-a-test").status_code == 404
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(f"http://127.0.0.1:{results.port}/secret-path-of-a-test")  # no TLS
    finally:
        results.stop()
    for trace in ("secret-path-of-a-test", "127.0.0.1", "cohorts/", "GET"):
        assert trace not in results.words.replace(f"127.0.0.1:{results.port}", "")


@pytest.mark.timeout(120)
def test_the_process_waits_for_ingests_first_start_and_reads_nothing_else(tmp_path: Path) -> None:
    results = Results(tmp_path)
    program = subprocess.Popen(results._command, stdout=subprocess.PIPE, text=True)
    try:
        assert program.stdout is not None
        with open_for_writing(f"sqlite:{tmp_path / 'state'}", "cohorts"):
            assert program.stdout.readline() == "ready\n"
        opened = [str(path.readlink()) for path in Path(f"/proc/{program.pid}/fd").iterdir() if path.is_symlink()]
        assert not [path for path in opened if path.endswith((".db", ".db-wal")) and "cohorts.db" not in path]
        assert (tmp_path / "public" / "clock.json").exists()
    finally:
        program.terminate()
        program.wait(20)
        if program.stdout is not None:
            program.stdout.close()


def test_a_real_result_page_without_its_certificate_does_not_start(tmp_path: Path) -> None:
    settings = tmp_path / "results.toml"
    settings.write_text(f'state = "sqlite:{tmp_path}"\ndistrict = "{DISTRICT}"\npublic_dir = "{tmp_path}"\n')
    command = [sys.executable, "-m", "kioskwatch", "backend", "results", "--settings", str(settings)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert "https" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.timeout(120)
def test_typed_at_a_terminal_the_code_is_asked_for_and_never_shown(tmp_path: Path, cohorts: Database) -> None:
    code = ClaimCode.generate()
    publish(cohorts, code)
    results = Results(tmp_path)
    results.start()
    try:
        options = ["--language", "en", "--origin", f"http://127.0.0.1:{results.port}"]
        said, ended = at_a_terminal(
            [sys.executable, "-m", "kioskwatch", "lookup", *options],
            (("Code", f"{code}\n"), ("Ready group", f"{ready_group(TICK)}\n")),
        )
    finally:
        results.stop()
    assert ended == 0
    assert "sars-cov-2: positive" in said
    assert not any(group in said for group in str(code).split("-"))


def at_a_terminal(command: list[str], dialogue: tuple[tuple[str, str], ...]) -> tuple[str, int]:
    """Run a command at a terminal of its own: wait for each prompt and answer it; what it showed, and its exit code."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    said, asked = "", list(dialogue)
    with contextlib.suppress(OSError):  # the terminal closes with its last program
        while part := os.read(ours, 4096).decode(errors="replace"):
            said += part
            if asked and asked[0][0] in said:
                os.write(ours, asked.pop(0)[1].encode())
    os.close(ours)
    return said, process.wait(30)
