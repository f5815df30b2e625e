"""Chooses the time-series store that the settings name; only a bootstrap calls this."""

from pathlib import Path
from urllib.parse import urlsplit

from contracts.query import BUCKETS
from stores.errors import SpecError
from stores.series.port import TimeSeriesStore
from stores.series.sqlite import SqliteSeries


def open_series(
    spec: str, *, writes: frozenset[str] = frozenset(), org: str | None = None, token_dir: Path | None = None
) -> TimeSeriesStore:
    """Open "sqlite:DIR" or "influx:URL" to read every bucket and to write those named.

    InfluxDB needs `org` and a folder with one token file a bucket, named after it; a bucket without a file is not used.
    SpecError, WriterLockedError and SchemaTooNewError stop the start.
    """
    kind, _, place = spec.partition(":")
    unknown = writes - set(BUCKETS)
    if unknown:
        raise SpecError(f"no bucket {', '.join(sorted(unknown))}; there are {', '.join(BUCKETS)}")
    if kind == "sqlite" and place:
        return SqliteSeries(Path(place), writes)
    if kind == "influx" and urlsplit(place).scheme in {"http", "https"} and urlsplit(place).hostname:
        if not org or token_dir is None:
            raise SpecError("series = influx:… needs series_org and series_token_dir")
        # Imported on use: the client library costs 40 MiB with numpy, which a standalone district never needs.
        from stores.series.influx import InfluxSeries  # noqa: PLC0415

        return InfluxSeries(place, org, read_tokens(token_dir, writes))
    raise SpecError("series is sqlite:FOLDER or influx:http(s)://HOST:PORT")


def read_tokens(folder: Path, needed: frozenset[str]) -> dict[str, str]:
    """Return the tokens of the buckets that have a file; SpecError when a needed one is missing or unreadable."""
    tokens: dict[str, str] = {}
    for bucket in BUCKETS:
        file = folder / bucket
        try:
            tokens[bucket] = file.read_text(encoding="ascii").strip()
        except FileNotFoundError as exc:
            if bucket in needed:
                raise SpecError(f"{file} is missing: it holds the token that writes bucket {bucket}") from exc
        except (OSError, UnicodeDecodeError) as exc:
            raise SpecError(f"{file} cannot be read") from exc
    return tokens
