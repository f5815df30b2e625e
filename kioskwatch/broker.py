"""Which broker a district uses, and what it needs before it starts: a given URL > Mosquitto > iotcore on loopback.

Mosquitto enforces who may connect (mTLS) and what each may say (ACL by certificate name); iotcore does neither, so it
serves a simulated district only. In: options and files of the state folder. Out: a command line and a probe target.
Not done here: starting it (kioskwatch.supervisor), making certificates (backend.devices.authority).
"""

import os
import pwd
import shutil
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from kioskwatch import embedded_broker, mosquitto
from kioskwatch.errors import BrokerError, CertificateError, OptionError
from kioskwatch.mqtt_probe import Target

Kind = Literal["given", "mosquitto", "iotcore"]

_SBIN: Final = "/usr/local/sbin:/usr/sbin:/sbin"  # where Debian puts Mosquitto, not on an ordinary user's PATH
_DEFAULT_PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
PRIVATE_MODE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Broker:
    """The broker of a district. `program` is set for Mosquitto only, `host` is where clients on this machine go."""

    kind: Kind
    host: str
    port: int
    tls: bool
    program: Path | None = None


@dataclass(frozen=True, slots=True)
class ClientFiles:
    """PEM files with which a client on this machine connects."""

    ca: Path
    certificate: Path
    key: Path


def find_mosquitto(search_path: str) -> Path | None:
    """Return the Mosquitto program on a PATH-like list of folders or where Debian puts it."""
    found = shutil.which("mosquitto", path=f"{search_path}{os.pathsep}{_SBIN}")
    return Path(found) if found else None


def choose(wanted: str, *, host: str, port: int, real: bool, program: Path | None) -> Broker:
    """Return the broker to use; `wanted` is auto, mosquitto, iotcore or a URL, `program` the Mosquitto found.

    Raises BrokerError when real devices would get a broker without identities, OptionError on a word we don't know.
    """
    if "://" in wanted:
        chosen = _given(wanted)
    elif wanted not in {"auto", "mosquitto", "iotcore"}:
        raise OptionError(f"--broker is auto, mosquitto, iotcore or a URL like mqtts://host:8883, not {wanted!r}")
    elif wanted != "iotcore" and program is not None:
        chosen = Broker("mosquitto", host, port, tls=True, program=program)
    elif wanted == "mosquitto":
        raise BrokerError("Mosquitto is not on this machine; on Debian: sudo apt-get install mosquitto")
    else:
        chosen = Broker("iotcore", embedded_broker.LOOPBACK, port, tls=False)
    if real and not chosen.tls:
        raise BrokerError(
            "real devices need a broker that checks certificates: on Debian sudo apt-get install mosquitto, "
            "or name one with --broker mqtts://HOST:8883"
        )
    return chosen


def prepare(broker: Broker, folder: Path, *, listen: str, tls: mosquitto.TlsFiles) -> list[str]:
    """Write the broker's settings into its folder; return the command that starts it, empty for a given broker."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if broker.kind == "mosquitto":
        plan = mosquitto.MosquittoPlan(listen, broker.port, folder, tls, _user_to_stay())
        config = _write(folder / "mosquitto.conf", mosquitto.configuration(plan))
        _write(folder / "acl", mosquitto.access_rules())
        return [str(broker.program), "-c", str(config)]
    if broker.kind == "iotcore":
        config = _write(folder / "iotcore.toml", embedded_broker.configuration(broker.port))
        return [sys.executable, "-m", "kioskwatch.embedded_broker", str(config)]
    return []


def set_database_aside(folder: Path) -> Path | None:
    """Move Mosquitto's snapshot away, since a damaged one stops its start; the new name, None when there is none.

    An empty broker loses nothing: sessions are made anew and unacknowledged records are sent again.
    """
    database = folder / "mosquitto.db"
    if not database.exists():
        return None
    aside = folder / "mosquitto.db.damaged"
    database.replace(aside)
    return aside


def probe_target(broker: Broker, files: ClientFiles) -> Target:
    """Return whom to ask whether the broker answers; CertificateError when the files cannot be used."""
    context = client_context(files) if broker.tls else None
    return Target(broker.host, broker.port, mosquitto.PROBE_NAME, context)


def client_context(files: ClientFiles) -> ssl.SSLContext:
    """Return TLS for a client that knows our CA alone and shows its certificate; CertificateError otherwise."""
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=str(files.ca))
        context.load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError) as exc:
        raise CertificateError(
            f"{files.certificate} and its key cannot be used ({exc}): delete both and start again to make new ones"
        ) from exc
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _given(url: str) -> Broker:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise OptionError(f"--broker: {exc}") from exc
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or parts.path.strip("/") or parts.username:
        raise OptionError("--broker: a URL reads mqtts://HOST:PORT (or mqtt://HOST:PORT for a simulated district)")
    return Broker("given", parts.hostname, port or _DEFAULT_PORTS[parts.scheme], tls=parts.scheme == "mqtts")


def _user_to_stay() -> str | None:
    """Name root when we are root: Mosquitto would go on as user `mosquitto`, who may not enter the state folder."""
    return pwd.getpwuid(0).pw_name if os.geteuid() == 0 else None


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(PRIVATE_MODE)
    return path
