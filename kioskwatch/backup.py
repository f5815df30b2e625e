"""`kioskwatch backup DIR` and `kioskwatch restore DIR`: every file that a district owns, and nothing more (DESIGN §8).

Copied: the state files, the series buckets, the CA with every key, district time, the operator's district file.
Never copied: a kiosk's visit store (a second look at its counters), the cohorts of sealed results (expiry could not
reach the copy), outboxes (their devices send again), logs and settings (made anew).

A running district may be backed up. Each file is copied whole through SQLite's own backup; the files are not of one
instant, so their order matters: who reads another's rows by a cursor is copied before whom it reads, and a
projection after its source. Then a restored cursor never stands beyond its rows, which is the one gap that no
repetition would fill.
"""

import contextlib
import hashlib
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from contracts.clock import read_anchors
from contracts.errors import ClockError
from kioskwatch import machine
from kioskwatch.checks import folder_error, prepare_folder, take_lock
from kioskwatch.errors import OPERATOR_MUST_ACT, OperatorError, OptionError, StateFolderError
from kioskwatch.folder import BUCKETS, DEFAULT_FOLDER, StateFolder
from kioskwatch.options import Parser

MANIFEST: Final = "backup.json"
FORMAT: Final = 1
CHUNK_BYTES: Final = 1024 * 1024
READ_TIMEOUT_S: Final = 30.0  # a writer may be migrating
# The backend reads what analyse and ingest found, analyse reads ingest's releases, the series are drawn from all.
STATE_ORDER: Final = ("backend", "analyse", "ingest")
_PLAIN: Final = ("time.json", "real", "history.imported", "district.toml")


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a backup."""

    path: str
    sha256: str
    size_bytes: int


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a backup holds; written last, so that a broken-off one has none."""

    format: int
    made_at: datetime
    files: list[Entry]


def main(argv: Sequence[str]) -> int:
    """Run `backup DIR` or `restore DIR`; return the exit code."""
    try:
        given = _parser(argv[0]).parse_args(argv[1:])
        os.umask(0o077)
        folder = StateFolder(given.state.absolute())
        if argv[0] == "backup":
            manifest = back_up(folder, given.folder.absolute(), now=machine.real_now())
            print(f"{_summary(manifest)} in {given.folder}. It holds the CA's key and every account: keep it secret.")
        else:
            manifest = restore(folder, given.folder.absolute())
            print(f"{_summary(manifest)} restored into {folder.root}; start the district and devices send the rest.")
    except OperatorError as exc:
        print(f"kioskwatch {argv[0]}: {exc}", file=sys.stderr)
        return OPERATOR_MUST_ACT
    return 0


def back_up(folder: StateFolder, target: Path, *, now: datetime) -> Manifest:
    """Copy a district, running or not, into a folder that does not exist yet; OperatorError with a sentence."""
    if not folder.state.is_dir():
        raise StateFolderError(f"{folder.root} holds no district: name its folder with --state")
    if target.exists():
        raise OptionError(f"{target} exists already: a backup goes into a folder of its own")
    unfinished = target.with_name(f".{target.name}.unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(mode=0o700, parents=True)
        entries = [_copy(folder.root / path, unfinished, path) for path in _owned(folder)]
        manifest = Manifest(FORMAT, now, entries)
        _write_durably(unfinished / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        unfinished.replace(target)
    except (OSError, sqlite3.Error) as exc:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise _failed(target, exc) from exc
    return manifest


def restore(folder: StateFolder, source: Path) -> Manifest:
    """Put a backup into a stopped district's folder; what was there before is kept beside it. OperatorError else."""
    manifest = _read_manifest(source)
    for entry in manifest.files:
        _verify(source, entry)
    prepare_folder(folder.root)
    lock = take_lock(folder.lock)
    try:
        later = _later_time(folder.time, source / "time.json")
        aside = _put_aside(folder)
        for entry in manifest.files:
            path = folder.root / entry.path
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(source / entry.path, path)
        if later is not None:
            folder.time.write_bytes(later)
        _forget_enrolments(folder)
    except OSError as exc:
        raise folder_error(folder.root, exc) from exc
    finally:
        os.close(lock)
    if aside is not None:
        print(f"What was there before is kept in {aside}.")
    return manifest


def _parser(command: str) -> Parser:
    parser = Parser(prog=f"kioskwatch {command}")
    parser.add_argument("folder", type=Path, metavar="DIR", help="the backup")
    parser.add_argument("--state", type=Path, default=DEFAULT_FOLDER, metavar="DIR", help="the district (./var)")
    return parser


def _owned(folder: StateFolder) -> Iterator[str]:
    """Name what exists of a district's files, in the order in which they must be copied."""
    names = [f"state/{owner}.db" for owner in STATE_ORDER]
    names += [f"series/{bucket}.db" for bucket in BUCKETS]
    names += sorted(f"ca/{path.name}" for path in folder.ca.glob("*") if path.is_file() and path.suffix != ".new")
    names += _PLAIN
    return (name for name in names if (folder.root / name).is_file())


def _copy(source: Path, target: Path, name: str) -> Entry:
    path = target / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    if path.suffix == ".db":
        _copy_database(source, path)
    else:
        shutil.copyfile(source, path)
    return Entry(name, _sha256(path), path.stat().st_size)


def _copy_database(source: Path, target: Path) -> None:
    """Copy in one read transaction (pages=-1), so a writer's commit is in the copy wholly or not at all."""
    uri = f"{source.absolute().as_uri()}?mode=ro"
    with (
        contextlib.closing(sqlite3.connect(uri, uri=True, timeout=READ_TIMEOUT_S)) as reader,
        contextlib.closing(sqlite3.connect(target)) as writer,
    ):
        reader.backup(writer, pages=-1)
        # One file, which a read-only reader can open without making files beside it; its owner sets WAL again.
        writer.execute("PRAGMA journal_mode = DELETE")


def _read_manifest(source: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((source / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise OptionError(f"{source} is no complete backup: its {MANIFEST} cannot be read") from exc
    if manifest.format != FORMAT:
        raise OptionError(f"{source} was made by another version of kioskwatch (format {manifest.format})")
    return manifest


def _verify(source: Path, entry: Entry) -> None:
    """Raise unless a file is the one that was backed up and lies where a backup may write."""
    allowed = {*_PLAIN, *(f"state/{owner}.db" for owner in STATE_ORDER), *(f"series/{bucket}.db" for bucket in BUCKETS)}
    in_ca = entry.path.startswith("ca/") and Path(entry.path).parts == ("ca", Path(entry.path).name)
    if entry.path not in allowed and not in_ca:
        raise OptionError(f"{source} names a file that no backup holds: it was not made by kioskwatch")
    try:
        same = _sha256(source / entry.path) == entry.sha256
    except OSError as exc:
        raise OptionError(f"{source / entry.path} cannot be read: {exc.strerror}") from exc
    if not same:
        raise OptionError(f"{source / entry.path} is damaged: take another backup")


def _later_time(ours: Path, theirs: Path) -> bytes | None:
    """Return the time.json that is further on, since devices of this folder may have seen it; None for a real one."""
    found: dict[int, bytes] = {}
    for path in (theirs, ours):
        with contextlib.suppress(OSError, ClockError):
            content = path.read_bytes()
            found[read_anchors(content).last_simulated_ns] = content
    return found[max(found)] if found else None


def _put_aside(folder: StateFolder) -> Path | None:
    parts = [folder.root / name for name in ("state", "series", "ca", *_PLAIN) if (folder.root / name).exists()]
    if not parts:
        return None
    number = 1 + sum(1 for _ in folder.root.glob("replaced-*"))
    aside = folder.root / f"replaced-{number}"
    aside.mkdir(mode=0o700)
    for part in parts:
        part.rename(aside / part.name)
    return aside


def _forget_enrolments(folder: StateFolder) -> None:
    """Let simulated cabinets enrol again: the restored registry may not know their certificates. Outboxes stay."""
    for certificate in folder.devices.glob("*/device.pem"):
        certificate.unlink()


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _failed(target: Path, exc: Exception) -> OperatorError:
    full = isinstance(exc, sqlite3.Error) and getattr(exc, "sqlite_errorname", "") == "SQLITE_FULL"
    if isinstance(exc, OSError) and not full:
        return StateFolderError(f"the backup could not be written to {target}: {exc.strerror or exc}")
    why = "its disk is full" if full else f"a store could not be read ({exc})"
    return StateFolderError(f"no backup was made in {target}: {why}; try again when that is mended")


def _summary(manifest: Manifest) -> str:
    size = sum(entry.size_bytes for entry in manifest.files)
    return f"{len(manifest.files)} files, {size / CHUNK_BYTES:.1f} MiB"
