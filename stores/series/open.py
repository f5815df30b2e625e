"""Chooses the time-series store that the settings name; only a bootstrap calls this."""

from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from contracts.query import BUCKETS, RESTRICTED
from stores.errors import SpecError
from stores.series.narrow import NarrowSeries, SplitSeries
from stores.series.port import TimeSeriesStore
from stores.series.sqlite import SqliteSeries

_APART: Final = frozenset({RESTRICTED})


def open_series(
    spec: str,
    *,
    reads: AbstractSet[str] = frozenset(BUCKETS),
    writes: frozenset[str] = frozenset(),
    org: str | None = None,
    token_dir: Path | None = None,
    restricted: str | None = None,
) -> TimeSeriesStore:
    """Open "sqlite:DIR" or "influx:URL" to read and to write the buckets named; the other ones it does not even ask.

    InfluxDB needs `org` and a folder with one token file a bucket, named after it; a bucket without a file is not used.
    `restricted` is where the bucket of this name lies, if elsewhere. SpecError, WriterLockedError and
    SchemaTooNewError stop the start.
    """
    unknown = (writes | reads) - set(BUCKETS)
    if unknown:
        raise SpecError(f"no bucket {', '.join(sorted(unknown))}; there are {', '.join(BUCKETS)}")
    if restricted is None or RESTRICTED not in reads | writes:
        return _open(spec, reads, writes, org, token_dir)
    apart = _open(restricted, reads & _APART, writes & _APART, org, token_dir)
    if reads | writes == _APART:
        return apart
    return SplitSeries(_open(spec, reads - _APART, writes - _APART, org, token_dir), RESTRICTED, apart)


def _open(
    spec: str, reads: AbstractSet[str], writes: frozenset[str], org: str | None, token_dir: Path | None
) -> TimeSeriesStore:
    kind, _, place = spec.partition(":")
    if kind == "sqlite" and place:
        return _narrow(SqliteSeries(Path(place), writes), reads)
    if kind == "influx" and urlsplit(place).scheme in {"http", "https"} and urlsplit(place).hostname:
        if not org or token_dir is None:
            raise SpecError("series = influx:… needs series_org and series_token_dir")
        # Imported on use: the client library costs 40 MiB with numpy, which a standalone district never needs.
        from stores.series.influx import InfluxSeries  # noqa: PLC0415

        return _narrow(InfluxSeries(place, org, read_tokens(token_dir, writes, reads)), reads)
    raise SpecError("series is sqlite:FOLDER or influx:http(s)://HOST:PORT")


def _narrow(store: TimeSeriesStore, reads: AbstractSet[str]) -> TimeSeriesStore:
    return store if reads == set(BUCKETS) else NarrowSeries(store, reads)


def read_tokens(folder: Path, needed: frozenset[str], wanted: AbstractSet[str] = frozenset(BUCKETS)) -> dict[str, str]:
    """Return the tokens of the buckets that have a file; SpecError when a needed one is missing or unreadable.

    The file of a bucket that is neither needed nor wanted is not opened.
    """
    tokens: dict[str, str] = {}
    for bucket in (one for one in BUCKETS if one in needed or one in wanted):
        file = folder / bucket
        try:
            tokens[bucket] = file.read_text(encoding="ascii").strip()
        except FileNotFoundError as exc:
            if bucket in needed:
                raise SpecError(f"{file} is missing: it holds the token that writes bucket {bucket}") from exc
        except (OSError, UnicodeDecodeError) as exc:
            raise SpecError(f"{file} cannot be read") from exc
    return tokens
