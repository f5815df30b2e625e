"""What stops `kioskwatch up`: each is one clear sentence on stderr, exit code 2, and nothing left running."""

import os
import shlex
import socket
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from backend.devices.authority import issue_server
from kioskwatch.checks import take_lock
from kioskwatch.plan import STARTER_DISTRICT
from tests.support.district import real_now
from tests.support.notices import filled
from tests.support.process import free_port
from tests.support.required import unavailable
from tests.support.up import RunningUp

UP = (sys.executable, "-m", "kioskwatch", "up")
TIMEOUT_S = 25


class Refused:
    """The outcome of a start that was refused."""

    def __init__(self, state: Path, *options: str, wrapper: tuple[str, ...] = ()) -> None:
        names = [name for name in ("--port", "--broker-port", "--results-port") if name not in options]
        ports = [word for name in names for word in (name, str(free_port()))]
        command = [*UP, "--state", str(state), *ports, *options]
        if wrapper:
            command = [*wrapper, shlex.join(command)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def sentence(self, *words: str) -> None:
        """It is one sentence with these words."""
        assert self.code == 2, self.err
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("kioskwatch up: ")
        assert "starting" not in self.out
        for word in words:
            assert word in self.err


def test_a_taken_port_is_named_with_the_option_that_changes_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        Refused(tmp_path / "var", "--port", port).sentence(port, "taken", "--port")
        Refused(tmp_path / "var", "--broker-port", port).sentence(port, "taken", "--broker-port")
        Refused(tmp_path / "var", "--results-port", port).sentence(port, "taken", "--results-port")


def test_an_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    Refused(tmp_path / "var", "--listen", "192.0.2.1").sentence("192.0.2.1", "--listen")


def test_a_second_copy_is_refused_and_names_the_first(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    lock = take_lock(tmp_path / "var" / "up.lock")
    try:
        Refused(tmp_path / "var").sentence("another copy", str(os.getpid()), "--state")
    finally:
        os.close(lock)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    Refused(tmp_path / "file" / "var").sentence("cannot be written", "--state")


def _on_disk(folder: Path, options: str, *, beside: str = "true") -> tuple[str, ...]:
    """Run a command line in a mount namespace of its own, where `folder` is such a disk, beside another command."""
    own = ("unshare", "--user", "--map-root-user", "--mount")
    if subprocess.run([*own, "true"], capture_output=True, check=False).returncode != 0:
        unavailable("a mount namespace", "the kernel must let this user make one (`unshare --user --mount`)")
    script = f'mount -t tmpfs -o {options} tmpfs {shlex.quote(str(folder))} && {{ ({beside}) & eval exec "$0"; }}'
    return (*own, "sh", "-c", script)


def test_a_read_only_disk_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    Refused(folder, wrapper=_on_disk(folder, "ro")).sentence("cannot be written", "read-only", "--state")


def test_a_full_disk_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    folder.mkdir()
    Refused(folder, wrapper=_on_disk(folder, "size=1m")).sentence("0 MiB free", "free some space")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--speed", "5000"), ("--speed", "3600")),
        (("--port", "nine"), ("--port", "nine")),
        (("--scenario", "flood"), ("--scenario", "replay")),
        (("--start", "yesterday"), ("--start", "yesterday")),
        (("--broker", "emqx"), ("--broker", "mosquitto")),
        (("--no-simulators", "--speed", "600"), ("--speed",)),
        (("--no-simulators", "--broker", "iotcore"), ("real devices", "mosquitto")),
        (("--tls-cert", "/nonexistent", "--tls-key", "/nonexistent"), ("--tls-cert", "/nonexistent")),
        (("--district", "/nonexistent"), ("--district", "/nonexistent")),
        (("--nonsense",), ("--nonsense", "--help")),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(
    tmp_path: Path, options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    Refused(tmp_path / "var", *options).sentence(*words)


def test_a_certificate_of_the_operator_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    good, other, old = tmp_path / "good", tmp_path / "other", tmp_path / "old"
    issue_server(good, ["localhost"], real_now())
    issue_server(other, ["localhost"], real_now())
    issue_server(old, ["localhost"], real_now() - timedelta(days=500))
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
    for certificate, key, word in (
        (garbage, good / "server.key", "cannot be used"),
        (good / "server.pem", other / "server.key", "key values mismatch"),
        (old / "server.pem", old / "server.key", "renew it"),
    ):
        refused = Refused(tmp_path / "var", "--tls-cert", str(certificate), "--tls-key", str(key))
        refused.sentence(word, str(certificate))


@pytest.mark.parametrize("name", ["ca.pem", "ca.key", "server.pem", "server.key", "gateway.pem", "probe.key"])
def test_a_damaged_certificate_of_our_own_is_refused(tmp_path: Path, name: str) -> None:
    first = Refused(tmp_path / "var", "--start", "1999-01-01")  # far enough to make every certificate
    first.sentence("--start")
    path = tmp_path / "var" / "ca" / name
    path.write_bytes(path.read_bytes()[:60])
    Refused(tmp_path / "var").sentence(name, "restore it")


def test_a_district_file_with_a_mistake_is_refused_with_line_and_key(tmp_path: Path) -> None:
    path = tmp_path / "district.toml"
    path.write_text('[district]\nid = "d"\nname = "D"\nwindow_s = 1000\n')
    Refused(tmp_path / "var", "--district", str(path)).sentence(str(path), "line 4", "window")


def test_real_devices_wait_for_a_notice_an_address_and_a_certificate_that_phones_trust(tmp_path: Path) -> None:
    path, state = tmp_path / "district.toml", tmp_path / "var"
    real = ("--no-simulators", "--district", str(path))
    starter = STARTER_DISTRICT.read_text()
    path.write_text(starter)
    Refused(state, *real).sentence(str(path), "results.origin", "write the https address")
    path.write_text(starter.replace('origin = ""', 'origin = "https://results.harbour.internal"'))
    Refused(state, *real).sentence("notice.controller.zh", "placeholder", "in Chinese")
    path.write_text(filled(starter).replace("legal_basis (ar)", ""))
    Refused(state, *real).sentence("notice.legal_basis.ar", "missing", "in Arabic")
    path.write_text(filled(starter))
    Refused(state, *real).sentence("--results-cert", "phones trust")
    issue_server(tmp_path / "own", ["results.harbour.internal"], real_now())
    own = (
        "--results-cert",
        str(tmp_path / "own" / "server.pem"),
        "--results-key",
        str(tmp_path / "own" / "server.key"),
    )
    Refused(state, *real, *own).sentence("no phone would open", "https://results.harbour.internal")
    assert not (state / "real").exists()


def test_an_address_without_tls_or_its_certificate_is_refused_also_in_a_simulated_district(tmp_path: Path) -> None:
    path = tmp_path / "district.toml"
    starter = STARTER_DISTRICT.read_text()
    path.write_text(filled(starter, origin="http://192.0.2.7"))
    Refused(tmp_path / "var", "--district", str(path)).sentence("results.origin", "http://localhost")
    path.write_text(filled(starter))
    Refused(tmp_path / "var", "--district", str(path)).sentence("--results-cert", "http://localhost")


def test_simulated_and_real_data_are_never_mixed(tmp_path: Path) -> None:
    (tmp_path / "simulated").mkdir()
    (tmp_path / "simulated" / "time.json").write_text("{}")
    Refused(tmp_path / "simulated", "--no-simulators").sentence("simulated district", "--state")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "real").touch()
    Refused(tmp_path / "real").sentence("real data", "--state")


def test_a_damaged_clock_file_is_refused_because_time_could_go_back(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "time.json").write_text('{"monotonic')
    Refused(tmp_path / "var").sentence("time.json", "restore")


@pytest.mark.timeout(120)
def test_a_disk_that_fills_while_a_district_runs_stops_it_before_its_time_could_go_back(tmp_path: Path) -> None:
    folder, trigger = tmp_path / "var", tmp_path / "fill"
    folder.mkdir()
    filler = f"while [ ! -e {trigger} ]; do sleep 0.1; done; dd if=/dev/zero of={folder}/filler bs=1M status=none"
    up = RunningUp(folder, "--speed", "60", wrapper=_on_disk(folder, "size=320m", beside=filler)).wait_ready()
    trigger.touch()
    assert up.wait() == 2
    assert "is full" in up.complained[-1]
    assert up.complained[-1].startswith("kioskwatch up: ")
