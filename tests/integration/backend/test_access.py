"""Every route times every role, on a real server: the list of what is public is written here by hand."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from backend.accounts.guard import Needs
from backend.accounts.roles import GRANTS, Role
from backend.bootstrap import Backend, apply_district_file, open_core
from backend.settings import read_settings
from backend.web.administration import AdminOnly
from tests.integration.backend.conftest import PEOPLE
from tests.support.console import DEMO, Console, write_settings, write_time
from tests.support.process import free_port

# Public, each with its reason: forms before a session, the doors of devices, machines' questions, static files.
PUBLIC = {
    "GET /sign-in",
    "POST /sign-in",
    "POST /api/v1/session",
    "POST /api/v1/enrol",
    "POST /api/v1/reenrol",
    "GET /api/v1/ca.pem",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
    "GET /static/{name:path}",
}
ADMIN_TOKEN = {"POST /admin/v1/user", "POST /admin/v1/device-token", "POST /admin/v1/device", "POST /admin/v1/share"}
ANY_SESSION = {
    "POST /sign-out",
    "GET /password",
    "POST /password",
    "GET /api/v1/session",
    "DELETE /api/v1/session",
    "GET /api/v1/clock",
}
READ = {
    "GET /",
    "GET /zones/{zone}",
    "GET /boards/{board}",
    "GET /alerts",
    "GET /alerts/{alert_id:int}",
    "GET /devices",
    "GET /devices/{device}",
    "GET /devices/{device}/label",
    "GET /devices/{device}/label.svg",
    "GET /events",
    "GET /api/v1/series",
    "GET /api/v1/district",
    "GET /api/v1/charts/positivity",
    "GET /api/v1/charts/positivity.csv",
    "GET /api/v1/charts/air",
    "GET /api/v1/charts/air.csv",
    "GET /api/v1/charts/device",
    "GET /api/v1/charts/device.csv",
    "GET /api/v1/boards",
    "GET /api/v1/boards/privacy",
    "GET /api/v1/boards/{board}/{panel}",
    "GET /api/v1/boards/{board}/{panel}.csv",
    "GET /api/v1/alerts",
    "GET /api/v1/alerts/{alert_id}",
    "GET /api/v1/devices",
    "GET /api/v1/devices/{device}",
}
HANDLE = {
    *(f"POST /alerts/{{alert_id:int}}/{step}" for step in ("acknowledge", "note", "resolve")),
    *(f"POST /api/v1/alerts/{{alert_id}}/{step}" for step in ("acknowledge", "note", "resolve")),
}
DEVICES = {"POST /devices/{device}/token", "POST /devices/{device}/revoke"}
ACCOUNTS = {"GET /accounts", "POST /accounts", "POST /accounts/{name}"}
AUDIT = {"GET /audit", "GET /sharing"}
# The permission alone opens nothing: these two are shut to officers as well, until two of them open them together.
DOORS = {"GET /restricted/readings", "GET /api/v1/restricted/series"}
RESTRICTED = DOORS | {
    "GET /restricted",
    "POST /restricted",
    "GET /api/v1/restricted",
    "POST /api/v1/restricted",
    *(f"POST /restricted/{{number:int}}/{step}" for step in ("confirm", "refuse", "close")),
    *(f"POST /api/v1/restricted/{{number}}/{step}" for step in ("confirm", "refuse", "close")),
}
BY_PERMISSION = {
    "read": READ,
    "handle_device_alert": HANDLE,
    "manage_devices": DEVICES,
    "manage_accounts": ACCOUNTS,
    "read_audit": AUDIT,
    "open_restricted": RESTRICTED,
}
# What stands in the places of a path: nothing of that name exists, so an allowed step changes nothing.
NOTHING = {"alert_id": "999999", "alert_id:int": "999999", "device": "no-device", "zone": "z0", "name": "nobody"}
NOTHING |= {"board": "no-board", "panel": "no-panel", "number": "999999", "number:int": "999999"}
ENDLESS = "GET /events"


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[RouteContext]]:
    """The routes of the application as it is joined, not served."""
    folder = tmp_path_factory.mktemp("routes")
    write_time(folder, 1)
    write_settings(folder, free_port(), state=f"sqlite:{folder / 'state'}", simulated=True)
    (folder / "district.toml").write_text((DEMO / "district.toml").read_text())
    core = open_core(read_settings(folder / "backend.toml"))
    apply_district_file(core)
    backend = Backend(core)
    yield list(iter_route_contexts(backend.routes))
    backend.close()
    core.close()


def demand(dependant: Dependant) -> str:
    """What a route asks for, as its dependencies say."""
    for dependency in dependant.dependencies:
        if isinstance(dependency.call, Needs):
            return str(dependency.call.permission) if dependency.call.permission is not None else "any session"
        if isinstance(dependency.call, AdminOnly):
            return "admin token"
    return "public"


def listed(routes: list[RouteContext]) -> dict[str, str]:
    return {
        f"{method} {route.path}": demand(route.dependant)
        for route in routes
        if isinstance(route.original_route, APIRoute)
        for method in route.methods or ()
    }


def test_every_route_demands_what_is_written_here_and_nothing_is_public_by_accident(routes: list[RouteContext]) -> None:
    expected = dict.fromkeys(PUBLIC, "public") | dict.fromkeys(ADMIN_TOKEN, "admin token")
    expected |= dict.fromkeys(ANY_SESSION, "any session")
    for permission, names in BY_PERMISSION.items():
        expected |= dict.fromkeys(names, permission)
    assert listed(routes) == expected
    others = {route.path for route in routes if not isinstance(route.original_route, APIRoute)}
    assert others == {"/api/v1/openapi.json"}


def ask(client: httpx.Client, name: str, **headers: str) -> httpx.Response:
    method, _, path = name.partition(" ")
    address = re.sub(r"{([^}]+)}", lambda found: NOTHING[found[1]], path)
    if method == "POST" and path.startswith("/api/"):
        return client.post(address, json={}, headers=headers)
    if method == "POST":
        return client.post(address, data={"csrf": client.headers.get("x-csrf-token", "")}, headers=headers)
    return client.request(method, address, headers=headers)


@pytest.mark.parametrize("role", PEOPLE)
@pytest.mark.parametrize("permission", BY_PERMISSION)
def test_each_role_passes_where_the_table_says_and_is_refused_elsewhere(
    people: dict[str, httpx.Client], permission: str, role: Role
) -> None:
    allowed = permission in {str(granted) for granted in GRANTS[role]}
    for name in sorted(BY_PERMISSION[permission] - {ENDLESS} - DOORS):
        status = ask(people[role], name).status_code
        assert (status != 403) is allowed, f"{role} {name}: {status}"
        assert status < 500, f"{role} {name}: {status}"


def test_the_event_stream_is_for_people_signed_in(console: Console, people: dict[str, httpx.Client]) -> None:
    with people["auditor"].stream("GET", "/events") as stream:
        assert stream.status_code == 200
        assert next(stream.iter_text()).startswith("retry:")
    assert httpx.get(f"{console.url}/events").status_code == 401


def test_without_a_session_pages_lead_to_the_sign_in_and_programs_get_401(console: Console) -> None:
    with httpx.Client(base_url=console.url) as stranger:
        for name in sorted(set().union(*BY_PERMISSION.values(), ANY_SESSION) - {ENDLESS}):
            answer = ask(stranger, name)
            if name.startswith("GET /") and "/api/" not in name:
                assert (answer.status_code, answer.headers["location"][:14]) == (303, "/sign-in?next="), name
            else:
                assert answer.status_code == 401, f"{name}: {answer.status_code}"


@pytest.mark.rule("C30")
def test_a_door_that_two_officers_have_not_opened_is_shut_to_every_role(people: dict[str, httpx.Client]) -> None:
    question = {"bucket": "restricted", "measurement": "air", "field": "co2_ppm"}
    question |= {"start": "2021-12-12T00:00:00Z", "stop": "2021-12-13T00:00:00Z"}
    for path in (name.partition(" ")[2] for name in sorted(DOORS)):
        for role, client in people.items():
            assert client.get(path, params=question).status_code == 403, f"{role} {path}"


@pytest.mark.parametrize("role", ["admin", "officer"])
def test_a_change_without_the_sessions_token_or_from_elsewhere_is_refused(
    people: dict[str, httpx.Client], role: Role
) -> None:
    client = people[role]
    granted = {str(permission) for permission in GRANTS[role]}
    allowed = [names for permission, names in BY_PERMISSION.items() if permission in granted]
    changing = sorted(name for names in allowed for name in names if name.startswith("POST"))
    token = client.headers.pop("x-csrf-token")
    try:
        for name in changing:
            assert ask(client, name).status_code == 403, name
            assert ask(client, name, **{"x-csrf-token": "guess"}).status_code == 403, name
            foreign = {"x-csrf-token": token, "origin": "https://evil.example", "sec-fetch-site": "cross-site"}
            assert ask(client, name, **foreign).status_code == 403, name
            assert ask(client, name, **{"x-csrf-token": token}).status_code in {400, 404, 409}, name
    finally:
        client.headers["x-csrf-token"] = token


def test_a_form_that_another_site_sends_opens_no_session(console: Console) -> None:
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        form = {"name": "admin", "password": "correct horse battery staple"}
        answer = httpx.post(f"{console.url}/sign-in", data=form, headers=headers)
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_with_a_first_password_nothing_opens_but_the_form_to_change_it(console: Console) -> None:
    with httpx.Client(base_url=console.url) as machine:
        made = machine.post(
            "/admin/v1/user", json={"action": "add", "name": "novice", "role": "officer"}, headers=console.bearer()
        )
        body = {"name": "novice", "password": made.json()["password"]}
    with httpx.Client(base_url=console.url) as novice:
        assert novice.post("/api/v1/session", json=body).json()["must_change_password"] is True
        for path in ("/", "/alerts", "/devices"):
            answer = novice.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/password")
        assert novice.get("/api/v1/alerts").status_code == 403
        assert novice.get("/password").status_code == 200


def test_administration_needs_the_token_file(console: Console) -> None:
    with httpx.Client(base_url=console.url) as machine:
        for name in sorted(ADMIN_TOKEN):
            for headers in ({}, {"authorization": "Bearer guess"}):
                assert ask(machine, name, **headers).status_code in {403, 429}
    assert (console.folder / "admin.token").stat().st_mode & 0o777 == 0o600


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(console: Console) -> None:
    body = {"name": "admin", "password": "correct horse battery staple"}
    cookie = httpx.post(f"{console.url}/api/v1/session", json=body).headers["set-cookie"]
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip().lower() for part in cookie.split(";")}


def test_no_wanted_address_leads_away_from_the_console(console: Console) -> None:
    for wanted in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "\r\nx: y"):
        form = {"name": "admin", "password": "correct horse battery staple", "next": wanted}
        answer = httpx.post(f"{console.url}/sign-in", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), wanted


def test_the_scripts_and_templates_of_the_package_are_the_ones_that_are_served(console: Console) -> None:
    page = httpx.get(f"{console.url}/sign-in").text
    address = re.search(r'src="(/static/app\.js\?v=[0-9a-f]+)"', page)
    assert address is not None
    answer = httpx.get(console.url + address[1])
    assert answer.text == Path("backend/web/static/app.js").read_text()
    assert "immutable" in answer.headers["cache-control"]
    assert httpx.get(f"{console.url}/static/../settings.py").status_code == 404
    assert httpx.get(f"{console.url}/static/%2e%2e/%2e%2e/settings.py").status_code == 404
