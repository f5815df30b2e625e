"""The handshake in memory: what a phone would open, and what it would not."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from backend.devices.authority import issue_server
from kioskwatch.errors import CertificateError
from kioskwatch.trust import check_trusted
from tests.support.district import real_now

HOST = "results.harbour.internal"
CHECK = """
import sys
from pathlib import Path
from kioskwatch.errors import CertificateError
from kioskwatch.trust import check_trusted
try:
    check_trusted(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
except CertificateError as exc:
    print(exc)
"""


def judged(ca: Path, folder: Path, host: str) -> str:
    """What is said of a certificate by a machine that trusts one authority alone; empty when it is good."""
    trusting = {**os.environ, "SSL_CERT_FILE": str(ca), "SSL_CERT_DIR": str(folder / "nothing")}
    words = [sys.executable, "-c", CHECK, str(folder / "server.pem"), str(folder / "server.key"), host]
    done = subprocess.run(words, env=trusting, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    issue_server(folder, [HOST], real_now())
    return folder


def test_a_certificate_of_a_trusted_authority_for_this_name_is_good(good: Path) -> None:
    assert judged(good / "ca.pem", good, HOST) == ""


def test_an_unknown_authority_another_name_and_an_old_certificate_are_refused(good: Path, tmp_path: Path) -> None:
    other, old = tmp_path / "other", tmp_path / "old"
    issue_server(other, [HOST], real_now())
    issue_server(old, [HOST], real_now() - timedelta(days=500))
    assert "no phone would open" in judged(other / "ca.pem", good, HOST)
    assert "no phone would open" in judged(good / "ca.pem", good, "results.elsewhere.internal")
    assert "no phone would open" in judged(old / "ca.pem", old, HOST)


def test_what_no_server_can_use_is_refused_with_the_options_name(good: Path, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("nonsense")
    other = tmp_path / "other"
    issue_server(other, [HOST], real_now())
    for chain, key in (
        (garbage, good / "server.key"),
        (good / "server.pem", garbage),
        (good / "server.pem", other / "server.key"),
        (tmp_path / "missing.pem", good / "server.key"),
    ):
        with pytest.raises(CertificateError, match="--results-cert"):
            check_trusted(chain, key, HOST)
