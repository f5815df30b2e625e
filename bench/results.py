"""Downloads of a public file, beside the worker's bare answer of the same size; and what one seal costs."""

import secrets
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from bench.asking import CONNECTIONS, RUNS, rate, request
from bench.bare_backend import BARE
from bench.report import Figure, at_least
from contracts.claim import ClaimCode
from contracts.clock import first_anchors
from contracts.cohorts import cohort_of, file_path
from contracts.sealed import PLAIN_BYTES, RECORD_BYTES, result_body, seal
from contracts.windows import NS, TICK_S
from stores.state.cohorts import CohortStore, SealedTick
from stores.state.database import open_for_writing
from tests.support.process import Program, free_port

FIRST_TICK = 2_992_236  # of its cohort
KIOSKS, RECORDS = 5, 4
FILE_BYTES = 256 * RECORD_BYTES  # 12 ticks of 5 kiosks, the practice record and filler
DOWNLOADS_BAR = 1000.0  # a second
DOWNLOADS_RATIO_BAR = 0.5
SEAL_RATIO_BAR = 0.5
SEALS = 2000


def measure(folder: Path) -> Iterator[Figure]:
    """Downloads turn and turn about with bare answers, on one worker; then seals beside bare HPKE."""
    yield from _downloads(folder)
    yield from _seals()


def _downloads(folder: Path) -> Iterator[Figure]:
    port, log = free_port(), folder / "results.log"
    settings = _site(folder, port)
    command = [sys.executable, "-m", "bench.bare_results", str(settings), str(FILE_BYTES)]
    program = Program(command, log=log, ready=lambda: "ready\n" in log.read_text(), ready_timeout_s=60)
    program.start()
    rates: dict[str, list[float]] = {"bare": [], "file": []}
    try:
        for _ in range(RUNS):
            rates["bare"].append(rate(port, [request(BARE, "")]))
            rates["file"].append(rate(port, [request(file_path(cohort_of(FIRST_TICK)), "")]))
    finally:
        program.stop()
    bare, file = (statistics.median(rates[name]) for name in ("bare", "file"))
    size = f"{FILE_BYTES // 1024} KiB"
    yield Figure("Results", f"bare answer of {size}, same worker, {CONNECTIONS} connections", f"{bare:,.0f} req/s")
    yield at_least("Results", f"downloads of a cohort of {size}, one worker", file, DOWNLOADS_BAR, "/s")
    yield at_least("Results", "downloads ÷ bare answer", file / bare, DOWNLOADS_RATIO_BAR, "×")


def _site(folder: Path, port: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    now = time.monotonic_ns()
    anchors = first_anchors(now, (FIRST_TICK + 12) * TICK_S * NS, 1)
    (folder / "time.json").write_bytes(anchors.written_at(now))
    with open_for_writing(f"sqlite:{folder / 'state'}", "cohorts") as database:
        CohortStore(database).add(
            [
                SealedTick(f"kiosk-{kiosk}", FIRST_TICK + tick, secrets.token_bytes(RECORDS * RECORD_BYTES))
                for kiosk in range(KIOSKS)
                for tick in range(12)
            ]
        )
    settings = folder / "results.toml"
    settings.write_text(
        f'state = "sqlite:{folder / "state"}"\npublic_dir = "{folder / "public"}"\nsimulated = true\n'
        f'district = "{Path("kioskwatch/demo/district.toml").absolute()}"\nlisten = "127.0.0.1:{port}"\n'
        f'time_file = "{folder / "time.json"}"\nvolume_mib_per_minute = 1000000\n'  # one address asks here
    )
    return settings


def _seals() -> Iterator[Figure]:
    keys, suite = ClaimCode.generate().keys(), Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)
    body = result_body("2026-11-22", {"sars-cov-2": "negative"}).encode()
    plain, key = secrets.token_bytes(PLAIN_BYTES), X25519PrivateKey.generate().public_key()
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(RUNS):
        bare.append(_each_s(lambda: suite.encrypt(plain, key, info=b"bench")))
        ours.append(_each_s(lambda: seal(keys.slot, keys.public_key, keys.origin, body)))
    seal_s = statistics.median(ours)
    yield Figure("Results", "one seal", f"{seal_s * 1e6:,.0f} µs")
    yield at_least("Results", "bare HPKE ÷ one seal", statistics.median(bare) / seal_s, SEAL_RATIO_BAR, "×")


def _each_s(what: Callable[[], object]) -> float:
    started = time.perf_counter()
    for _ in range(SEALS):
        what()
    return (time.perf_counter() - started) / SEALS
