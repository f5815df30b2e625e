"""A real PostgreSQL for tests: a throw-away cluster of Debian's binaries, never the system's own."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support.process import Program, accepts, free_port
from tests.support.required import unavailable

_USER = "kioskwatch"


def _binaries() -> Path:
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if debian:
        return debian[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        unavailable("PostgreSQL", "`apt-get install postgresql` brings initdb and postgres")
    return Path(on_path).parent


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root: then the user it shall run as, else None."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class PostgresServer:
    """One cluster on a random loopback port. May be killed and started again; `remove` deletes it."""

    def __init__(self) -> None:
        binaries = _binaries()
        user = _unprivileged_user()
        # Not below pytest's folder, which only its own user may enter.
        self._folder = Path(tempfile.mkdtemp(prefix="kioskwatch-postgres-"))
        if user is not None:
            shutil.chown(self._folder, user)
        self._port = free_port()
        data = self._folder / "data"
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", _USER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"],
            check=True,
            capture_output=True,
            user=user,
            cwd=self._folder,
        )
        settings = {
            "port": self._port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self._folder,
            # A kill -9 of the server loses nothing that reached the kernel: only a power cut needs the flush.
            "fsync": "off",
            "max_connections": 50,
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self.program = Program(
            [str(binaries / "postgres"), "-D", str(data), *options],
            log=self._folder / "log",
            ready=self._answers,
            user=user,
            stop_signal=signal.SIGINT,  # fast shutdown: clients are cut off instead of waited for
        )

    def start(self) -> None:
        """Start, recovering first when it was killed."""
        self.program.start()

    def database(self) -> str:
        """Make a new empty database and give its SQLAlchemy URL."""
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql+psycopg://{_USER}@127.0.0.1:{self._port}/{name}"

    def remove(self) -> None:
        """Stop it and delete every file of it."""
        self.program.stop()
        shutil.rmtree(self._folder)

    def _conninfo(self, database: str) -> str:
        return f"host=127.0.0.1 port={self._port} user={_USER} dbname={database} connect_timeout=5"

    def _answers(self) -> bool:
        if not accepts(self._port):
            return False
        try:
            psycopg.connect(self._conninfo("postgres")).close()
        except psycopg.OperationalError:  # "the database system is starting up"
            return False
        return True
