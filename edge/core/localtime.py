"""An instant as slip and screen write it: figures alone, so that every language reads the same. Pure."""

from datetime import UTC, datetime, timedelta, timezone

from contracts.windows import NS


def when_text(at_ns: int, utc_offset_s: int, *, zone: bool = True) -> str:
    """Return `2021-12-12 14:20 (UTC-05:00)`, district time, whole minutes; `zone` False leaves the offset out."""
    local = datetime.fromtimestamp(at_ns // NS, tz=UTC).astimezone(timezone(timedelta(seconds=utc_offset_s)))
    text = f"{local:%Y-%m-%d %H:%M}"
    if not zone:
        return text
    sign, minutes = "-" if utc_offset_s < 0 else "+", abs(utc_offset_s) // 60
    return f"{text} (UTC{sign}{minutes // 60:02d}:{minutes % 60:02d})"


def clock_text(at_ns: int, utc_offset_s: int) -> str:
    """Return `14:20`, district time."""
    return when_text(at_ns, utc_offset_s, zone=False)[-5:]
