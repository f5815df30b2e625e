"""A district as data: which processes there are, what they need, and what each is told."""

import tomllib
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
import tomli_w

from backend.devices.district_file import parse_district
from edge.settings import load_cabinet
from kioskwatch import plan
from kioskwatch.broker import Broker
from kioskwatch.folder import StateFolder
from kioskwatch.options import parse
from kioskwatch.plan import District

ROOT = Path("/state")
MOSQUITTO = Broker("mosquitto", "127.0.0.1", 8883, tls=True, program=Path("/usr/sbin/mosquitto"))
EMBEDDED = Broker("iotcore", "127.0.0.1", 8883, tls=False)
GIVEN = Broker("given", "broker.example", 8883, tls=True)


def _district(*argv: str, broker: Broker = MOSQUITTO, speed: int = 600) -> District:
    options = parse(["--state", str(ROOT), *argv])
    path = plan.STARTER_DISTRICT if options.real else plan.DEMO_DISTRICT
    return District(
        folder=StateFolder(ROOT),
        options=options,
        broker=broker,
        district_path=path,
        file=parse_district(path.read_text()),
        speed=speed,
        tls_cert=ROOT / "ca" / "server.pem" if options.https else None,
        tls_key=ROOT / "ca" / "server.key" if options.https else None,
        ca_fingerprint="ab" * 32,
    )


def test_the_demonstration_has_six_zones_three_kiosks_each_and_six_air_monitors() -> None:
    file = _district().file
    assert [zone.id for zone in file.zone] == ["z10016", "z10017", "z10021", "z10022", "z10044", "z10065"]
    for zone in file.zone:
        sites = {site.id for site in file.site if site.zone == zone.id}
        kinds = sorted(device.kind for device in file.device if device.site in sites)
        assert kinds == ["air_monitor", "kiosk", "kiosk", "kiosk"]
    assert (file.district.window_s, file.utc_offset_s, file.district.week_start) == (21_600, -18_000, "sunday")


def test_the_demonstration_holds_a_co2_limit_and_a_stuck_rule() -> None:
    file = _district().file
    assert [(rule.above, rule.clear, rule.hold_s) for rule in file.limit] == [(1500, 1200, 1800)]
    assert [rule.metric for rule in file.stuck] == ["co2_ppm"]


def test_a_new_real_district_releases_once_a_day() -> None:
    assert _district("--no-simulators").file.district.window_s == 86_400


def test_each_process_is_separate_and_waits_for_what_it_reads() -> None:
    needs = {
        process.name: set(process.needs) for process in plan.processes(_district(), history_before=date(2021, 12, 12))
    }
    assert needs == {
        "backend": set(),
        "broker": set(),
        "simulators": set(),
        "history": {"backend"},
        "ingest": {"backend", "broker"},
        "analyse": {"backend", "history"},
        "results": {"ingest"},
        "edge": {"backend", "broker", "simulators"},
    }


def test_real_devices_need_no_simulators_and_a_given_broker_is_not_started() -> None:
    names = [
        process.name for process in plan.processes(_district("--no-simulators", broker=GIVEN), history_before=None)
    ]
    assert names == ["backend", "ingest", "analyse", "results"]


def test_the_result_page_is_told_of_no_state_key_or_series_but_what_it_serves_from() -> None:
    settings = plan.results_settings(_district())
    assert set(settings) == {"state", "district", "public_dir", "listen", "simulated", "time_file"}
    assert settings["listen"] == "127.0.0.1:8801"


def test_the_history_ends_where_simulated_time_begins() -> None:
    processes = plan.processes(_district(), history_before=date(2021, 12, 12))
    command = next(process.command for process in processes if process.name == "history")
    assert command[-2:] == ("--before", "2021-12-12")
    assert str(plan.DEMO_HISTORY) in command


def test_a_real_district_is_told_no_simulated_clock_and_serves_https() -> None:
    district = _district("--no-simulators", "--listen", "192.0.2.7")
    backend, gateway = plan.backend_settings(district), plan.gateway_settings(district)
    assert "time_file" not in backend
    assert "time_file" not in gateway
    assert backend["simulated"] is False
    assert backend["tls_cert"] == "/state/ca/server.pem"
    assert backend["broker_public"] == {"host": "192.0.2.7", "port": 8883, "tls": True}
    assert district.console_url == "https://192.0.2.7:8800"


def test_the_gateway_connects_with_its_certificate_unless_the_broker_has_none() -> None:
    with_tls = plan.gateway_settings(_district())["broker"]
    assert with_tls == {
        "host": "127.0.0.1",
        "port": 8883,
        "ca": "/state/ca/ca.pem",
        "cert": "/state/ca/gateway.pem",
        "key": "/state/ca/gateway.key",
    }
    assert plan.gateway_settings(_district(broker=EMBEDDED))["broker"] == {"host": "127.0.0.1", "port": 8883}


def _ports(kiosks: Sequence[str]) -> plan.Ports:
    return {name: plan.KioskPorts(*range(20_000 + 4 * at, 20_004 + 4 * at)) for at, name in enumerate(kiosks)}


def test_a_person_takes_a_test_at_one_kiosk_whose_visitors_its_zone_can_take_elsewhere() -> None:
    district = _district()
    kiosk = district.persons_kiosk
    assert kiosk is not None
    assert kiosk.id == "kiosk-10044-3", "of the zone with the fewest people"
    ports = _ports([device.id for device in district.simulated_devices])
    rows = {row["device"]: row for row in plan.simulators_settings(district, ports)["instrument"] if "door_s" in row}
    slots = {device: row["slot"] for device, row in rows.items() if "slot" in row}
    assert slots == {kiosk.id: f"127.0.0.1:{ports[kiosk.id].slot}"}
    assert [device for device, row in rows.items() if row.get("visitors") is False] == [kiosk.id]
    cabinet = plan.cabinet_settings(district, kiosk, ports, None)
    assert cabinet["screen"]["slot_url"] == f"http://{slots[kiosk.id]}"


def test_every_kiosk_reads_the_analyser_that_is_simulated_for_it_and_one_room_is_crowded() -> None:
    district = _district()
    kiosks = [device.id for device in district.file.device if device.kind == "kiosk"]
    ports = _ports(kiosks)
    rows = plan.simulators_settings(district, ports)["instrument"]
    simulated = {row["device"]: row for row in rows if row["kind"] != "printer"}
    printers = {row["device"]: row for row in rows if row["kind"] == "printer"}
    assert (len(simulated), len(printers)) == (24, 18)
    for device in district.simulated_devices:
        cabinet = plan.cabinet_settings(district, device, ports, None)
        (instrument,) = cabinet["instrument"]
        other = simulated[device.id]
        if device.kind == "kiosk":
            assert instrument["link"] == f"tcp:{other['listen']}"
            assert (instrument["modules"], instrument["t_max_s"]) == (4, other["door_s"])
            assert cabinet["printer"]["link"] == f"tcp:{printers[device.id]['listen']}"
            assert f"127.0.0.1:{cabinet['screen']['port']}" == other["screen"]
        else:
            assert instrument["link"] == f"serial:{other['link']}"
            assert instrument["sample_period_s"] == 600
    assert [row["device"] for row in simulated.values() if row.get("scenario_room")] == ["air-10016"]


def test_a_cabinet_holds_a_token_only_until_it_is_enrolled_and_draws_its_own_noise() -> None:
    district = _district()
    first, second = district.simulated_devices[0], district.simulated_devices[1]
    ports = _ports([first.id, second.id])
    assert plan.cabinet_settings(district, first, ports, "secret")["enrol"]["token"] == "secret"
    settings = plan.cabinet_settings(district, first, ports, None)
    assert "token" not in settings["enrol"]
    assert settings["simulated"] != plan.cabinet_settings(district, second, ports, None)["simulated"]


@pytest.mark.parametrize("argv", [(), ("--no-simulators",), ("--listen", "::1")])
def test_all_settings_survive_being_written_as_toml(argv: tuple[str, ...]) -> None:
    district = _district(*argv)
    ports = _ports([device.id for device in district.simulated_devices])
    told = [plan.backend_settings(district), plan.gateway_settings(district), plan.simulators_settings(district, ports)]
    told += [plan.cabinet_settings(district, device, ports, "t") for device in district.simulated_devices]
    for settings in told:
        assert tomllib.loads(tomli_w.dumps(settings)) == settings


@pytest.mark.parametrize("speed", [1, 60, 600, 3600, 36_000])
def test_a_simulated_kiosk_has_room_for_its_visits_at_every_speed(speed: int, tmp_path: Path) -> None:
    district = _district(speed=speed)
    kiosk = district.persons_kiosk
    assert kiosk is not None
    path = tmp_path / "cabinet.toml"
    path.write_text(tomli_w.dumps(plan.cabinet_settings(district, kiosk, _ports([kiosk.id]), None)))
    rules = load_cabinet(path).cabinet.instrument[0].visit_rules()
    assert rules.insertion_s == min(30 * speed, 18_000)
