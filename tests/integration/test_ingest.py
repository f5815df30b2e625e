"""`gateway ingest` as a process, with a real broker and a device that speaks MQTT by hand."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from contracts.clock import first_anchors
from contracts.codec import unpack_json
from contracts.envelope import verify
from contracts.messages import Ack, Rebirth, decode_down
from stores.state.database import open_for_reading, open_for_writing
from stores.state.journal import IngestBatch, IngestState
from tests.support.mosquitto import MosquittoServer
from tests.support.pipeline import GatewayProgram
from tests.support.process import Program, wait_until
from tests.support.raw_mqtt import Delivery, RawClient, properties, user_property
from tests.support.registry import write_registry
from tests.support.speaker import START_NS, Said, Speaker, reading, readings

STATE = "kw/v1/_gw/main/state"
DAY_NS = 86_400 * 10**9


@dataclass
class Site:
    """A gateway's folder: settings, state, keys."""

    folder: Path
    port: int
    deployment: Ed25519PrivateKey

    @property
    def state(self) -> str:
        return f"sqlite:{self.folder / 'state'}"

    @property
    def settings(self) -> Path:
        return self.folder / "gateway.toml"

    @property
    def log(self) -> Path:
        return self.settings.with_suffix(".ingest.log")

    def write(self, series: str) -> None:
        """gateway.toml for one series store."""
        self.settings.write_text(
            f'state = "{self.state}"\n{series}\ntime_file = "{self.folder / "time.json"}"\n'
            f'deployment_key = "{self.folder / "deployment.key"}"\n[broker]\nhost = "127.0.0.1"\nport = {self.port}\n'
        )

    def command(self, word: str) -> subprocess.CompletedProcess[str]:
        """Run one command of the gateway to its end."""
        words = [sys.executable, "-m", "kioskwatch", "gateway", word, "--settings", str(self.settings)]
        return subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)

    def journal(self) -> list[tuple[str, int]]:
        """(device, seq) of every journalled record."""
        with open_for_reading(self.state, "ingest") as database:
            entries = IngestState(database).entries_after(0, 10_000)
        return [(one.device, one.seq + one.skip + offset) for one in entries for offset in range(one.n)]


@pytest.fixture
def air() -> Speaker:
    return Speaker("air-1", ob=11)


@pytest.fixture
def site(tmp_path: Path, mosquitto: MosquittoServer, air: Speaker) -> Site:
    made = Site(tmp_path, mosquitto.port, Ed25519PrivateKey.generate())
    pem = made.deployment.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "deployment.key").write_bytes(pem)
    now_ns = time.monotonic_ns()
    (tmp_path / "time.json").write_bytes(first_anchors(now_ns, START_NS + DAY_NS, 1).written_at(now_ns))
    write_registry(made.state, [air, Speaker("air-2", ob=12)])
    made.write(f'series = "sqlite:{tmp_path / "series"}"')
    return made


@contextmanager
def running(site: Site) -> Iterator[Program]:
    program = GatewayProgram("ingest", site.settings)
    program.start()
    try:
        yield program
    finally:
        program.stop()


def publish(device: RawClient, said: Said) -> int:
    return device.publish(said.topic, said.wire, props=properties(said.content_type, said.sig))


def heard_down(site: Site, delivery: Delivery) -> Ack | Rebirth:
    """A down message, its signature checked with the key that devices are given."""
    sig = delivery.properties.rpartition(user_property("sig", "")[:-2])[2][2:88].decode()
    verify(site.deployment.public_key(), delivery.topic, delivery.payload, sig)
    kind = delivery.topic.rpartition("/")[2]
    down = decode_down(kind, unpack_json(delivery.payload, "application/vnd.kioskwatch.v1+json"))
    assert isinstance(down, Ack | Rebirth)
    return down


def next_ack(site: Site, device: RawClient) -> Ack:
    while True:
        delivery = device.receive()
        device.acknowledge(delivery.mid)
        down = heard_down(site, delivery)
        if isinstance(down, Ack):
            return down


@pytest.mark.rule("C16")
@pytest.mark.rule("C17")
@pytest.mark.rule("C7")
def test_an_acknowledgement_is_signed_covers_what_was_sent_and_comes_after_the_commit(site: Site, air: Speaker) -> None:
    with running(site), RawClient(site.port, "air-1") as device:
        assert device.subscribe("kw/v1/air-1/down/+") == 1
        for seq, n, hi, also in ((1, 3, 3, []), (6, 2, 3, [(6, 7)]), (4, 2, 7, []), (2, 4, 7, [])):
            assert publish(device, air.batch(seq, readings(seq, n))) == 0
            ack = next_ack(site, device)
            assert (ack.ob, ack.stream, ack.hi, ack.also) == (11, "bulk", hi, also)
            covered = {*range(1, ack.hi + 1), *(seq for first, last in ack.also for seq in range(first, last + 1))}
            assert covered <= {seq for _, seq in site.journal()}, "committed before it was said"
        assert sorted(site.journal()) == [("air-1", seq) for seq in range(1, 8)]


def test_a_device_that_nobody_ever_heard_is_asked_what_it_is(site: Site, air: Speaker) -> None:
    with running(site), RawClient(site.port, "air-1") as device:
        device.subscribe("kw/v1/air-1/down/+")
        publish(device, air.batch(1, readings(1, 1)))
        downs = [heard_down(site, device.receive()) for _ in range(2)]
        assert {type(down) for down in downs} == {Ack, Rebirth}


@pytest.mark.rule("C21")
def test_poison_on_the_wire_stops_nothing_and_nothing_of_it_is_logged(site: Site, air: Speaker) -> None:
    good = air.batch(1, readings(1, 1))
    with running(site), RawClient(site.port, "air-1") as device:
        device.subscribe("kw/v1/air-1/down/ack")
        publish(device, good._replace(wire=b"MALLORY" * 400_000))
        publish(device, good._replace(wire=b"MALLORY\xff"))
        publish(device, air.json("bulk", b'{"v":1,"ob":11,"stream":"bulk","seq":9,"n":1,"lo":1,"MALLORY'))
        publish(device, good._replace(topic="kw/v1/air-2/up/bulk"))
        device.publish("kw/v1/air-1/up/﻿", b"MALLORY", props=user_property("﻿", "MALLORY"))
        device.publish(good.topic, good.wire, props=user_property("﻿", "x") * 500 + properties(good.content_type))
        assert next_ack(site, device).also == [(9, 9)]
        publish(device, good)
        assert next_ack(site, device).hi == 1
    with open_for_reading(site.state, "ingest") as database:
        reasons = sorted(letter.reason for _, letter in IngestState(database).dead_letters())
    assert reasons == ["malformed", "oversize", "signature", "signature", "signature", "topic"]
    assert "MALLORY" not in site.log.read_text()


# --- coming and going -----------------------------------------------------------------------------------------


@pytest.mark.rule("C13")
def test_the_gateway_says_when_it_is_there_and_when_it_goes(site: Site) -> None:
    with RawClient(site.port, "watcher") as watcher:
        watcher.subscribe(STATE)
        with running(site) as program:
            assert watcher.receive().payload == b'{"v":1,"online":true}'
            pid = program.pid
            started_s = time.monotonic()
            os.kill(pid, signal.SIGTERM)
            wait_until(
                lambda: program._process is not None and program._process.poll() is not None,
                timeout_s=5,
                what="the end",
            )
            assert time.monotonic() - started_s < 5.0
            assert program._process is not None
            assert program._process.returncode == 0
            assert watcher.receive().payload == b'{"v":1,"online":false}'


def test_a_killed_gateways_will_says_that_it_is_gone(site: Site) -> None:
    with RawClient(site.port, "watcher") as watcher, running(site) as program:
        watcher.subscribe(STATE)
        assert watcher.receive().payload == b'{"v":1,"online":true}'
        program.kill()
        assert watcher.receive(timeout_s=10).payload == b'{"v":1,"online":false}'


def test_a_second_ingest_ends_with_one_sentence_for_the_operator(site: Site) -> None:
    with running(site):
        for word in ("ingest", "rebuild", "redrive"):
            ended = site.command(word)
            assert ended.returncode == 2
            assert (
                ended.stderr.strip().splitlines()[-1].startswith(f"kioskwatch gateway {word}: another process writes")
            )


def test_what_came_while_ingest_was_away_is_taken_when_it_is_back(site: Site, air: Speaker) -> None:
    with running(site):
        pass
    with RawClient(site.port, "air-1") as device:
        for seq in range(1, 30):
            assert publish(device, air.batch(seq, readings(seq, 1))) == 0
    with running(site):
        wait_until(lambda: len(site.journal()) == 29, timeout_s=10, what="the backlog")
    assert sorted(site.journal()) == [("air-1", seq) for seq in range(1, 30)]


@pytest.mark.rule("C19")
def test_a_series_store_that_hangs_holds_up_neither_acknowledgements_nor_the_end(site: Site, air: Speaker) -> None:
    tokens = site.folder / "tokens"
    tokens.mkdir()
    for bucket in ("environment", "fleet", "restricted"):
        (tokens / bucket).write_text("token")
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        site.write(f'series = "influx:http://127.0.0.1:{port}"\nseries_org = "o"\nseries_token_dir = "{tokens}"')
        with running(site) as program, RawClient(site.port, "air-1") as device:
            device.subscribe("kw/v1/air-1/down/ack")
            for seq in range(1, 4):
                publish(device, air.batch(seq, readings(seq, 1)))
                assert next_ack(site, device).hi == seq
            time.sleep(0.3)
            process, started_s = program._process, time.monotonic()
            assert process is not None
            process.terminate()
            assert process.wait(5) == 0
            assert time.monotonic() - started_s < 5.0


# --- repair -----------------------------------------------------------------------------------------------------


def test_rebuild_fills_an_empty_series_store_from_the_journal(site: Site, air: Speaker) -> None:
    with running(site), RawClient(site.port, "air-1") as device:
        device.subscribe("kw/v1/air-1/down/ack")
        publish(device, air.batch(1, readings(1, 20)))
        assert next_ack(site, device).hi == 20
        series = site.folder / "series" / "environment.db"
        wait_until(lambda: _cursor(site) == 1, timeout_s=10, what="the projection")
    for file in series.parent.iterdir():
        file.unlink()
    done = site.command("rebuild")
    assert (done.returncode, done.stdout) == (0, "20 records projected from the journal\n")
    assert series.stat().st_size > 0
    assert _cursor(site) == 1


def test_redrive_says_how_many_letters_it_took(site: Site, air: Speaker) -> None:
    with running(site), RawClient(site.port, "air-1") as device:
        device.subscribe("kw/v1/air-1/down/ack")
        publish(device, air.batch(1, [reading(1), reading(2, co2_ppm=-1)]))
        assert next_ack(site, device).hi == 2
    done = site.command("redrive")
    assert (done.returncode, done.stdout) == (0, "0 dead letters taken, 1 stay\n")
    _mend(site, air)
    done = site.command("redrive")
    assert (done.returncode, done.stdout) == (0, "1 dead letters taken, 0 stay\n")
    assert sorted(site.journal()) == [("air-1", 1), ("air-1", 2)]


def _cursor(site: Site) -> int:
    with open_for_reading(site.state, "ingest") as database:
        return IngestState(database).cursor("series")


def _mend(site: Site, air: Speaker) -> None:
    """As if a newer program had a wider range: the same identity, with a value that passes."""

    said = air.batch(1, [reading(1), reading(2)])
    with open_for_writing(site.state, "ingest") as database:
        state = IngestState(database)
        ((number, letter),) = state.dead_letters()
        assert (letter.seq, letter.n, letter.reason) == (2, 1, "range")
        mended = replace(letter, payload=said.wire, sig=said.sig, content_type=said.content_type)
        state.commit(IngestBatch(dead_letters=[mended], redriven=[number]))
