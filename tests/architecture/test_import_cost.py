"""What importing a process loads: a cabinet is a small computer, and a first command should answer at once."""

import json
import subprocess
import sys

import pytest

_SERVER_LIBRARIES = frozenset(
    {"alembic", "fastapi", "influxdb_client", "jinja2", "numpy", "pandas", "scipy", "sqlalchemy"}
)


def _loaded_by(module: str) -> set[str]:
    program = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return {name.split(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize("module", ["edge.__main__", "firmware_sim.__main__", "kioskwatch.cli"])
def test_a_small_process_loads_no_library_of_the_servers(module: str) -> None:
    assert _loaded_by(module) & _SERVER_LIBRARIES == set()


def test_the_agent_draws_no_slip_itself() -> None:
    assert _loaded_by("edge.__main__") & {"PIL", "segno"} == set(), "that is for the children (ADR 4)"


def test_ingest_loads_no_numbers_library_and_no_web_framework() -> None:
    assert _loaded_by("gateway.ingest.bootstrap") & {"numpy", "scipy", "fastapi"} == set()


def test_the_result_page_loads_nothing_of_the_console() -> None:
    program = "import json, sys, backend.results_main; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = set(json.loads(done.stdout))
    others = {"backend.accounts.service", "backend.alerts.service", "backend.bootstrap", "stores.state.accounts"}
    assert loaded & {"fastapi", "jinja2", "numpy", *others} == set()


def test_simulators_load_nothing_of_ours() -> None:
    ours = {"backend", "contracts", "dashboards", "edge", "gateway", "mqttlink", "stores", "kioskwatch"}
    assert _loaded_by("firmware_sim.__main__") & ours == set()
