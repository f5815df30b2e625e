"""A result's whole way on real processes: a sealed tick over Mosquitto, ingest, the public file, the look-up."""

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from contracts.claim import ClaimCode, fragment
from contracts.clock import first_anchors
from contracts.cohorts import cohort_of, file_path, parse_clock
from contracts.sealed import dummy, result_body, seal
from contracts.windows import TICK_S, tick_of
from tests.support.mosquitto import MosquittoServer
from tests.support.pipeline import GatewayProgram
from tests.support.process import Program, free_port, wait_until
from tests.support.raw_mqtt import RawClient, properties
from tests.support.registry import write_registry
from tests.support.speaker import START_NS, Speaker

SPEED = 600  # a tick lasts a second
CODE = ClaimCode.generate()
PATIENCE_S = 60


def sealed(call: str) -> bytes:
    keys = CODE.keys()
    body = result_body("2021-12-12", {"sars-cov-2": call})  # type: ignore[dict-item]
    return seal(keys.slot, keys.public_key, keys.origin, body.encode())


def is_public(port: int, tick: int) -> bool:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as browser:
        if parse_clock(browser.get("/clock.json").content).tick < tick:
            return False
        return CODE.keys().slot in browser.get(file_path(cohort_of(tick))).content


def write_site(folder: Path, broker_port: int, results_port: int) -> None:
    key = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "deployment.key").write_bytes(key)
    (folder / "gateway.toml").write_text(
        f'state = "sqlite:{folder / "state"}"\nseries = "sqlite:{folder / "series"}"\n'
        f'time_file = "{folder / "time.json"}"\ndeployment_key = "{folder / "deployment.key"}"\n'
        f'[broker]\nhost = "127.0.0.1"\nport = {broker_port}\n'
    )
    (folder / "results.toml").write_text(
        f'state = "sqlite:{folder / "state"}"\npublic_dir = "{folder / "public"}"\nsimulated = true\n'
        f'district = "{Path("kioskwatch/demo/district.toml").absolute()}"\nlisten = "127.0.0.1:{results_port}"\n'
        f'time_file = "{folder / "time.json"}"\n'
    )


@pytest.mark.timeout(240)
@pytest.mark.rule("C24")
@pytest.mark.rule("C26")
def test_a_sealed_tick_appears_in_the_public_file_and_opens_for_the_holder_of_the_code_alone(
    tmp_path: Path, mosquitto: MosquittoServer
) -> None:
    kiosk, port = Speaker("kiosk-1", ob=13), free_port()
    write_registry(f"sqlite:{tmp_path / 'state'}", [kiosk], rules=())
    write_site(tmp_path, mosquitto.port, port)
    now = time.monotonic_ns()
    anchors = first_anchors(now, START_NS, SPEED)
    (tmp_path / "time.json").write_bytes(anchors.written_at(now))
    ingest = GatewayProgram("ingest", tmp_path / "gateway.toml")
    log = tmp_path / "results.log"
    words = [sys.executable, "-m", "kioskwatch", "backend", "results", "--settings", str(tmp_path / "results.toml")]
    results = Program(words, log=log, ready=lambda: "ready\n" in log.read_text(), ready_timeout_s=PATIENCE_S)
    try:
        ingest.start()
        results.start()
        with RawClient(mosquitto.port, "kiosk-1") as device:
            tick = tick_of(anchors.at(time.monotonic_ns()))
            said = kiosk.tick(1, tick, (dummy(), sealed("negative"), dummy(), dummy()))
            device.publish(said.topic, said.wire, props=properties(said.content_type, said.sig))
            wait_until(lambda: is_public(port, tick), timeout_s=PATIENCE_S, what="the record in the public file")
        shown = lookup(fragment(CODE, tick), port)
        assert (shown.returncode, shown.stderr) == (0, "")
        assert "sars-cov-2: negative" in shown.stdout
        assert lookup(fragment(ClaimCode.generate(), tick), port).returncode == 5
    finally:
        results.stop()
        ingest.stop()
    assert TICK_S == SPEED, "a tick lasts a second, else the test would wait for minutes"
    said_anywhere = ingest.log.read_bytes() + log.read_bytes()
    for trace in (CODE.symbols.encode(), str(CODE).encode(), CODE.keys().slot.hex().encode()):
        assert trace not in said_anywhere


def lookup(said: str, port: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kioskwatch", "lookup", "--language", "en", "--origin", f"http://127.0.0.1:{port}"]
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=60, check=False)
