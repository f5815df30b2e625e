"""The fork server of a real kiosk killed while people are tested: it comes back, and they read their results."""

import re
from pathlib import Path

import pytest

from firmware_sim.outcome import Call, Outcome
from tests.support.forked import children_of, kill, state_of
from tests.support.process import wait_until
from tests.support.whole_kiosk import Making, WholeKiosk, whole_kiosk

MEMORY_BAR_MIB = 60  # DESIGN section 16: the agent
POSITIVE = Outcome(calls={"sars-cov-2": Call.POSITIVE})


def _killed(kiosk: WholeKiosk) -> None:
    """Kill the server; its children end with it, and the agent begins another one."""
    before = kiosk.server
    children = children_of(before)
    assert children
    kill(before)

    def replaced() -> bool:
        return [pid for pid in children_of(kiosk.program.pid) if state_of(pid) != "Z"] not in ([], [before])

    wait_until(replaced, timeout_s=10, what="another fork server")
    assert all(state_of(pid) in ("", "Z") for pid in children)


@pytest.mark.timeout(120)
def test_a_fork_server_that_is_killed_with_a_code_out_and_with_a_run_under_way_costs_no_result(tmp_path: Path) -> None:
    making = Making(t_max_s=12_000)  # 20 s: a line is opened again after half a second to ten
    with whole_kiosk(tmp_path, making) as kiosk:
        first = kiosk.code_on_paper()
        _killed(kiosk)
        kiosk.analyser.insert(POSITIVE)
        second = kiosk.code_on_paper()
        kiosk.analyser.insert(Outcome())
        # An order that is lost on its way is "no result", and the analyser would wait a minute for it.
        wait_until(lambda: kiosk.analyser.runs == 2, timeout_s=20, what="the second run")
        _killed(kiosk)
        for code, call in ((first, "positive"), (second, "negative")):
            assert kiosk.result(code).calls == (("sars-cov-2", call),)
        family = [kiosk.server, *children_of(kiosk.server)]
        assert "Z" not in {state_of(pid) for pid in family}
        assert _memory_mib(kiosk.program.pid) < MEMORY_BAR_MIB


def _memory_mib(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024
