"""A district as data: what each process is told, and in which order they start. Pure; `up` writes and runs it.

Combinations A and C of DESIGN §3: everything on this machine, SQLite for series and state. The settings of
combination B are in deploy/.
"""

import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from backend.devices.district_file import DeviceEntry, DistrictFile
from kioskwatch.broker import Broker
from kioskwatch.folder import StateFolder
from kioskwatch.options import UpOptions
from kioskwatch.supervisor import ProcessPlan

DEMO: Final = Path(__file__).parent / "demo"
DEMO_DISTRICT: Final = DEMO / "district.toml"
STARTER_DISTRICT: Final = DEMO / "starter.toml"
DEMO_HISTORY: Final = DEMO / "history.csv"
DEMO_HISTORY_SOURCE: Final = "NYC Department of Health and Mental Hygiene, nychealth/coronavirus-data, a2643c43"

T_MAX_S: Final = 2700  # a cartridge's longest run, and when the cabinet's door opens
INSERTION_REAL_S: Final = 30  # for people at a simulated kiosk; simulated visitors take none
MAX_INSERTION_S: Final = 18_000  # of the district: a kiosk has rows for the ticks until then, and no more
MODULES: Final = 4
# One reading message a real second at ×600, beside a tick of 600 s (DESIGN §14); a minute in slower districts.
SAMPLE_PERIOD_S: Final = 600
SLOW_SAMPLE_PERIOD_S: Final = 60
SEED: Final = 1

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class KioskPorts:
    """Ports of loopback of one simulated kiosk."""

    analyser: int
    printer: int
    screen: int
    slot: int  # where a person puts a simulated cartridge in


Ports = Mapping[str, KioskPorts]  # by device


@dataclass(frozen=True, slots=True, kw_only=True)
class District:
    """All that is decided before anything starts. `speed` is 1 for real devices."""

    folder: StateFolder
    options: UpOptions
    broker: Broker
    district_path: Path
    file: DistrictFile
    speed: int
    tls_cert: Path | None  # of the console; None = plain HTTP on loopback
    tls_key: Path | None
    ca_fingerprint: str

    @property
    def console_url(self) -> str:
        """What a person on this machine or in this network opens."""
        return (
            f"{'https' if self.options.https else 'http'}://{_bracketed(self.options.public_name)}:{self.options.port}"
        )

    @property
    def results_origin(self) -> str:
        """Where slips and posters send visitors. A simulated district may leave it to this machine's own browser."""
        return self.file.results.origin or f"http://localhost:{self.options.results_port}"

    @property
    def simulated_devices(self) -> Sequence[DeviceEntry]:
        """The devices that this machine plays itself."""
        if self.options.real:
            return ()
        return [device for device in self.file.device if device.kind in {"kiosk", "air_monitor"}]

    @property
    def persons_kiosk(self) -> DeviceEntry | None:
        """The simulated kiosk at which a real person may take a test: of the zone that misses it least."""
        kiosks = [device for device in self.simulated_devices if device.kind == "kiosk"]
        population = {zone.id: zone.population or 0 for zone in self.file.zone}
        return min(reversed(kiosks), key=lambda kiosk: population[self.zone_of(kiosk)], default=None)

    def zone_of(self, device: DeviceEntry) -> str:
        """Return the zone of a device."""
        return next(site.zone for site in self.file.site if site.id == device.site)


def backend_settings(district: District) -> Settings:
    """Return backend.toml."""
    folder, options = district.folder, district.options
    settings: Settings = {
        **_stores(district),
        "listen": f"{_bracketed(options.listen)}:{options.port}",
        "ca_dir": str(folder.ca),
        "district": str(district.district_path),
        "simulated": not options.real,
        "admin_token_file": str(folder.admin_token),
        "broker_public": public_broker(district),
    }
    if not options.real:
        settings["results_origin"] = district.results_origin
    if district.tls_cert is not None and district.tls_key is not None:
        settings |= {"tls_cert": str(district.tls_cert), "tls_key": str(district.tls_key)}
    return settings


def results_settings(district: District) -> Settings:
    """Return results.toml: of all state it is told the cohort store's place alone."""
    folder, options = district.folder, district.options
    settings: Settings = {
        "state": f"sqlite:{folder.state}",
        "district": str(district.district_path),
        "public_dir": str(folder.public),
        "listen": f"{_bracketed(options.listen)}:{options.results_port}",
        "simulated": not options.real,
    }
    if not options.real:
        settings["time_file"] = str(folder.time)
    if options.results_cert is not None and options.results_key is not None:
        settings |= {"tls_cert": str(options.results_cert), "tls_key": str(options.results_key)}
    return settings


def public_broker(district: District) -> Settings:
    """Return where devices find the broker, as they are told at enrolment."""
    own = district.broker.kind == "mosquitto"
    host = district.options.public_name if own else district.broker.host
    return {"host": host, "port": district.broker.port, "tls": district.broker.tls}


def gateway_settings(district: District) -> Settings:
    """Return gateway.toml."""
    folder, broker = district.folder, district.broker
    connection: Settings = {"host": broker.host, "port": broker.port}
    if broker.tls:
        connection |= {name: str(folder.ca / f"{stem}") for name, stem in _GATEWAY_FILES.items()}
    return {
        **_stores(district),
        "gateway_id": "main",
        "deployment_key": str(folder.ca / "deployment.key"),
        "broker": connection,
    }


def simulators_settings(district: District, ports: Ports) -> Settings:
    """Return simulators.toml."""
    offset_h = district.file.utc_offset_s / 3600
    rooms = [device.id for device in district.simulated_devices if device.kind == "air_monitor"]
    return {
        "clock": {"time_file": str(district.folder.time)},
        "scenario": {
            "name": district.options.scenario,
            "seed": SEED,
            "utc_offset_h": int(offset_h) if offset_h.is_integer() else offset_h,
        },
        "instrument": [
            {
                "device": device.id,
                "zone": district.zone_of(device),
                **_simulated_instrument(district, device, ports, crowded=device.id == rooms[0] if rooms else False),
            }
            for device in district.simulated_devices
        ]
        + [
            {
                "kind": "printer",
                "device": device.id,
                "zone": district.zone_of(device),
                "listen": f"127.0.0.1:{ports[device.id].printer}",
            }
            for device in district.simulated_devices
            if device.kind == "kiosk"
        ],
    }


def cabinet_settings(district: District, device: DeviceEntry, ports: Ports, token: str | None) -> Settings:
    """Return a simulated cabinet's cabinet.toml; `token` None once it has its certificate."""
    path = district.folder.cabinet(device.id)
    enrol: Settings = {"url": district.console_url, "ca_fingerprint": district.ca_fingerprint}
    if token is not None:
        enrol["token"] = token
    settings: Settings = {
        "time_file": str(district.folder.time),
        "device": {"id": device.id, "kind": device.kind, "folder": str(path.parent)},
        "enrol": enrol,
        "simulated": {"seed": zlib.crc32(device.id.encode())},  # each cabinet draws noise of its own
        "instrument": [_cabinet_instrument(district, device, ports)],
    }
    if device.kind == "kiosk":
        at = ports[device.id]
        settings["printer"] = {"link": f"tcp:127.0.0.1:{at.printer}"}
        settings["screen"] = {"port": at.screen}
        if device == district.persons_kiosk:
            settings["screen"]["slot_url"] = f"http://127.0.0.1:{at.slot}"
    return settings


def processes(district: District, *, history_before: date | None) -> list[ProcessPlan]:
    """Return the processes in the order of their needs; `history_before` None when nothing is to be imported.

    Hooks (`prepare`, `probe`, `mend`) are put in by `up`: they do I/O.
    """
    folder = district.folder
    gateway = ("--settings", str(folder.gateway_settings))
    plans = [ProcessPlan(name="backend", command=_own("backend", "serve", "--settings", str(folder.backend_settings)))]
    if district.broker.kind != "given":
        plans.append(ProcessPlan(name="broker", command=()))
    if district.simulated_devices:
        simulate = _own("simulate", "district", "--config", str(folder.simulators_settings))
        plans.append(ProcessPlan(name="simulators", command=simulate))
    first = () if history_before is None else ("history",)
    if history_before is not None:
        words = (
            "import",
            str(DEMO_HISTORY),
            *gateway,
            "--source",
            DEMO_HISTORY_SOURCE,
            "--before",
            f"{history_before}",
        )
        plans.append(ProcessPlan(name="history", command=_own("history", *words), needs=("backend",), once=True))
    broker = () if district.broker.kind == "given" else ("broker",)
    plans += [
        ProcessPlan(name="ingest", command=_own("gateway", "ingest", *gateway), needs=("backend", *broker)),
        ProcessPlan(name="analyse", command=_own("gateway", "analyse", *gateway), needs=("backend", *first)),
    ]
    if district.file.has_kiosks:
        results = _own("backend", "results", "--settings", str(folder.results_settings))
        plans.append(ProcessPlan(name="results", command=results, needs=("ingest",)))
    if district.simulated_devices:
        cabinets = [str(folder.cabinet(device.id)) for device in district.simulated_devices]
        plans.append(
            ProcessPlan(name="edge", command=_own("edge", *cabinets), needs=("backend", *broker, "simulators"))
        )
    return plans


_GATEWAY_FILES: Final = {"ca": "ca.pem", "cert": "gateway.pem", "key": "gateway.key"}


def _own(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "kioskwatch", *words)


def _stores(district: District) -> Settings:
    folder = district.folder
    stores: Settings = {"state": f"sqlite:{folder.state}", "series": f"sqlite:{folder.series}"}
    if not district.options.real:
        stores["time_file"] = str(folder.time)
    return stores


def _simulated_instrument(district: District, device: DeviceEntry, ports: Ports, *, crowded: bool) -> Settings:
    if device.kind == "kiosk":
        return _simulated_analyser(district, device, ports[device.id])
    return {"kind": "scd30", "link": str(district.folder.links / device.id), "scenario_room": crowded}


def _simulated_analyser(district: District, device: DeviceEntry, at: KioskPorts) -> Settings:
    settings: Settings = {
        "kind": "genexpert",
        "listen": f"127.0.0.1:{at.analyser}",
        "modules": MODULES,
        "assay": district.file.assay[0].code,
        "door_s": T_MAX_S,
        "screen": f"127.0.0.1:{at.screen}",
    }
    if device == district.persons_kiosk:
        zone = district.zone_of(device)
        alone = sum(one.kind == "kiosk" and district.zone_of(one) == zone for one in district.simulated_devices) == 1
        settings |= {"slot": f"127.0.0.1:{at.slot}", "visitors": alone}  # the zone's other kiosks take its visitors
    return settings


def _cabinet_instrument(district: District, device: DeviceEntry, ports: Ports) -> Settings:
    if device.kind == "kiosk":
        assay = district.file.assay[0]
        return {
            "kind": "genexpert",
            "link": f"tcp:127.0.0.1:{ports[device.id].analyser}",
            "modules": MODULES,
            "t_max_s": T_MAX_S,
            "insertion_s": min(INSERTION_REAL_S * district.speed, MAX_INSERTION_S),
            "assay": assay.code,
            "targets": list(assay.targets),
        }
    period_s = SAMPLE_PERIOD_S if district.speed > SLOW_SAMPLE_PERIOD_S else SLOW_SAMPLE_PERIOD_S
    return {"kind": "scd30", "link": f"serial:{district.folder.links / device.id}", "sample_period_s": period_s}


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
