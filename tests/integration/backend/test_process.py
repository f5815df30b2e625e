"""The backend as a process: what stops its start, what its commands do with and without a running backend, HTTPS."""

import os
import re
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from backend.devices.authority import issue_server
from stores.state.database import open_for_writing
from tests.support.console import (
    DEMO,
    PASSWORD,
    Console,
    running_console,
    serves,
    set_own_password,
    write_settings,
    write_time,
)
from tests.support.district import real_now
from tests.support.notices import filled
from tests.support.process import Program, free_port, wait_until


def prepared(folder: Path, port: int | None = None, *, state: str | None = None) -> Path:
    """A folder from which a backend can start; return its settings file."""
    write_time(folder, 1)
    write_settings(folder, port or free_port(), state=state or f"sqlite:{folder / 'state'}", simulated=True)
    (folder / "district.toml").write_text((DEMO / "district.toml").read_text())
    return folder / "backend.toml"


def run(*words: str, settings: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backend", *words, "--settings", str(settings)]
    return subprocess.run(command, capture_output=True, text=True, timeout=25, check=False, env={**os.environ})


def assert_refused(done: subprocess.CompletedProcess[str], words: str) -> None:
    """Exit code 2, one sentence for the operator, no traceback, nothing on stdout."""
    assert done.returncode == 2, done.stderr
    assert re.search(words, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert done.stderr.strip().splitlines()[-1].startswith("kioskwatch backend: ")


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = run("serve", settings=prepared(tmp_path, other.getsockname()[1]))
    assert_refused(done, r"Cannot listen on 127\.0\.0\.1 port \d+: Address already in use")
    assert not (tmp_path / "state").exists()


def test_a_state_that_another_process_writes_is_one_sentence(tmp_path: Path) -> None:
    settings = prepared(tmp_path)
    with open_for_writing(f"sqlite:{tmp_path / 'state'}", "backend"):
        assert_refused(run("serve", settings=settings), "another process writes")


def test_a_mistake_in_the_district_file_is_one_sentence_with_its_line(tmp_path: Path) -> None:
    settings = prepared(tmp_path)
    file = tmp_path / "district.toml"
    file.write_text(file.read_text().replace('week_start = "sunday"', 'week_start = "someday"'))
    assert_refused(run("serve", settings=settings), r"district\.toml, line \d+, district\.week_start: one of friday")


def test_a_real_backend_waits_for_a_notice_of_the_operators_own(tmp_path: Path) -> None:
    settings, file = prepared(tmp_path), tmp_path / "district.toml"
    settings.write_text(re.sub(r"(?m)^(simulated|time_file|results_origin) = .*\n", "", settings.read_text()))
    assert_refused(run("serve", settings=settings), r"district\.toml, line \d+, results\.origin: this is missing")
    file.write_text(filled(file.read_text()).replace("contact (ru)", "tbd"))
    assert_refused(
        run("serve", settings=settings), r"line \d+, notice\.contact\.ru: this is still a placeholder: write"
    )


def test_a_broken_certificate_is_one_sentence(tmp_path: Path) -> None:
    settings = prepared(tmp_path)
    (tmp_path / "server.pem").write_text("-----BEGIN NOTHING-----\n")
    (tmp_path / "server.key").write_text("")
    lines = f'tls_cert = "{tmp_path}/server.pem"\ntls_key = "{tmp_path}/server.key"\n'
    settings.write_text(lines + settings.read_text())
    assert_refused(run("serve", settings=settings), r"The certificate .*server\.pem and key .* cannot be used")


def test_a_damaged_ca_a_damaged_clock_and_unknown_settings_are_one_sentence_each(tmp_path: Path) -> None:
    settings = prepared(tmp_path)
    (tmp_path / "ca").mkdir()
    (tmp_path / "ca" / "ca.key").write_text("damaged")
    assert_refused(run("serve", settings=settings), r"ca\.key cannot be read: restore it from the backup")
    (tmp_path / "time.json").write_text("{}")
    assert_refused(run("serve", settings=settings), r"time\.json")
    settings.write_text('lisen = "x"\n' + settings.read_text())
    assert_refused(run("serve", settings=settings), "unknown field `lisen`")
    assert_refused(run("serve", settings=tmp_path / "none.toml"), "cannot be read")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_although_a_browser_listens(tmp_path: Path, number: signal.Signals) -> None:
    port = free_port()
    settings = prepared(tmp_path, port)
    command = [sys.executable, "-m", "backend", "serve", "--settings", str(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        first, ready = process.stdout.readline(), process.stdout.readline()
        assert re.fullmatch(r"admin-password [\w-]{20,}\n", first)
        assert ready == "ready\n"
        url = f"http://127.0.0.1:{port}"
        password = first.split()[1]
        set_own_password(url, "admin", password)
        with httpx.Client(base_url=url) as browser:
            browser.post("/api/v1/session", json={"name": "admin", "password": PASSWORD}).raise_for_status()
            with browser.stream("GET", "/events") as stream:
                next(stream.iter_text())
                process.send_signal(number)
                assert process.wait(10) == 0
        _, log = process.communicate()
    assert password not in log
    assert "Traceback" not in log


def test_users_and_devices_are_administered_without_a_running_backend(tmp_path: Path) -> None:
    settings = prepared(tmp_path)
    assert re.fullmatch(r"[\w-]{43}\n", run("device", "token", "kiosk-10016-1", settings=settings).stdout)
    assert_refused(run("device", "token", "nothing", settings=settings), "no such device")
    made = run("user", "add", "olga", "--role", "officer", settings=settings)
    assert re.search(r"first password of olga: [\w-]{20,}", made.stdout), made.stderr
    assert_refused(run("user", "add", "olga", "--role", "officer", settings=settings), "already")
    assert run("user", "disable", "olga", settings=settings).returncode == 0
    assert re.search(r"olga\s+officer\s+closed", run("user", "list", settings=settings).stdout)
    assert_refused(run("user", "reset", "nobody", settings=settings), "no account of that name")


def test_users_and_devices_are_administered_while_it_runs(tmp_path: Path) -> None:
    with running_console(tmp_path, data=False) as console:
        settings = tmp_path / "backend.toml"
        made = run("user", "add", "olga", "--role", "officer", settings=settings)
        set_own_password(console.url, "olga", made.stdout.split()[-1])
        with closing(console.client("olga")) as officer:
            assert run("user", "disable", "olga", settings=settings).returncode == 0
            assert officer.get("/api/v1/session").status_code == 401
        token = run("device", "token", "kiosk-10016-1", settings=settings)
        assert re.fullmatch(r"[\w-]{43}\n", token.stdout), token.stderr
        assert_refused(run("device", "token", "nothing", settings=settings), "no such device")
        assert "0 certificates" in run("device", "revoke", "kiosk-10016-1", settings=settings).stdout


def test_over_https_the_cookie_is_bound_to_host_and_transport_and_commands_pin_the_certificate(tmp_path: Path) -> None:
    port = free_port()
    settings = prepared(tmp_path, port)
    issue_server(tmp_path / "ca", ["127.0.0.1"], real_now())
    chain, key = tmp_path / "ca" / "server.pem", tmp_path / "ca" / "server.key"
    settings.write_text(f'tls_cert = "{chain}"\ntls_key = "{key}"\n' + settings.read_text())
    trust = ssl.create_default_context(cafile=str(tmp_path / "ca" / "ca.pem"))
    command = [sys.executable, "-m", "backend", "serve", "--settings", str(settings)]
    log = tmp_path / "backend.log"
    program = Program(command, log=log, ready=lambda: "ready" in log.read_text().splitlines())
    program.start()
    try:
        password = log.read_text().partition("admin-password ")[2].split()[0]
        with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trust) as browser:
            answer = browser.post("/api/v1/session", json={"name": "admin", "password": password})
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith("__Host-kw_session=")
            assert "secure" in cookie.lower()
            assert "max-age" in answer.headers["strict-transport-security"]
            assert browser.get("/api/v1/session").status_code == 200
        made = run("user", "add", "olga", "--role", "officer", settings=settings)
        assert "first password of olga" in made.stdout, made.stderr
    finally:
        program.stop()


def test_a_second_start_gives_no_password_away_and_says_what_the_district_file_changed(tmp_path: Path) -> None:
    with running_console(tmp_path, data=False) as console:
        pass
    file = tmp_path / "district.toml"
    file.write_text(file.read_text().replace("above = 1500", "above = 1400"))
    console.program.start()
    try:
        wait_until(lambda: serves(console.url), timeout_s=10, what="the second start")
    finally:
        console.program.stop()
    log = (tmp_path / "backend.log").read_text()
    assert log.count("admin-password") == 1
    assert "registry: rule co2: above 1500.0 → 1400.0" in log


def test_the_same_backend_runs_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    with running_console(tmp_path, state=postgres_url, data=False) as console:
        assert_lives(console)


def assert_lives(console: Console) -> None:
    """Accounts, enrolment and pages work."""
    console.account("olga", "officer")
    with closing(console.client("olga")) as officer:
        assert officer.get("/").status_code == 200
        assert officer.get("/devices").status_code == 200
        assert officer.get("/readyz").json()["ready"] is True
    assert run("device", "token", "kiosk-10016-1", settings=console.folder / "backend.toml").returncode == 0
