"""kill -9 of `gateway analyse` while ingest takes releases beside it: it ends with what an undisturbed one computes."""

import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from stores.series.sqlite import SqliteSeries
from tests.integration.analyse_district import Place, released_numbers
from tests.support.pipeline import PATIENCE_S, GatewayProgram, running_pipeline
from tests.support.process import wait_until
from tests.support.seeds import fault_timeout_s, kill_count, seeded
from tests.support.senders import Release


def _released(folder: Path) -> Mapping[Place, object]:
    series = SqliteSeries(folder)
    try:
        return released_numbers(series)
    finally:
        series.close()


@pytest.mark.timeout(fault_timeout_s())
@pytest.mark.rule("C19")
def test_analyse_killed_beside_a_working_ingest_computes_what_an_undisturbed_one_computes(tmp_path: Path) -> None:
    with ExitStack() as programs:
        with running_pipeline(tmp_path, seeded("analyse killed beside ingest")) as pipeline:
            analyse = programs.enter_context(GatewayProgram("analyse", pipeline.settings))
            analyse.start()
            pipeline.disturb(kill_count(3), analyse.kill, analyse.start)
            pipeline.settle()
            pipeline.balance()
            windows = {one.window_start_ns for one in pipeline.traffic.committed.values() if isinstance(one, Release)}
        calm = tmp_path / "calm"
        calm.mkdir()
        shutil.copytree(tmp_path / "state", calm / "state", ignore=shutil.ignore_patterns("analyse.*"))
        settings = calm / "gateway.toml"
        written = pipeline.settings.read_text()
        for part in ("state", "series"):
            written = written.replace(f'{part} = "sqlite:{tmp_path / part}"', f'{part} = "sqlite:{calm / part}"')
        settings.write_text(written)
        programs.enter_context(GatewayProgram("analyse", settings)).start()

        def agree() -> bool:
            if not (calm / "series" / "released.db").exists():
                return False
            mine, theirs = _released(tmp_path / "series"), _released(calm / "series")
            places = {at_ns for level, _, at_ns in theirs if level == "district_window"}
            return mine == theirs and windows <= places

        wait_until(agree, timeout_s=PATIENCE_S, what="the same numbers from both")
