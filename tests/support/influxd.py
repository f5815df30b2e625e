"""A real InfluxDB 2 for tests: the `influxd` on PATH or in the cache (scripts/influxd.sh builds it)."""

import os
import secrets
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.support.process import Program, free_port
from tests.support.required import unavailable

BUCKETS = ("environment", "fleet", "restricted", "released", "alerts", "history")
_ROOT = Path(__file__).parents[2]


def influxd_binary() -> str:
    """Its path, building it when the toolchain is there; skips (fails with CI set) otherwise."""
    found = subprocess.run([_ROOT / "scripts/influxd.sh"], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        unavailable("InfluxDB 2", found.stderr.strip().splitlines()[-1])
    return found.stdout.strip()


@dataclass(frozen=True, slots=True)
class InfluxOrg:
    """An organisation of its own with every bucket of kioskwatch: tests that hold one see nothing of each other."""

    url: str
    name: str
    tokens: dict[str, str] = field(repr=False)  # bucket -> a token that reads and writes this bucket only
    read_token: str = field(repr=False)  # reads all of them, as Grafana's does


class InfluxServer:
    """One influxd on a random loopback port, its data in one folder. May be killed and started again."""

    def __init__(self, folder: Path) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._admin_token = secrets.token_urlsafe(32)
        folder.mkdir(parents=True, exist_ok=True)
        command = [
            influxd_binary(),
            *("--http-bind-address", f"127.0.0.1:{port}"),
            *("--bolt-path", str(folder / "influxd.bolt")),
            *("--sqlite-path", str(folder / "influxd.sqlite")),
            *("--engine-path", str(folder / "engine")),
            *("--reporting-disabled", "--log-level", "warn"),
        ]
        env = {**os.environ, "HOME": str(folder), "INFLUXD_CONFIG_PATH": str(folder / "config")}
        self.program = Program(command, log=folder / "influxd.log", ready=self._healthy, ready_timeout_s=60, env=env)

    def start(self) -> None:
        """Start; the first time also set it up."""
        self.program.start()
        with self._client() as client:
            if client.get("/api/v2/setup").raise_for_status().json()["allowed"]:
                first = {"username": "admin", "password": secrets.token_urlsafe(24), "org": "setup", "bucket": "setup"}
                client.post("/api/v2/setup", json={**first, "token": self._admin_token}).raise_for_status()

    def organisation(self) -> InfluxOrg:
        """A new organisation with empty buckets, without retention, and a token for each."""
        name = f"org-{secrets.token_hex(6)}"
        with self._client() as client:
            org_id = client.post("/api/v2/orgs", json={"name": name}).raise_for_status().json()["id"]
            ids: dict[str, str] = {}
            for bucket in BUCKETS:
                wanted = {"orgID": org_id, "name": bucket, "retentionRules": []}
                ids[bucket] = client.post("/api/v2/buckets", json=wanted).raise_for_status().json()["id"]
            tokens = {bucket: _token(client, org_id, [ids[bucket]], ("read", "write")) for bucket in BUCKETS}
            read_token = _token(client, org_id, list(ids.values()), ("read",))
        return InfluxOrg(self.url, name, tokens, read_token)

    def empty_organisation(self) -> tuple[str, str]:
        """The name of a new organisation without buckets, and a token that may do everything."""
        name = f"org-{secrets.token_hex(6)}"
        with self._client() as client:
            client.post("/api/v2/orgs", json={"name": name}).raise_for_status()
        return name, self._admin_token

    def _client(self) -> httpx.Client:
        headers = {"Authorization": f"Token {self._admin_token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=20, trust_env=False)

    def _healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=1, trust_env=False).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False


def _token(client: httpx.Client, org_id: str, bucket_ids: list[str], actions: tuple[str, ...]) -> str:
    permissions = [
        {"action": action, "resource": {"type": "buckets", "id": bucket_id, "orgID": org_id}}
        for bucket_id in bucket_ids
        for action in actions
    ]
    made = client.post("/api/v2/authorizations", json={"orgID": org_id, "permissions": permissions})
    token: str = made.raise_for_status().json()["token"]
    return token
