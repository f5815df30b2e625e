"""Prepares combination B of DESIGN §3 for deploy/compose.yaml: certificates, buckets, tokens and settings files.

`python -m kioskwatch.deployment --root DIR --public-name NAME …` may run at every start of the containers: what is
there and good is kept. A token reaches only the bucket and rights that its process needs. The bucket `restricted` is
not in this InfluxDB at all, for a server of this kind shows it to every token that asks by its number
(`stores.series.narrow`): it is a SQLite file on a volume that ingest and the console's process alone see.

Grafana gets no token but a name and a password of InfluxDB's version 1 (a "legacy authorization"), which is good for
InfluxQL alone: with any token Flux reads any bucket whose id is known (influxdata/influxdb, issue 14838).
"""

import http.client
import json
import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from dashboards.grafana import INFLUX_USER
from kioskwatch import machine, mosquitto
from kioskwatch.checks import folder_error, prepare_folder
from kioskwatch.errors import OPERATOR_MUST_ACT, OperatorError, OptionError
from kioskwatch.folder import BUCKETS, StateFolder
from kioskwatch.options import DEFAULT_RESULTS_PORT, Parser
from kioskwatch.preparation import broker_files, make_certificates, write_toml

HTTP_TIMEOUT_S: Final = 30.0
MAX_ANSWER_BYTES: Final = 4 * 1024 * 1024
PAGE: Final = 100  # the most buckets that InfluxDB lists in one answer
PASSWORD_BYTES: Final = 32
_LEGACY: Final = "/private/legacy/authorizations"

SERVED: Final = tuple(bucket for bucket in BUCKETS if bucket != "restricted")  # by InfluxDB
_BOTH: Final = ("read", "write")
# folder of a process -> bucket -> its rights there; what stands nowhere cannot be reached (DESIGN §8, one writer each).
RIGHTS: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "gateway": {bucket: _BOTH for bucket in SERVED if bucket != "alerts"},
    "backend": {bucket: ("read",) for bucket in SERVED if bucket != "alerts"} | {"alerts": _BOTH},
}
GRAFANA_READS: Final = SERVED


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the other containers are."""

    folder: StateFolder
    public_name: str
    listen: str
    broker_host: str
    broker_port: int
    postgres: str
    influx: str
    org: str
    grafana_password: Path
    results_settings: Path
    restricted: Path


class InfluxAdmin:
    """The few calls of InfluxDB's administration API that make buckets and tokens."""

    def __init__(self, url: str, token: str, org: str) -> None:
        self._url = urlsplit(url)
        if self._url.scheme not in {"http", "https"} or not self._url.hostname:
            raise OptionError(f"--influx is a URL such as http://influxdb:8086, not {url!r}")
        self._token = token
        found = self._call("GET", f"/api/v2/orgs?org={quote(org)}")["orgs"]
        self._org_id: str = found[0]["id"]

    def ensure_buckets(self) -> dict[str, str]:
        """Return the id of every bucket, making those that are missing; retention is ours, so they have none."""
        listed = self._call("GET", f"/api/v2/buckets?orgID={self._org_id}&limit={PAGE}")["buckets"]
        ids = {row["name"]: str(row["id"]) for row in listed}
        for bucket in SERVED:
            if bucket not in ids:
                wanted: dict[str, Any] = {"orgID": self._org_id, "name": bucket, "retentionRules": []}
                ids[bucket] = self._call("POST", "/api/v2/buckets", wanted)["id"]
        return ids

    def make_token(self, rights: dict[str, tuple[str, ...]], ids: dict[str, str], description: str) -> str:
        """Return a new token with these rights and no other."""
        wanted = self._authorization(rights, ids, description)
        return str(self._call("POST", "/api/v2/authorizations", wanted)["token"])

    def make_reader(self, name: str, buckets: Sequence[str], ids: dict[str, str]) -> str:
        """Return a new password for a name that may read these buckets with InfluxQL and do nothing else."""
        listed = self._call("GET", _LEGACY)["authorizations"]
        for row in listed:
            if row["token"] == name:
                self._call("DELETE", f"{_LEGACY}/{row['id']}")
        wanted = self._authorization(dict.fromkeys(buckets, ("read",)), ids, f"kioskwatch {name}")
        made = self._call("POST", _LEGACY, wanted | {"token": name})
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        self._call("POST", f"{_LEGACY}/{made['id']}/password", {"password": password})
        return password

    def _authorization(
        self, rights: dict[str, tuple[str, ...]], ids: dict[str, str], description: str
    ) -> dict[str, Any]:
        permissions = [
            {"action": action, "resource": {"type": "buckets", "id": ids[bucket], "orgID": self._org_id}}
            for bucket, actions in rights.items()
            for action in actions
        ]
        return {"orgID": self._org_id, "permissions": permissions, "description": description}

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        kind = http.client.HTTPSConnection if self._url.scheme == "https" else http.client.HTTPConnection
        connection = kind(str(self._url.hostname), self._url.port or 8086, timeout=HTTP_TIMEOUT_S)
        try:
            headers = {"Authorization": f"Token {self._token}", "Content-Type": "application/json"}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read(MAX_ANSWER_BYTES)
            if response.status == http.client.NO_CONTENT:
                return {}
            if response.status not in {http.client.OK, http.client.CREATED}:
                raise OptionError(
                    f"InfluxDB answered {response.status} to {method} {path.partition('?')[0]}: "
                    "look at --influx, --org and the administration token"
                )
            answer: dict[str, Any] = json.loads(content)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise OptionError(f"InfluxDB at {self._url.geturl()} cannot be asked: {exc}") from exc
        finally:
            connection.close()
        return answer


def main(argv: Sequence[str]) -> int:
    """Prepare everything; 0, or 2 with one sentence."""
    try:
        given = _parser().parse_args(argv)
        os.umask(0o077)
        deployment = Deployment(
            folder=StateFolder(given.root.absolute()),
            public_name=given.public_name,
            listen=given.listen,
            broker_host=given.broker_host,
            broker_port=given.broker_port,
            postgres=given.postgres,
            influx=given.influx,
            org=given.org,
            grafana_password=(given.grafana_password or given.root / "grafana-password").absolute(),
            restricted=(given.restricted or given.root / "restricted").absolute(),
            results_settings=(given.results_settings or given.root / "results.toml").absolute(),
        )
        prepare(deployment, given.district.absolute(), _read_token(given.influx_token))
    except OperatorError as exc:
        print(f"deployment: {exc}", file=sys.stderr)
        return OPERATOR_MUST_ACT
    print(f"deployment: everything that the containers need is in {given.root}")
    return 0


def prepare(deployment: Deployment, district: Path, admin_token: str) -> None:
    """Write all files of the deployment; OperatorError with a sentence."""
    folder = deployment.folder
    prepare_folder(folder.root)
    make_certificates(folder, [deployment.public_name, deployment.broker_host], machine.real_now())
    try:
        _write_broker(deployment)
        _write_tokens(deployment, admin_token)
        write_toml(folder.gateway_settings, gateway_settings(deployment))
        write_toml(folder.backend_settings, backend_settings(deployment, district))
        write_toml(deployment.results_settings, results_settings(deployment, district))
    except OSError as exc:
        raise folder_error(folder.root, exc) from exc


def gateway_settings(deployment: Deployment) -> dict[str, Any]:
    """Return gateway.toml of combination B."""
    ca = deployment.folder.ca
    return {
        **_stores(deployment, "gateway"),
        "gateway_id": "main",
        "deployment_key": str(ca / "deployment.key"),
        "broker": {
            "host": deployment.broker_host,
            "port": deployment.broker_port,
            "ca": str(ca / "ca.pem"),
            "cert": str(ca / "gateway.pem"),
            "key": str(ca / "gateway.key"),
        },
    }


def backend_settings(deployment: Deployment, district: Path) -> dict[str, Any]:
    """Return backend.toml of combination B."""
    folder = deployment.folder
    return {
        **_stores(deployment, "backend"),
        "listen": deployment.listen,
        "tls_cert": str(folder.ca / "server.pem"),
        "tls_key": str(folder.ca / "server.key"),
        "ca_dir": str(folder.ca),
        "district": str(district),
        "simulated": False,
        "admin_token_file": str(folder.admin_token),
        "broker_public": {"host": deployment.public_name, "port": deployment.broker_port, "tls": True},
    }


def results_settings(deployment: Deployment, district: Path) -> dict[str, Any]:
    """Return results.toml: its container sees neither the other settings nor any key but its own."""
    return {
        "state": deployment.postgres,
        "district": str(district),
        "public_dir": "/public",
        "listen": f"0.0.0.0:{DEFAULT_RESULTS_PORT}",
        "tls_cert": "/run/secrets/results-cert",
        "tls_key": "/run/secrets/results-key",
    }


def _parser() -> Parser:
    parser = Parser(prog="python -m kioskwatch.deployment", description="Prepare the containers of combination B.")
    add = parser.add_argument
    add("--root", type=Path, required=True, metavar="DIR", help="shared by the containers")
    add("--district", type=Path, required=True, metavar="FILE", help="district.toml, where the backend will see it")
    add("--public-name", required=True, metavar="NAME", help="what browsers and devices call this machine")
    add("--listen", default="0.0.0.0:8800", metavar="ADDRESS:PORT", help="of the console")
    add("--broker-host", default="broker", metavar="NAME", help="what the other containers call the broker")
    add("--broker-port", type=int, default=8883)
    add("--postgres", required=True, metavar="URL", help="postgresql+psycopg://USER@HOST/NAME?passfile=FILE")
    add("--influx", required=True, metavar="URL")
    add("--influx-token", type=Path, required=True, metavar="FILE", help="InfluxDB's administration token")
    add("--org", default="kioskwatch")
    add("--results-settings", type=Path, metavar="FILE", help="where the result page's settings go, alone")
    add("--grafana-password", type=Path, metavar="FILE", help="where Grafana's password goes, alone")
    add("--restricted", type=Path, metavar="DIR", help="where ingest and the console alone keep restricted readings")
    return parser


def _stores(deployment: Deployment, process: str) -> dict[str, Any]:
    return {
        "state": deployment.postgres,
        "series": f"influx:{deployment.influx}",
        "series_org": deployment.org,
        "series_token_dir": str(_tokens(deployment) / process),
        "series_restricted": f"sqlite:{deployment.restricted}",
    }


def _tokens(deployment: Deployment) -> Path:
    return deployment.folder.root / "tokens"


def _write_broker(deployment: Deployment) -> None:
    folder = deployment.folder
    folder.broker.mkdir(mode=0o700, exist_ok=True)
    plan = mosquitto.MosquittoPlan("0.0.0.0", deployment.broker_port, folder.broker, broker_files(folder), None)  # noqa: S104 - likewise
    (folder.broker / "mosquitto.conf").write_text(mosquitto.configuration(plan))
    (folder.broker / "acl").write_text(mosquitto.access_rules())


def _write_tokens(deployment: Deployment, admin_token: str) -> None:
    """Make each token once: InfluxDB keeps hashes only, so a lost file needs a new token."""
    admin = InfluxAdmin(deployment.influx, admin_token, deployment.org)
    ids = admin.ensure_buckets()
    for process, rights in RIGHTS.items():
        for bucket, actions in rights.items():
            path = _tokens(deployment) / process / bucket
            if not path.exists():
                _write_secret(path, admin.make_token({bucket: actions}, ids, f"kioskwatch {process} {bucket}"))
    if not deployment.grafana_password.exists():
        _write_secret(deployment.grafana_password, admin.make_reader(INFLUX_USER, GRAFANA_READS, ids))


def _write_secret(path: Path, secret: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(secret)
    fresh.replace(path)


def _read_token(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise OptionError(f"--influx-token: {path} cannot be read: {exc}") from exc


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
