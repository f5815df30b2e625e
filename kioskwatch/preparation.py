"""From options to a district that can start: its folder, broker, file, certificates and settings are in place after it.

Everything that may be refused is refused here, one sentence each, before any process runs.
"""

import os
import shutil
import socket
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import tomli_w
from cryptography.x509.oid import ExtendedKeyUsageOID

from backend.devices.authority import (
    certificate_facts,
    ensure_authority,
    ensure_deployment_key,
    issue_gateway,
    issue_server,
)
from backend.devices.district_file import DistrictFile, parse_district
from backend.devices.visitors import origin_host
from backend.errors import DistrictFileError
from backend.errors import OperatorError as BackendOperatorError
from kioskwatch import plan
from kioskwatch.broker import Broker, ClientFiles, choose, find_mosquitto
from kioskwatch.checks import PortNeed, check_certificate, check_disk, check_port, folder_error
from kioskwatch.errors import CertificateError, OptionError, StateFolderError
from kioskwatch.folder import StateFolder
from kioskwatch.mosquitto import PROBE_NAME, TlsFiles
from kioskwatch.options import UpOptions, is_any
from kioskwatch.progress import Progress
from kioskwatch.trust import check_trusted

GIB: Final = 1024**3


def prepare(options: UpOptions, *, now: datetime, progress: Progress) -> plan.District:
    """Check everything and write what processes need but their settings; return the district. OperatorError else."""
    folder = StateFolder(options.state)
    _refuse_mixing(folder, real=options.real)
    free = check_disk(folder.root)
    broker = _broker(options)
    _check_ports(options, broker)
    if options.tls_cert is not None and options.tls_key is not None:
        check_certificate(options.tls_cert, options.tls_key, now=now)
    progress.step("checks", f"ports free, {free // GIB} GiB of disk free")
    path = _district_path(options, folder)
    file = read_district(path, real=options.real)
    check_result_page(options, file)
    progress.step("district", f"{file.district.name}: {len(file.zone)} zones, {len(file.device)} devices ({path})")
    fingerprint = make_certificates(folder, [options.public_name, local_host(options)], now)
    progress.step("certificates", f"of the development CA in {folder.ca}")
    try:
        for part in (folder.state, folder.series, folder.logs, folder.devices, folder.links):
            part.mkdir(mode=0o700, exist_ok=True)
        if options.real:
            folder.real.touch()
    except OSError as exc:
        raise folder_error(folder.root, exc) from exc
    own = (folder.ca / "server.pem", folder.ca / "server.key") if options.https else (None, None)
    return plan.District(
        folder=folder,
        options=options,
        broker=broker,
        district_path=path,
        file=file,
        speed=1,
        tls_cert=options.tls_cert or own[0],
        tls_key=options.tls_key or own[1],
        ca_fingerprint=fingerprint,
    )


def write_settings(district: plan.District, ports: plan.Ports) -> None:
    """Write the settings files of every process but the cabinets."""
    folder = district.folder
    write_toml(folder.backend_settings, plan.backend_settings(district))
    write_toml(folder.gateway_settings, plan.gateway_settings(district))
    if district.file.has_kiosks:
        write_toml(folder.results_settings, plan.results_settings(district))
    if district.simulated_devices:
        write_toml(folder.simulators_settings, plan.simulators_settings(district, ports))


def write_toml(path: Path, settings: plan.Settings) -> None:
    """Replace a settings file, readable by its owner alone; it may hold a token."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_bytes(tomli_w.dumps(settings).encode())
    fresh.replace(path)


def broker_files(folder: StateFolder) -> TlsFiles:
    """Return what Mosquitto shows and checks."""
    return TlsFiles(folder.ca / "ca.pem", folder.ca / "crl.pem", folder.ca / "server.pem", folder.ca / "server.key")


def probe_files(folder: StateFolder) -> ClientFiles:
    """Return the certificate that only asks whether the broker answers."""
    return ClientFiles(folder.ca / "ca.pem", folder.ca / "probe.pem", folder.ca / "probe.key")


def make_certificates(folder: StateFolder, names: Sequence[str], now: datetime) -> str:
    """Make or renew every certificate of our own processes; return the CA's fingerprint. CertificateError else."""
    try:
        authority = ensure_authority(folder.ca, now)
        issue_server(folder.ca, names, now)
        issue_gateway(folder.ca, now)
        authority.issue_own("probe", [PROBE_NAME], ExtendedKeyUsageOID.CLIENT_AUTH, now)
        ensure_deployment_key(folder.ca)
        return certificate_facts(authority.pem).fingerprint
    except BackendOperatorError as exc:
        raise CertificateError(str(exc)) from exc
    except OSError as exc:
        raise folder_error(folder.root, exc) from exc


def read_district(path: Path, *, real: bool) -> DistrictFile:
    """Read district.toml; OptionError with line and key, also for what a real deployment still lacks."""
    try:
        return parse_district(path.read_text(encoding="utf-8"), real=real)
    except DistrictFileError as exc:
        raise OptionError(f"{path}: {exc}") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise OptionError(f"{path} cannot be read: {exc}") from exc


def check_result_page(options: UpOptions, file: DistrictFile) -> None:
    """Raise unless phones can trust the result page; a simulated district may do without a certificate."""
    if options.results_cert is not None and options.results_key is not None:
        host = origin_host(file.results.origin)
        if not file.results.origin.startswith("https:"):
            raise OptionError("--results-cert needs [results] origin in district.toml: the https address it stands for")
        check_trusted(options.results_cert, options.results_key, host)
    elif options.real and file.has_kiosks:
        raise OptionError(
            f"slips send visitors to {file.results.origin}: give with --results-cert and --results-key a certificate "
            "for it that their phones trust, such as one of a public authority"
        )
    elif file.results.origin.startswith("https:"):
        raise OptionError(
            f"[results] origin is {file.results.origin}: give its certificate with --results-cert and --results-key, "
            "or leave the origin empty for http://localhost"
        )


def free_ports(count: int) -> list[int]:
    """Return so many free ports of loopback, for instruments that only this machine talks to."""
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


def kiosk_ports(kiosks: Sequence[str]) -> plan.Ports:
    """Return free ports of loopback for each simulated kiosk."""
    ports = iter(free_ports(4 * len(kiosks)))
    return {kiosk: plan.KioskPorts(next(ports), next(ports), next(ports), next(ports)) for kiosk in kiosks}


def local_host(options: UpOptions) -> str:
    """Return how a process on this machine reaches what listens on --listen."""
    if is_any(options.listen):
        return "::1" if ":" in options.listen else "127.0.0.1"
    return options.listen


def _refuse_mixing(folder: StateFolder, *, real: bool) -> None:
    if real and folder.time.exists():
        raise StateFolderError(f"{folder.root} holds a simulated district: choose another folder with --state")
    if not real and folder.real.exists():
        raise StateFolderError(
            f"{folder.root} holds real data, closed to simulators: choose another folder with --state"
        )


def _broker(options: UpOptions) -> Broker:
    program = find_mosquitto(os.environ.get("PATH", ""))
    return choose(
        options.broker, host=local_host(options), port=options.broker_port, real=options.real, program=program
    )


def _check_ports(options: UpOptions, broker: Broker) -> None:
    check_port(PortNeed(options.listen, options.port, "--port"))
    check_port(PortNeed(options.listen, options.results_port, "--results-port"))
    if broker.kind == "mosquitto":
        check_port(PortNeed(options.listen, options.broker_port, "--broker-port"))
    elif broker.kind == "iotcore":
        check_port(PortNeed(broker.host, options.broker_port, "--broker-port"))


def _district_path(options: UpOptions, folder: StateFolder) -> Path:
    if options.district is not None:
        return options.district
    if not options.real:
        return plan.DEMO_DISTRICT
    try:
        if not folder.district.exists():
            shutil.copyfile(plan.STARTER_DISTRICT, folder.district)
    except OSError as exc:
        raise folder_error(folder.root, exc) from exc
    return folder.district
