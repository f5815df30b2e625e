"""A kiosk put together from its settings and from what lies in its folder."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from contracts.clock import first_anchors
from contracts.windows import NS
from edge.adapters.visits import VisitDatabase
from edge.bootstrap import build
from edge.children.keeper import ForkServer
from edge.core.visit import PublicPart, VisitRules, new_sample_id
from edge.errors import SettingsError
from edge.settings import load_cabinet
from tests.support.enrolled import START_NS, enrolled_cabinet
from tests.support.kiosk import CALENDAR, LAYOUTS, open_at_zero
from tests.support.seeds import seeded

RULES = VisitRules(places=2, modules=2, insertion_s=600, t_max_s=2700)


def _two_wait_for_one_tick(folder: Path) -> None:
    folder.mkdir()
    visits = VisitDatabase(
        folder / "visits.db", calendar=CALENDAR, layouts=LAYOUTS, open_window=open_at_zero, now_ns=START_NS
    )
    chance = seeded("samples")
    for now_ns in (START_NS, START_NS + 60 * NS):
        place = visits.reserve(now_ns, RULES, "SARSCOV2")
        visits.complete(place.row, PublicPart(bytes(16), bytes(32), bytes(16)), now_ns)
        visits.begin(now_ns, RULES, new_sample_id(chance.randrange))
    visits.close()


@pytest.mark.parametrize(("places", "fits"), [(1, False), (2, True)])
def test_places_that_visitors_hold_cannot_be_taken_away_by_a_setting(tmp_path: Path, places: int, fits: bool) -> None:
    folder = tmp_path / "kiosk"
    _two_wait_for_one_tick(folder)
    cabinet = enrolled_cabinet(
        folder,
        "kiosk-10016-1",
        kind="kiosk",
        instrument=(
            'kind = "genexpert"\nlink = "tcp:127.0.0.1:9"\nassay = "SARSCOV2"\n'
            f"modules = 1\nplaces = {places}\n[printer]\nlink = "
            '"tcp:127.0.0.1:9"\n[screen]\nport = 8900'
        ),
        broker_port=9,
        anchors=first_anchors(time.monotonic_ns(), START_NS + 120 * NS, 1),
    )
    with ExitStack() as closing:
        loaded = load_cabinet(cabinet.settings)
        if fits:
            assert build(loaded, lambda _: True, closing, ForkServer()) is not None
        else:
            with pytest.raises(SettingsError, match="places"):
                build(loaded, lambda _: True, closing, ForkServer())
