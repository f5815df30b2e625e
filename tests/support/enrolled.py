"""A cabinet folder as it is after enrolment, made without a backend: key, certificate, answer, settings."""

import base64
import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from contracts.clock import TimeAnchors
from contracts.notice import LANGUAGES
from edge.adapters.clocks import real_now
from tests.support.notices import TEXTS

START_NS = 1_639_285_200 * 10**9  # 2021-12-12 00:00 at -05:00


def raw_public(key: Ed25519PrivateKey) -> str:
    """The public half as enrolment carries it."""
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def certificate(name: str, public_key: Ed25519PublicKey, signer: Ed25519PrivateKey, *, days: float = 30) -> str:
    """A certificate of a throw-away authority."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = real_now()
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")]))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
        .sign(signer, None)
    )
    return built.public_bytes(Encoding.PEM).decode()


def enrolment_answer(
    device: str, key: Ed25519PublicKey, *, broker_port: int, deployment: Ed25519PrivateKey, **changes: object
) -> dict[str, Any]:
    """What a backend answers."""
    authority = Ed25519PrivateKey.generate()
    answer = {
        "device": device,
        "certificate": certificate(device, key, authority),
        "ca": certificate("test CA", authority.public_key(), authority),
        "deployment_public_key": raw_public(deployment),
        "broker": {"host": "127.0.0.1", "port": broker_port, "tls": False},
        "window_s": 21600,
        "utc_offset_s": -5 * 3600,
        "week_start": 6,
        "district": "turtle-bay",
        "layouts": [
            {"number": 1, "valid_from_ns": START_NS, "assays": [{"code": "SARSCOV2", "targets": ["sars-cov-2"]}]}
        ],
        "simulated": True,
        "results_origin": "http://localhost:8801",
        "page_hash": "0123456789abcdef",
        "languages": list(LANGUAGES),
        "notice": TEXTS,
    }
    return answer | changes


@dataclass
class EnrolledCabinet:
    """One cabinet that needs no backend any more."""

    device: str
    folder: Path
    settings: Path
    key: Ed25519PrivateKey
    deployment: Ed25519PrivateKey

    @property
    def public_key(self) -> Ed25519PublicKey:
        return self.key.public_key()


def device_key(path: Path) -> Ed25519PrivateKey:
    """The device's key at this place, made if there is none."""
    if not path.exists():
        key = Ed25519PrivateKey.generate()
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    kept = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(kept, Ed25519PrivateKey)
    return kept


def enrolled_cabinet(
    folder: Path, device: str, *, kind: str, instrument: str, broker_port: int, anchors: TimeAnchors, **changes: object
) -> EnrolledCabinet:
    """Write a cabinet's folder; `instrument` is the body of its [[instrument]] table. A key that lies there is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    key, deployment = device_key(folder / "device.key"), Ed25519PrivateKey.generate()
    answer = enrolment_answer(device, key.public_key(), broker_port=broker_port, deployment=deployment, **changes)
    (folder / "device.pem").write_text(str(answer["certificate"]))
    (folder / "ca.pem").write_text(str(answer["ca"]))
    (folder / "enrolment.json").write_text(json.dumps(answer))
    (folder / "time.json").write_bytes(anchors.written_at(anchors.monotonic_anchor_ns))
    settings = folder / "cabinet.toml"
    settings.write_text(
        f'time_file = "time.json"\n[device]\nid = "{device}"\nkind = "{kind}"\n'
        f'[enrol]\nurl = "http://127.0.0.1:9"\n[simulated]\nseed = 1\n[[instrument]]\n{instrument}\n'
    )
    return EnrolledCabinet(device, folder, settings, key, deployment)
