"""The bucket `restricted` on a real InfluxDB: its own token, which only ingest and the door have."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from contracts.query import READABLE, RESTRICTED, SeriesQuery
from contracts.windows import to_ns
from stores.errors import StoreAuthError
from stores.series.lines import Point, encode
from stores.series.open import open_series
from tests.support.influxd import InfluxOrg

DAY = datetime(2021, 12, 12, tzinfo=UTC)


def question(bucket: str) -> SeriesQuery:
    return SeriesQuery(
        bucket=bucket,
        measurement="air",
        field="co2_ppm",
        function=None,
        every_s=None,
        start=DAY,
        stop=DAY + timedelta(days=1),
    )


@pytest.mark.rule("C30")
@pytest.mark.timeout(120)
def test_each_process_is_given_the_tokens_it_needs_and_a_token_opens_its_own_bucket_alone(
    influx_org: InfluxOrg, tmp_path: Path
) -> None:
    for bucket, token in influx_org.tokens.items():
        (tmp_path / bucket).write_text(token)
    spec = f"influx:{influx_org.url}"
    place = {"org": influx_org.name, "token_dir": tmp_path}
    ingest = open_series(spec, reads=frozenset(), writes=frozenset({RESTRICTED, "environment"}), **place)  # type: ignore[arg-type]
    for bucket, ppm in ((RESTRICTED, 1234.5), ("environment", 600.0)):
        ingest.write(bucket, encode(Point("air", {"device": "d"}, {"co2_ppm": ppm}, to_ns(DAY))))
    door = open_series(spec, reads={RESTRICTED}, **place)  # type: ignore[arg-type]
    everybody = open_series(spec, reads=frozenset(READABLE), **place)  # type: ignore[arg-type]
    assert [one.values for one in door.query(question(RESTRICTED))] == [[1234.5]]
    assert [one.values for one in everybody.query(question("environment"))] == [[600.0]]
    for store, bucket in ((everybody, RESTRICTED), (ingest, RESTRICTED), *((door, one) for one in READABLE)):
        with pytest.raises(StoreAuthError):
            store.query(question(bucket))
    for store in (ingest, door, everybody):
        store.close()
    # The server itself says the same, whatever our own code would let through.
    for bucket in READABLE:
        headers = {"Authorization": f"Token {influx_org.tokens[bucket]}"}
        answer = httpx.get(
            f"{influx_org.url}/query",
            params={"db": RESTRICTED, "q": "SELECT * FROM air"},
            headers=headers,
            trust_env=False,
        )
        assert answer.status_code >= 400 or "1234.5" not in answer.text, bucket


@pytest.mark.rule("C30")
def test_the_file_of_a_token_that_is_not_wanted_is_not_even_opened(influx_org: InfluxOrg, tmp_path: Path) -> None:
    (tmp_path / "released").write_text(influx_org.tokens["released"])
    (tmp_path / RESTRICTED).mkdir()  # opening it would be an error
    open_series(f"influx:{influx_org.url}", reads=frozenset(READABLE), org=influx_org.name, token_dir=tmp_path).close()


@pytest.mark.rule("C30")
def test_kept_apart_it_is_not_in_the_influxdb_that_others_ask(influx_org: InfluxOrg, tmp_path: Path) -> None:
    """In that server any token reads a bucket by its number with Flux: what is not there nobody reads."""
    for bucket in ("environment", RESTRICTED):
        (tmp_path / bucket).write_text(influx_org.tokens[bucket])
    spec, apart = f"influx:{influx_org.url}", f"sqlite:{tmp_path / 'apart'}"
    place = {"org": influx_org.name, "token_dir": tmp_path}
    writes = frozenset({RESTRICTED, "environment"})
    ingest = open_series(spec, reads=frozenset(), writes=writes, restricted=apart, **place)  # type: ignore[arg-type]
    for bucket, ppm in ((RESTRICTED, 1234.5), ("environment", 600.0)):
        ingest.write(bucket, encode(Point("air", {"device": "d"}, {"co2_ppm": ppm}, to_ns(DAY))))
    ingest.close()
    door = open_series(spec, reads={RESTRICTED}, restricted=apart, **place)  # type: ignore[arg-type]
    assert [one.values for one in door.query(question(RESTRICTED))] == [[1234.5]]
    door.close()
    server = open_series(spec, reads={RESTRICTED, "environment"}, **place)  # type: ignore[arg-type]
    assert [one.values for one in server.query(question("environment"))] == [[600.0]]
    assert server.query(question(RESTRICTED)) == []
    server.close()
