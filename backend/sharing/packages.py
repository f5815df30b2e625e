"""Makes a package: what a grant covers, out of the stores, signed; and puts it into a folder, whole or not at all."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from backend.errors import OperatorError
from backend.sharing import odm
from backend.sharing.environment import environment
from backend.sharing.roll_ups import roll_ups
from backend.sharing.rules import Grant, iso
from backend.sharing.tables import DICTIONARY, ROLL_UP_COLUMNS, ROLL_UPS, Column, dictionary, release_columns
from contracts import shared_releases
from contracts.errors import SharingError
from contracts.registry import RegistrySnapshot
from contracts.shared_sums import check_sums
from contracts.sharing import VERSION, ChainEntry, Manifest, entries, pack, public_text, sealed
from stores.series.port import TimeSeriesStore
from stores.state.database import Database
from stores.state.release_log import ChainPart, chain_part


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What a package is made of; every store is only read."""

    series: TimeSeriesStore
    ingest: Database
    registry: RegistrySnapshot
    models: Mapping[str, str]  # of instruments, by device
    now_ns: int
    simulated: bool


def make(grant: Grant, sources: Sources, key: Ed25519PrivateKey) -> dict[str, bytes]:
    """Return the files of a package, manifest and signature among them; StoreError when a store cannot be read."""
    registry, request = sources.registry, grant.request
    calendar = registry.district.calendar
    part = chain_part(sources.ingest, *grant.bounds_ns(calendar))
    made = iso(sources.now_ns, registry.district.utc_offset_s)
    files: dict[str, bytes] = {}
    described: list[tuple[str, tuple[Column, ...]]] = []
    if request.levels:
        whole = grant.agreement.releases == "whole"
        encode = shared_releases.encode_releases if whole else shared_releases.encode_links
        files[ROLL_UPS] = roll_ups(sources.series, grant, district=registry.district.id, calendar=calendar)
        files[shared_releases.FILE] = encode(part.releases)
        if whole:
            _check_own_sums(files[ROLL_UPS], part)
        described += [(ROLL_UPS, ROLL_UP_COLUMNS), release_columns(whole=whole)]
    if request.environment:
        files |= environment(sources.series, grant, registry, sources.models, made_on=made[:10])
        described += odm.described()
    files[DICTIONARY] = dictionary(described)
    manifest = Manifest(
        v=VERSION,
        district=registry.district.id,
        agreement=grant.agreement.name,
        recipient=grant.agreement.recipient,
        first_day=request.first_day.isoformat(),
        last_day=request.last_day.isoformat(),
        created=made,
        program=f"kioskwatch {version('kioskwatch')}",
        simulated=sources.simulated,
        key=public_text(key.public_key()),
        chain=_chain(part, shared=bool(request.levels)),
        files=entries(files),
    )
    return sealed(key, manifest, files)


def _check_own_sums(table: bytes, part: ChainPart) -> None:
    """Refuse what its receiver would refuse: the roll-ups may be a moment behind a release that came just now."""
    try:
        check_sums(table, part.releases)
    except SharingError as exc:
        raise OperatorError(
            "%(reason)s. Try again in a moment; if it stays, `kioskwatch gateway verify` says more.", reason=exc
        ) from exc


def _chain(part: ChainPart, *, shared: bool) -> ChainEntry:
    releases = part.releases if shared else ()
    before = part.before if shared else part.head
    return ChainEntry(
        before=before.hex(),
        last=(releases[-1].hash if releases else before).hex(),
        links=len(releases),
        head=part.head.hex(),
        head_number=part.head_number,
    )


def name_of(grant: Grant) -> str:
    """Return what a package is called: its folder, and with `.zip` its one file."""
    request = grant.request
    return f"{request.agreement}_{request.first_day.isoformat()}_{request.last_day.isoformat()}"


def place(folder: Path, name: str, files: Mapping[str, bytes], register: Callable[[bytes], None]) -> Path:
    """Write a package as a folder and as one file, and return the file; OperatorError when the folder cannot take it.

    `register` is called with the file's bytes when everything is written and nothing is in its place yet: what is not
    in the register never appears.
    """
    target, archive, draft = folder / name, folder / f"{name}.zip", folder / f".{name}.part"
    packed = pack(files)
    try:
        if target.exists() or archive.exists():
            raise OperatorError("%(path)s is there already: choose another folder with --out.", path=target)
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700, parents=True)
        (draft / name).mkdir(mode=0o700)
        for file, data in files.items():
            _write(draft / name / file, data)
        _write(draft / archive.name, packed)
        register(packed)
        (draft / name).rename(target)
        (draft / archive.name).rename(archive)
    except OSError as exc:
        raise OperatorError("%(path)s cannot be written: %(reason)s.", path=folder, reason=exc.strerror) from exc
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return archive


def _write(path: Path, data: bytes) -> None:
    """For the operator alone: who else may have it is the agreement's to say."""
    path.touch(mode=0o600)
    path.write_bytes(data)
