"""Certificates and a Mosquitto as `kioskwatch up` sets them up, for tests of what the broker enforces."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from backend.devices.authority import ensure_authority, issue_gateway, issue_server
from kioskwatch.broker import Broker, ClientFiles, find_mosquitto, prepare, probe_target
from kioskwatch.errors import BrokerError
from kioskwatch.mosquitto import PROBE_NAME, TlsFiles
from kioskwatch.mqtt_probe import probe
from tests.support.process import Program, free_port
from tests.support.required import unavailable


def real_now() -> datetime:
    """Certificates live in real time."""
    return datetime.now(UTC)  # noqa: TID251 - tests make certificates for the machine's own clock


def device_files(ca: Path, device: str, folder: Path, *, issued_days_ago: int = 0) -> ClientFiles:
    """Make a device's key and certificate as enrolment does; 31 days ago it has expired."""
    folder.mkdir(parents=True, exist_ok=True)
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, device)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, None)
    now = real_now() - timedelta(days=issued_days_ago)
    issued = ensure_authority(ca, real_now()).issue_device(device, request.public_bytes(Encoding.PEM).decode(), now)
    files = ClientFiles(ca / "ca.pem", folder / "device.pem", folder / "device.key")
    files.certificate.write_text(issued.pem)
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


class DistrictBroker:
    """A real Mosquitto with the configuration, ACL and certificates of a district."""

    def __init__(self, folder: Path) -> None:
        program = find_mosquitto(os.environ.get("PATH", ""))
        if program is None:
            unavailable("Mosquitto", "`apt-get install mosquitto` brings it")
        self.ca = folder / "ca"
        self.folder = folder / "broker"
        self.broker = Broker("mosquitto", "127.0.0.1", free_port(), tls=True, program=program)
        issue_server(self.ca, ["127.0.0.1"], real_now())
        issue_gateway(self.ca, real_now())
        ensure_authority(self.ca, real_now()).issue_own(
            "probe", [PROBE_NAME], ExtendedKeyUsageOID.CLIENT_AUTH, real_now()
        )
        tls = TlsFiles(self.ca / "ca.pem", self.ca / "crl.pem", self.ca / "server.pem", self.ca / "server.key")
        command = prepare(self.broker, self.folder, listen="127.0.0.1", tls=tls)
        self.program = Program(command, log=folder / "mosquitto.log", ready=self.answers)

    def own_files(self, name: str) -> ClientFiles:
        """The gateway's or the probe's certificate."""
        return ClientFiles(self.ca / "ca.pem", self.ca / f"{name}.pem", self.ca / f"{name}.key")

    def answers(self) -> bool:
        """Whether it completes an MQTT connection."""
        try:
            probe(probe_target(self.broker, self.own_files("probe")))
        except BrokerError:
            return False
        return True
