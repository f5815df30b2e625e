"""The bucket `restricted` over HTTP: two officers and nobody else, and no trace of a reading anywhere else."""

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.integration.backend.conftest import PEOPLE
from tests.integration.backend.test_access import READ
from tests.support.console import PASSWORD, TARGET, Console, running_console
from tests.support.restricted import ROOM, SECRET_PPM, write_room

WHY = "call from the hotel about floor three"
ASKED = {
    "bucket": "restricted",
    "measurement": "air",
    "field": "co2_ppm",
    "start": "2021-12-20T00:00:00Z",
    "stop": "2021-12-24T00:00:00Z",
}
SPELLINGS = (b"31337", b"31,337", b"31\xc2\xa0337", b"31\xe2\x80\xaf337", b"31 337", ROOM.encode())
PLACES = {"zone": "z10022", "device": "air-10022", "alert_id": "1", "alert_id:int": "1", "board": "pipeline"}
PLACES |= {"panel": "pipeline-records"}


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_console(tmp_path_factory.mktemp("restricted")) as running:
        for role, name in PEOPLE.items():
            if role != "admin":
                running.account(name, role)
        for name in ("omar", "ivo"):
            running.account(name, "officer")
        write_room(running.folder, running.district.district.id)
        yield running


@pytest.fixture(scope="module")
def people(console: Console) -> Iterator[dict[str, httpx.Client]]:
    clients = {name: console.client(name) for name in (*PEOPLE.values(), "omar", "ivo")}
    yield clients
    for client in clients.values():
        client.close()


def opened(people: dict[str, httpx.Client], minutes: int = 30) -> int:
    body = {"reason": WHY, "minutes": minutes, "password": PASSWORD}
    asked = people["olga"].post("/api/v1/restricted", json=body)
    assert asked.status_code == 200, asked.text
    number = int(asked.json()["number"])
    assert people["olga"].get("/api/v1/restricted/series", params=ASKED).status_code == 403, "not yet"
    answer = people["omar"].post(f"/api/v1/restricted/{number}/confirm", json={"password": PASSWORD})
    assert answer.json()["state"] == "open", answer.text
    return number


@pytest.mark.rule("C30")
@pytest.mark.timeout(120)
def test_two_officers_open_it_read_it_and_close_it_and_every_step_is_in_the_audit_log(
    people: dict[str, httpx.Client],
) -> None:
    number = opened(people)
    for name, client in people.items():
        answer = client.get("/api/v1/restricted/series", params=ASKED)
        page = client.get("/restricted/readings")
        if name in {"olga", "omar"}:
            assert set(answer.json()["series"][0]["values"]) == {SECRET_PPM}
            assert WHY in page.text
            assert int(page.headers["refresh"].partition(";")[0]) <= 30 * 60 + 1, "the browser leaves by itself"
            assert "no-store" in page.headers["cache-control"]
        else:
            assert (answer.status_code, page.status_code) == (403, 403), name
    seen = people["ivo"].get("/api/v1/restricted").json()
    assert (seen["state"], seen["requested_by"], seen["reason"]) == ("open", "olga", None)
    assert people["ivo"].post(f"/api/v1/restricted/{number}/close").status_code == 403
    assert people["omar"].post(f"/api/v1/restricted/{number}/close").json()["state"] == "closed"
    assert people["olga"].get("/api/v1/restricted/series", params=ASKED).status_code == 403
    audit = people["admin"].get("/audit").text
    for action in ("requested", "confirmed", "read", "closed"):
        assert f"restricted_{action}" in audit
    assert WHY in audit


@pytest.mark.rule("C30")
def test_one_person_with_the_form_of_the_other_step_opens_nothing(people: dict[str, httpx.Client]) -> None:
    client = people["olga"]
    form = {"csrf": client.headers["x-csrf-token"], "reason": WHY, "minutes": "15", "password": PASSWORD}
    assert client.post("/restricted", data=form).status_code == 303
    number = client.get("/api/v1/restricted").json()["number"]
    assert client.post(f"/restricted/{number}/confirm", data=form).status_code == 403
    wrong = {"csrf": people["omar"].headers["x-csrf-token"], "password": "guess"}
    assert people["omar"].post(f"/restricted/{number}/confirm", data=wrong).status_code == 400
    assert client.get("/restricted/readings").status_code == 403
    assert client.post(f"/restricted/{number}/refuse", data=form).status_code == 303


@pytest.mark.rule("C30")
@pytest.mark.timeout(240)
def test_while_it_is_open_no_other_page_answer_count_log_or_file_holds_anything_of_it(
    console: Console, people: dict[str, httpx.Client]
) -> None:
    number = opened(people)
    assert SPELLINGS[0].decode() in people["olga"].get("/api/v1/restricted/series", params=ASKED).text, "it is there"
    people["olga"].get("/restricted/readings").raise_for_status()
    for name in ("olga", "ivo", "admin"):
        for route in sorted(READ - {"GET /events"}):
            path = re.sub(r"{([^}]+)}", lambda found: PLACES[found[1]], route.partition(" ")[2])
            answer = people[name].get(path, params={"target": TARGET, "zone": "z10022", "device": "air-10022"})
            assert_without(answer.content, f"{name} {path}")
        assert_without(people[name].get("/restricted").content, f"{name} /restricted")
    assert people["olga"].get("/api/v1/series", params=ASKED).status_code == 403, "the other address never has it"
    assert_without(httpx.get(f"{console.url}/metrics", headers=console.bearer()).content, "/metrics")
    people["olga"].post(f"/api/v1/restricted/{number}/close").raise_for_status()
    for file in sorted(path for path in console.folder.rglob("*") if path.is_file()):
        if file.name.split(".")[0] != "restricted":
            assert_without(file.read_bytes(), str(file.relative_to(console.folder)))


def assert_without(content: bytes, where: str) -> None:
    found = [spelling for spelling in SPELLINGS if spelling in content]
    assert found == [], f"{where} holds {found}"


def test_the_bucket_is_in_files_of_its_own(console: Console) -> None:
    """What the last test leaves out is one store's files: its name is the bucket's."""
    files = {path.name for path in (console.folder / "series").iterdir() if path.name.startswith("restricted")}
    assert files
    with closing((console.folder / "series" / "restricted.db").open("rb")) as file:
        assert ROOM.encode() in file.read() or (Path(file.name).with_name("restricted.db-wal")).exists()
