"""D3 over HTTP: what the API answers about worlds that differ in one test, or in one restricted value."""

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Final

import pytest

from contracts.sealed import dummy
from tests.support.console import running_console
from tests.support.published import Script, district, live
from tests.support.seeds import seeded
from tests.support.speaker import Speaker

Answers = Mapping[str, str]

SERIES: Final = (
    "/api/v1/series?bucket=released&measurement=testing&start=2021-12-01T00:00:00Z&stop=2022-01-01T00:00:00Z"
)
WHEN_ASKED: Final = re.compile(
    r"\b16\d{8}\.\d+"
)  # the time of the question, of a clock that runs; others are whole seconds
RELEASED: Final = {
    f"{SERIES}&field={field}&tag=level:{level}_{span}"
    for field, level, span in product(
        ("positives", "valid", "invalid"), ("zone", "district"), ("window", "day", "week")
    )
}
# Where a released number of the zone, the district or their days may show, and so one test, within its noise.
MAY_DIFFER: Final = ("/api/v1/series", "/api/v1/charts/positivity", "/api/v1/boards/", "/api/v1/district")


def _addresses() -> list[str]:
    charts = [f"/api/v1/charts/positivity?level={level}&span=2w" for level in ("window", "day", "week")]
    charts += ["/api/v1/charts/air?zone=z10016", "/api/v1/charts/air?zone=z10017"]
    return [*sorted(RELEASED), *charts, "/api/v1/district", "/api/v1/alerts", "/api/v1/devices"]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Answers]:
    folder, records = tmp_path_factory.mktemp("api"), tuple(dummy() for _ in range(4))
    speakers = district(seeded("keys of the api"))
    scripts = {
        "absent": Script(records=lambda: records),
        "positive": Script({("kiosk-1", 0): ("positive",)}, records=lambda: records),
        "hotel": Script(hotel_ppm=655.0, records=lambda: records),
    }
    return {name: _asked(folder / name, script, speakers) for name, script in scripts.items()}


def _asked(folder: Path, script: Script, speakers: Sequence[Speaker]) -> Answers:
    live(folder, speakers, script)
    with running_console(folder, data=False) as console, closing(console.client()) as admin:
        found = {}
        panels = re.findall(r'"(/api/v1/boards/[^"]+)"', admin.get("/api/v1/boards").text)
        assert len(panels) > 5
        for address in [*_addresses(), *(f"{panel}?span=2w" for panel in panels)]:
            answer = admin.get(address)
            assert answer.status_code == 200, (address, answer.text)
            found[address] = WHEN_ASKED.sub("", answer.text)
        return found


@pytest.mark.timeout(300)
def test_a_restricted_value_changes_no_answer(answers: Mapping[str, Answers]) -> None:
    assert answers["hotel"] == answers["absent"]


@pytest.mark.timeout(300)
def test_one_test_changes_released_numbers_alone(answers: Mapping[str, Answers]) -> None:
    changed = {address for address, text in answers["absent"].items() if text != answers["positive"][address]}
    assert any(address in changed for address in RELEASED), "the test is counted"
    assert all(address.startswith(MAY_DIFFER) for address in changed), changed
    assert not any("field=invalid" in address for address in changed)
