"""D5 and D6: no difference of published numbers is finer than a release, and what Grafana has opens no other bucket."""

import base64
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx
import pytest

from contracts.query import SeriesQuery
from contracts.rows import ReleaseRow
from contracts.windows import NS, to_datetime
from dashboards.grafana import INFLUX_USER
from gateway.analyse.service import spans
from kioskwatch import deployment
from stores.series.influx import InfluxSeries
from stores.series.open import open_series
from stores.state.database import open_for_reading
from stores.state.releases import releases_after
from tests.integration.analyse_district import rows
from tests.support.influxd import InfluxServer
from tests.support.published import KIOSKS, WINDOWS, Script, Seen, district, live
from tests.support.seeds import seeded
from tests.support.speaker import START_NS, WINDOW_S

TARGET: Final = "sars-cov-2"
ASSAY: Final = "SARSCOV2"


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """A district in which a kiosk is moved to another zone in its first window: it counts there from the second on."""
    script = Script(moves={("kiosk-2", 1): "z10017"})
    return live(tmp_path_factory.mktemp("district"), district(seeded("keys of a move")), script)


@pytest.fixture(scope="module")
def releases(seen: Seen) -> Sequence[ReleaseRow]:
    with open_for_reading(f"sqlite:{seen.folder / 'state'}", "ingest") as database:
        return releases_after(database, 0)


def _sums(releases: Sequence[ReleaseRow]) -> tuple[int, int, int]:
    counts = [row.counters[ASSAY] for row in releases]
    return sum(c.positives[TARGET] for c in counts), sum(c.valid for c in counts), sum(c.invalid for c in counts)


def _published(seen: Seen) -> Mapping[tuple[str, str, int], tuple[int, int, int]]:
    store = open_series(f"sqlite:{seen.folder / 'series'}")
    try:
        found = rows(store, "testing", spans.FIELDS)
    finally:
        store.close()
    return {place: (int(row["positives"]), int(row["valid"]), int(row["invalid"])) for place, row in found.items()}


@pytest.mark.rule("C31")
def test_a_release_counts_in_one_zone_which_is_the_one_where_its_kiosk_stood(releases: Sequence[ReleaseRow]) -> None:
    assert sorted((row.device, row.window_start_ns, row.zone) for row in releases) == [
        ("kiosk-1", START_NS, "z10016"),
        ("kiosk-1", START_NS + WINDOW_S * NS, "z10016"),
        ("kiosk-2", START_NS, "z10016"),
        ("kiosk-2", START_NS + WINDOW_S * NS, "z10017"),
    ]


def test_every_published_number_is_a_sum_of_whole_releases(seen: Seen, releases: Sequence[ReleaseRow]) -> None:
    """So any difference of overlapping questions is one too: zones, windows, days and weeks are unions of cells."""
    published = _published(seen)
    lengths = {"window": WINDOW_S, "day": 86_400, "week": 7 * 86_400}
    assert len(published) > 8
    for (level, zone, start), counts in published.items():
        stop = start + lengths[level.partition("_")[2]] * NS
        inside = [one for one in releases if start <= one.window_start_ns < stop and zone in ("", one.zone)]
        assert inside, "nothing is published without a release"
        assert counts == _sums(inside)


def test_differences_of_published_numbers_are_whole_releases_with_all_of_their_noise(
    seen: Seen, releases: Sequence[ReleaseRow]
) -> None:
    """The attacker's best: district minus zone, day minus window, before minus after the move."""
    published = list(_published(seen).values())
    single = {_sums([one]) for one in releases}
    possible = {
        tuple(
            sum(sign * number for sign, number in zip(signs, column, strict=True))
            for column in zip(*(_sums([one]) for one in releases), strict=True)
        )
        for signs in itertools.product((-1, 0, 1), repeat=len(releases))
    }
    differences = {tuple(x - y for x, y in zip(a, b, strict=True)) for a, b in itertools.permutations(published, 2)}
    assert differences <= possible
    assert single & differences, "a single release can be had: it is what was promised to be safe"


def test_a_finer_question_than_a_window_gives_no_finer_numbers(seen: Seen) -> None:
    store = open_series(f"sqlite:{seen.folder / 'series'}")
    try:
        for field, step_s in itertools.product(("positives", "valid", "invalid"), (600, 3600)):
            question = SeriesQuery(
                bucket="released",
                measurement="testing",
                field=field,
                function="sum",
                every_s=step_s,
                group_by=("zone",),
                tags={"level": "zone_window"},
                start=to_datetime(START_NS - WINDOW_S * NS),
                stop=to_datetime(START_NS + 4 * WINDOW_S * NS),
            )
            points = [at for one in store.query(question) for at in one.times_ns]
            assert points
            assert all((at - START_NS) % (WINDOW_S * NS) == 0 for at in points)
    finally:
        store.close()


def test_no_published_line_carries_a_device_and_no_release_is_asked_for_by_one(seen: Seen) -> None:
    for bucket in ("released", "alerts"):
        text = repr(seen.series.get(bucket, {}))
        assert not any(kiosk in text for kiosk in KIOSKS)
    assert WINDOWS * len(KIOSKS) == 4


# --- D6: a real InfluxDB ---------------------------------------------------------------------------------------------

PLANTED: Final = "777777.25"  # no other number of the store
LINES: Final = b"air,district=d,device=room-9,site=hotel co2_ppm=" + PLANTED.encode() + b" 1639285200000000000"
OPEN: Final = b"air,district=d,device=air-9,site=hall co2_ppm=555.5 1639285200000000000"
RANGE: Final = "range(start: 2021-01-01T00:00:00Z, stop: 2022-01-01T00:00:00Z)"


def _arguments(url: str, org: str, root: Path) -> list[str]:
    argv = ["--root", str(root), "--district", "/district.toml", "--public-name", "kw.example.org", "--org", org]
    argv += ["--postgres", "postgresql+psycopg://kw@postgres/kw", "--influx", url]
    return [*argv, "--influx-token", str(root.with_name("admin"))]


@pytest.fixture(scope="module")
def prepared(influxd: InfluxServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, Path]:
    """An InfluxDB as `kioskwatch.deployment` prepares it: URL, organisation, folder.

    It has a bucket `restricted` with a reading all the same, as that of an operator who set no place apart for it.
    """
    root = tmp_path_factory.mktemp("influx") / "d"
    org, admin = influxd.empty_organisation()
    root.with_name("admin").write_text(admin)
    assert deployment.main(_arguments(influxd.url, org, root)) == 0
    assert not (root / "tokens" / "gateway" / "restricted").exists()
    headers = {"Authorization": f"Token {admin}"}
    with httpx.Client(base_url=influxd.url, headers=headers, timeout=30, trust_env=False) as client:
        (found,) = client.get("/api/v2/orgs", params={"org": org}).raise_for_status().json()["orgs"]
        made = {"orgID": found["id"], "name": "restricted", "retentionRules": []}
        client.post("/api/v2/buckets", json=made).raise_for_status()
    store = InfluxSeries(influxd.url, org, dict.fromkeys(("restricted", "environment"), admin))
    store.write("restricted", LINES)
    store.write("environment", OPEN)
    store.close()
    return influxd.url, org, root


FLUX: Final = {
    "plain": f'from(bucket: "restricted") |> {RANGE}',
    "by id": 'from(bucketID: "{id}") |> ' + RANGE,
    "union": f'union(tables: [from(bucket: "environment") |> {RANGE}, from(bucket: "restricted") |> {RANGE}])',
    "join": (
        f'a = from(bucket: "environment") |> {RANGE}\nb = from(bucket: "restricted") |> {RANGE}\n'
        'join(tables: {a: a, b: b}, on: ["_time"])'
    ),
    "schema": 'import "influxdata/influxdb/schema"\nschema.tagValues(bucket: "restricted", tag: "device", start: 0)',
    "find": f'x = (from(bucket: "restricted") |> {RANGE} |> findRecord(fn: (key) => true, idx: 0))._value\n'
    'import "array"\narray.from(rows: [{v: x}])',
    "regular expression": f'from(bucket: "environment") |> {RANGE} |> filter(fn: (r) => r.device =~ /room/)',
    "v1": 'import "influxdata/influxdb/v1"\nv1.databases()',
    "write out": f'from(bucket: "restricted") |> {RANGE} |> to(bucket: "environment")',
    "copy in": f'from(bucket: "environment") |> {RANGE} |> to(bucket: "restricted")',
}
INFLUXQL: Final = (
    ("restricted", 'SELECT * FROM "air"'),
    ("environment", 'SELECT * FROM "restricted"."autogen"."air"'),
    ("environment", 'SELECT * FROM "restricted".."air"'),
    ("environment", 'SELECT * FROM (SELECT * FROM "restricted"."autogen"."air")'),
    ("environment", 'SELECT * FROM "air", "restricted"."autogen"."air"'),
    ("environment", 'SELECT * INTO "environment"."autogen"."x" FROM "restricted"."autogen"."air"'),
    ("environment", 'SELECT * FROM /.*/; SELECT * FROM "restricted"."autogen"./.*/'),
    ("environment", 'SHOW TAG VALUES ON "restricted" WITH KEY = "device"'),
    ("environment", 'SHOW SERIES ON "restricted"'),
    ("environment", 'SHOW FIELD KEYS ON "restricted"'),
)


def _flux(url: str, org: str, authorization: str, script: str) -> str:
    headers = {"Authorization": authorization, "Content-Type": "application/vnd.flux", "Accept": "text/csv"}
    return httpx.post(f"{url}/api/v2/query", params={"org": org}, content=script, headers=headers, timeout=30).text


def _influxql(url: str, authorization: str, database: str, question: str) -> str:
    headers = {"Authorization": authorization}
    return httpx.get(f"{url}/query", params={"db": database, "q": question}, headers=headers, timeout=30).text


def _administrators(root: Path) -> str:
    """What may see everything."""
    return f"Token {root.with_name('admin').read_text()}"


def _grafanas(root: Path) -> list[str]:
    """All that somebody who has Grafana's password can try."""
    password = (root / "grafana-password").read_text()
    pair = f"{INFLUX_USER}:{password}"
    basic = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return [basic, f"Token {pair}", f"Token {password}", f"Bearer {password}"]


@pytest.mark.timeout(120)
def test_with_what_grafana_has_no_question_returns_a_row_of_the_restricted_bucket(
    prepared: tuple[str, str, Path],
) -> None:
    url, org, root = prepared
    admin = _administrators(root)
    assert PLANTED in _flux(url, org, admin, FLUX["plain"]), "the row is there for whoever may see it"
    assert "555.5" in _influxql(url, _grafanas(root)[0], "environment", 'SELECT * FROM "air"')
    row = next(line for line in _flux(url, org, admin, "buckets()").splitlines() if ",restricted," in line)
    ids = [cell for cell in row.split(",") if len(cell) == 16]
    assert any(PLANTED in _flux(url, org, admin, FLUX["by id"].replace("{id}", one)) for one in ids)
    for grafana in _grafanas(root):
        answers = {
            f"{name} {one}": _flux(url, org, grafana, text.replace("{id}", one))
            for name, text in FLUX.items()
            for one in ids
        }
        answers |= {f"{database}: {text}": _influxql(url, grafana, database, text) for database, text in INFLUXQL}
        answers |= {f"database {one}": _influxql(url, grafana, one, 'SELECT * FROM "air"') for one in ids}
        for name, answer in answers.items():
            assert PLANTED not in answer, name
            assert "room-9" not in answer, name
    after = _flux(url, org, admin, FLUX["plain"])
    assert after.count(PLANTED) == 1
    assert "555.5" not in after, "nor could it write there"


@pytest.mark.timeout(120)
def test_a_lost_password_is_replaced_and_the_old_one_ends(prepared: tuple[str, str, Path]) -> None:
    url, org, root = prepared
    before = _grafanas(root)[0]
    (root / "grafana-password").unlink()
    assert deployment.main(_arguments(url, org, root)) == 0
    assert "555.5" in _influxql(url, _grafanas(root)[0], "environment", 'SELECT * FROM "air"')
    assert "unauthorized" in _influxql(url, before, "environment", 'SELECT * FROM "air"')
