"""`kioskwatch backend results`: the result page, a process with an origin, key and certificate of its own (DESIGN §6).

Of all state it opens the cohort store alone, read-only. Exit codes: 0 done, 2 the operator must do something (one
sentence on stderr), 1 a crash.
"""

import argparse
import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from starlette.types import ASGIApp

from backend.clocks import district_clock
from backend.devices.district_file import DistrictFile, parse_district
from backend.devices.visitors import notice_of
from backend.errors import BackendError, OperatorError
from backend.results.page_hash import STATIC, page_files, page_hash
from backend.results.publisher import Publisher
from backend.results.quiet import set_up_logging
from backend.results.serving import ResultsApp
from backend.results.volume import Volume
from backend.settings import ResultsSettings, read_results_settings
from backend.web.loops import Loop
from backend.web.server import Certificate, check_certificate, listen, serve
from contracts.clock import Clock
from stores.errors import SchemaTooNewError, SpecError, StoreError, StoreUnavailableError
from stores.state.cohorts import CohortStore
from stores.state.database import Database, open_for_reading

OPERATOR_MUST_ACT: Final = 2
CRASHED: Final = 1
DEFAULT_SETTINGS: Final = Path("var/results.toml")
LOOK_S: Final = 0.25  # real seconds: a tick of the demonstration lasts one
WAIT_S: Final = 60.0  # for ingest's first start, which makes the cohort store
NOTICE_PATH: Final = "/notice.json"
NOTICE_VERSION: Final = 1
MIB: Final = 1024 * 1024

log = logging.getLogger("backend.results")


def main(argv: Sequence[str]) -> int:
    """Serve the result page until a signal comes."""
    set_up_logging()
    parser = argparse.ArgumentParser(prog="kioskwatch backend results", description=__doc__)
    parser.add_argument("--settings", type=Path, default=DEFAULT_SETTINGS, metavar="FILE")
    try:
        return run(read_results_settings(parser.parse_args(argv).settings))
    except (BackendError, SpecError, SchemaTooNewError) as exc:
        print(f"kioskwatch backend results: {exc}", file=sys.stderr)  # noqa: T201 - the sentence for the operator
        return OPERATOR_MUST_ACT
    except StoreError as exc:
        log.error("the cohort store failed at the start: %s", exc)
        return CRASHED


def run(
    settings: ResultsSettings, *, static: Path = STATIC, wrap: Callable[[ASGIApp], ASGIApp] = lambda app: app
) -> int:
    """Serve until a signal comes; return the exit code. `wrap` may put something in front of the application."""
    certificate = None
    if settings.tls_cert is not None and settings.tls_key is not None:
        certificate = Certificate(settings.tls_cert, settings.tls_key)
        check_certificate(certificate)
    clock = district_clock(settings.time_file)
    pages = {f"/{name}": content for name, content in page_files(static).items()}
    pages[NOTICE_PATH] = notice_json(_district(settings), clock, page_hash(static))
    volume = Volume(settings.volume_mib_per_minute * MIB, clock.real_s)
    with contextlib.closing(listen(settings.host, settings.port)) as listener, _store(settings.state) as database:
        publisher = Publisher(CohortStore(database), settings.public_dir, clock)
        publisher.step()
        app = ResultsApp(pages, lambda: publisher.published, volume, tls=certificate is not None)
        loop = Loop("result page", publisher.step, every_s=LOOK_S, real_s=clock.real_s, failed=lambda: None)
        loop.start()
        try:
            started = serve(wrap(app), listener, certificate=certificate, ready=_say_ready, stopping=lambda: None)
        finally:
            loop.stop()
    return 0 if started else CRASHED


def notice_json(file: DistrictFile, clock: Clock, page: str) -> bytes:
    """Return what the page shows of its district: constant for one start."""
    notice = notice_of(file.notice)
    said = {
        "v": NOTICE_VERSION,
        "speed": clock.speed,
        "page_hash": page,
        "notice": None if notice is None else notice.texts(),
    }
    return json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()


def _district(settings: ResultsSettings) -> DistrictFile:
    try:
        text = settings.district.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise OperatorError("%(path)s cannot be read: it must be a UTF-8 text file.", path=settings.district) from exc
    file = parse_district(text, real=not settings.simulated)
    if not settings.simulated and not file.results.origin.startswith("https:"):
        raise OperatorError("[results] origin of district.toml must be an https address: phones open nothing else.")
    return file


def _store(spec: str) -> Database:
    """Open the cohort store, once ingest has made it."""
    deadline_s = time.monotonic() + WAIT_S
    while True:
        try:
            return open_for_reading(spec, "cohorts")
        except StoreUnavailableError:
            if time.monotonic() >= deadline_s:
                raise
        time.sleep(LOOK_S)


def _say_ready() -> None:
    print("ready", flush=True)  # noqa: T201 - the supervisor waits for this line


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
