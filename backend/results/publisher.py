"""Renders the public files at the end of each tick, and deletes them when their time is over (DESIGN §6).

Reads the cohort store and nothing else, writes its own folder, and hands what it published to the server as one
mapping that is replaced whole: a browser never sees a clock that promises a file which is not there yet. While the
store cannot be read the clock stands still, so that a page says "not ready" and never "not available".

The folder holds what everybody may download, so it is not encrypted; files are replaced atomically.
"""

import contextlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from backend.results.rendering import render
from contracts.clock import Clock
from contracts.cohorts import (
    CLOCK_NAME,
    FILE_SUFFIX,
    PublicClock,
    complete_tick,
    encode_clock,
    file_name,
    file_path,
    live_cohorts,
    split_records,
)
from contracts.errors import CohortError
from contracts.sealed import dummy
from stores.errors import StoreUnavailableError
from stores.state.cohorts import CohortStore

log = logging.getLogger(__name__)

NEW_SUFFIX: Final = ".new"


class Publisher:
    """`step` does what is due; `published` is what browsers may have."""

    def __init__(self, store: CohortStore, folder: Path, clock: Clock, *, filler: Callable[[], bytes] = dummy) -> None:
        self._store = store
        self._filler = filler
        self._folder = folder
        self._clock = clock
        self._complete = -1
        self._files: dict[int, bytes] = {}
        self._sizes: dict[int, int] = {}  # records of each cohort in the store when its file was last rendered
        self._published: Mapping[str, bytes] = MappingProxyType({})

    @property
    def published(self) -> Mapping[str, bytes]:
        """Path -> content of every public file, of one moment."""
        return self._published

    def step(self) -> int:
        """Publish a tick that has ended since; return 0. StoreError changes nothing: try again."""
        complete = complete_tick(self._clock.now_ns())
        if complete <= self._complete:
            return 0
        sizes = self._store.sizes(complete)
        files = {cohort: self._file(cohort, complete, sizes.get(cohort, 0)) for cohort in live_cohorts(complete)}
        clock = encode_clock(PublicClock.at(complete))
        try:
            self._write(CLOCK_NAME, clock, durably=False)
            self._delete_others({file_name(cohort) for cohort in files})
        except OSError as exc:
            raise StoreUnavailableError(f"{self._folder} cannot be written: {exc.strerror}") from exc
        table = {file_path(cohort): content for cohort, content in files.items()}
        self._published = MappingProxyType({f"/{CLOCK_NAME}": clock, **table})
        self._files, self._complete = files, complete
        self._sizes = {cohort: size for cohort, size in self._sizes.items() if cohort in files}
        return 0

    def _file(self, cohort: int, complete: int, size: int) -> bytes:
        before = self._files.get(cohort) or self._read(cohort)
        if before is not None and size == self._sizes.get(cohort, 0):
            return before
        old = () if before is None else split_records(before)
        try:
            content = render(cohort, self._store.records(cohort, complete) if size else (), old, filler=self._filler)
        except CohortError as exc:
            log.error("cohort %d is not brought up to date: %s", cohort, exc)
            content = before if before is not None else render(cohort, (), (), filler=self._filler)
        try:
            self._write(file_name(cohort), content, durably=size > 0)
        except OSError as exc:
            raise StoreUnavailableError(f"{self._folder} cannot be written: {exc.strerror}") from exc
        self._files[cohort], self._sizes[cohort] = content, size
        return content

    def _read(self, cohort: int) -> bytes | None:
        """Return the file as an earlier start left it; None when there is none, or it is damaged."""
        try:
            content = (self._folder / file_name(cohort)).read_bytes()
            split_records(content)
        except (OSError, CohortError):
            return None
        return content

    def _write(self, name: str, content: bytes, *, durably: bool) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self._folder / f"{name}{NEW_SUFFIX}"
        with fresh.open("wb") as file:
            file.write(content)
            if durably:  # a torn file would lose its filler, and new filler would mark the records that stay
                file.flush()
                os.fsync(file.fileno())
        fresh.replace(self._folder / name)

    def _delete_others(self, live: set[str]) -> None:
        for path in self._folder.iterdir():
            if path.name.endswith((FILE_SUFFIX, NEW_SUFFIX)) and path.name not in live:
                with contextlib.suppress(FileNotFoundError):
                    path.unlink()
