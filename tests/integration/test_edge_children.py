"""The fork server and its children as processes: what they make, how they end, what they cannot do."""

import http.client
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from contracts.claim import ClaimCode
from contracts.cohorts import expires_ns
from contracts.sealed import ResultBody, open_record
from edge.adapters.waiting import PollWaiter
from edge.children.code_maker import ChildCodeMaker, SlipTerms
from edge.children.keeper import Child, ForkServer
from edge.children.sealer import ChildSealer
from edge.core.localtime import when_text
from edge.errors import ChildError
from edge.ports import Issued, IssueOrder, NotIssued, SealedRun, SealOrder
from tests.support.forked import DAY, TABLE, children_of, fork_server, keys_of, kill, revive, state_of, the_child
from tests.support.notices import NOTICE
from tests.support.process import free_port, wait_until

TICK = 2_732_142
CODE = re.compile(r"\b([0-9A-HJKMNP-TV-Z]{5}(?: [0-9A-HJKMNP-TV-Z]{5}){1,2})<")
ON_SCREEN = IssueOrder("en", paper=False, ready_tick=TICK, expires_ns=expires_ns(TICK))
ON_PAPER = IssueOrder("en", paper=True, ready_tick=TICK, expires_ns=expires_ns(TICK))


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with fork_server() as one:
        yield one


@contextmanager
def _code_maker(server: ForkServer, printer: str | None = None) -> Iterator[ChildCodeMaker]:
    terms = SlipTerms(printer, "https://results.example", "0" * 16, NOTICE, lambda ns: when_text(ns, -18_000))
    maker = ChildCodeMaker(server, terms)
    yield maker
    maker.close()


def _until_answered(maker: ChildCodeMaker, timeout_s: float = 10.0) -> Issued | NotIssued:
    waiter, end_s = PollWaiter(), time.monotonic() + timeout_s
    try:
        while (answer := maker.step(time.monotonic())) is None:
            assert time.monotonic() < end_s, "no answer in time"
            waiter.wait([maker.fileno()], [], min(0.05, maker.deadline_s() - time.monotonic()))
    finally:
        waiter.close()
    return answer


def _get(url: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    try:
        connection.request(method, parts.path)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode()
    finally:
        connection.close()


def _code_of(page: str) -> ClaimCode:
    return ClaimCode.parse("".join(CODE.findall(page)[:2]))


# --- codes ------------------------------------------------------------------------------------------------------


def test_a_code_without_paper_is_on_a_page_of_its_own_until_the_visitor_has_gone(server: ForkServer) -> None:
    with _code_maker(server) as maker:
        maker.issue(ON_SCREEN)
        issued = _until_answered(maker)
        assert isinstance(issued, Issued)
        assert issued.code_url is not None
        child = the_child(server)
        status, headers, page = _get(issued.code_url)
        assert (status, headers["Cache-Control"]) == (200, "no-store")
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        keys = _code_of(page).keys()
        assert (keys.slot, keys.public_key, keys.origin) == (
            issued.public.slot,
            issued.public.public_key,
            issued.public.origin,
        )
        assert _get(issued.code_url, "POST")[0] == 405
        assert _get(issued.code_url + "x")[0] == 404
        assert _get(issued.code_url)[0] == 200  # as often as the visitor likes
        maker.end_display()
        wait_until(lambda: state_of(child) == "", timeout_s=5, what="the child's end")
        with pytest.raises(ConnectionRefusedError):
            _get(issued.code_url)


def test_browsers_that_connect_and_say_nothing_keep_nobody_waiting(server: ForkServer) -> None:
    with _code_maker(server) as maker:
        maker.issue(ON_SCREEN)
        issued = _until_answered(maker)
        assert isinstance(issued, Issued)
        where = urlsplit(issued.code_url or "")
        silent = [socket.create_connection((where.hostname or "", where.port or 0)) for _ in range(8)]
        assert _get(issued.code_url or "")[0] == 200
        for connection in silent:
            connection.close()


def test_a_child_that_is_killed_while_it_shows_a_code_is_let_go(server: ForkServer) -> None:
    with _code_maker(server) as maker:
        maker.issue(ON_SCREEN)
        assert isinstance(_until_answered(maker), Issued)
        kill(the_child(server))
        wait_until(lambda: children_of(server.pid or 0) == [], timeout_s=5, what="its end")
        assert maker.step(time.monotonic()) is None
        assert maker.fileno() == -1
        maker.issue(ON_SCREEN)
        assert isinstance(_until_answered(maker), Issued)


def test_the_next_visitor_s_code_ends_the_one_that_is_shown(server: ForkServer) -> None:
    with _code_maker(server) as maker:
        maker.issue(ON_SCREEN)
        first = _until_answered(maker)
        maker.issue(ON_SCREEN)
        second = _until_answered(maker)
        assert isinstance(first, Issued)
        assert isinstance(second, Issued)
        assert first.public != second.public
        wait_until(lambda: len(children_of(server.pid or 0)) == 1, timeout_s=5, what="one child alone")


def test_children_of_one_server_share_no_chance(server: ForkServer) -> None:
    """What they inherit includes the state of a random generator: codes and ephemeral keys must differ all the same."""
    parts = set()
    with _code_maker(server) as maker:
        for _ in range(12):
            maker.issue(ON_SCREEN)
            issued = _until_answered(maker)
            assert isinstance(issued, Issued)
            parts |= {issued.public.slot, issued.public.public_key, issued.public.origin, issued.code_url or ""}
    assert len(parts) == 12 * 4
    _, public = keys_of()
    sealer, ephemeral = ChildSealer(server), set()
    for _ in range(12):
        sealer.seal_no_result((SealOrder("6JDT06FXXF61J697SS0Y", public, DAY, TABLE),))
        ephemeral.add(_sealed(sealer)[0].record[16:48])
    assert len(ephemeral) == 12


@pytest.mark.parametrize("where", [None, "unreachable"])
def test_without_a_printer_no_code_is_issued_on_paper(server: ForkServer, where: str | None) -> None:
    printer = None if where is None else f"tcp:127.0.0.1:{free_port()}"
    with _code_maker(server, printer) as maker:
        maker.issue(ON_PAPER)
        assert _until_answered(maker) == NotIssued("printer")
        maker.issue(ON_SCREEN)
        assert isinstance(_until_answered(maker), Issued)


def test_a_child_that_is_killed_while_it_prints_reserves_nothing(server: ForkServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, _code_maker(server, _where(silent)) as maker:
        maker.issue(ON_PAPER)
        taken, _ = silent.accept()
        kill(the_child(server))
        assert _until_answered(maker) == NotIssued("internal")
        taken.close()
        maker.issue(ON_SCREEN)
        assert isinstance(_until_answered(maker), Issued)


def test_a_fork_server_that_is_killed_while_a_child_prints_reserves_nothing() -> None:
    with (
        fork_server() as server,
        socket.create_server(("127.0.0.1", 0)) as silent,
        _code_maker(server, _where(silent)) as maker,
    ):
        maker.issue(ON_PAPER)
        taken, _ = silent.accept()
        kill(server.pid or 0)
        assert _until_answered(maker) == NotIssued("internal")
        taken.close()
        maker.issue(ON_SCREEN)
        assert _until_answered(maker) == NotIssued("internal")  # there is none yet
        revive(server)
        maker.issue(ON_SCREEN)
        assert isinstance(_until_answered(maker), Issued)


def test_a_child_that_cannot_make_its_slip_says_which_kind_of_mistake_it_was_and_nothing_else(
    server: ForkServer, caplog: pytest.LogCaptureFixture
) -> None:
    with _code_maker(server) as maker:
        maker.issue(IssueOrder("tlh", paper=False, ready_tick=TICK, expires_ns=expires_ns(TICK)))
        assert _until_answered(maker) == NotIssued("internal")
    assert "SlipError" in caplog.text


def _where(listener: socket.socket) -> str:
    return f"tcp:127.0.0.1:{listener.getsockname()[1]}"


# --- "no result" --------------------------------------------------------------------------------------------------


def _sealed(sealer: ChildSealer) -> tuple[SealedRun, ...]:
    end_s = time.monotonic() + 10
    while (sealed := sealer.step(time.monotonic())) is None:
        assert time.monotonic() < end_s
        time.sleep(0.005)
    return sealed


def test_no_result_is_sealed_for_whoever_holds_the_code(server: ForkServer) -> None:
    both = [keys_of(), keys_of()]
    samples = ("6JDT06FXXF61J697SS0Y", "S5TJJC58FGSAK2HKY8MB")
    sealer = ChildSealer(server)
    sealer.seal_no_result(tuple(SealOrder(s, public, DAY, TABLE) for s, (_, public) in zip(samples, both, strict=True)))
    for run, (keys, _) in zip(_sealed(sealer), both, strict=True):
        body = ResultBody.decode(open_record(keys, run.record))
        assert (body.advice, body.calls, run.valid) == ("repeat", (("sars-cov-2", "invalid"),), False)
    assert sealer.step(time.monotonic()) is None
    assert sealer.fileno() == -1


def test_sealing_goes_on_when_the_server_was_killed() -> None:
    keys, public = keys_of()
    with fork_server() as server:
        sealer = ChildSealer(server)
        kill(server.pid or 0)
        wait_until(lambda: state_of(server.pid or 0) == "Z", timeout_s=5, what="the server's end")
        sealer.seal_no_result((SealOrder("6JDT06FXXF61J697SS0Y", public, DAY, TABLE),))
        assert sealer.step(time.monotonic()) is None
        revive(server)
        assert open_record(keys, _sealed(sealer)[0].record)


# --- what they cannot do ------------------------------------------------------------------------------------------


def _limit(pid: int, name: str) -> str:
    (line,) = [line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if line.startswith(name)]
    return line.removeprefix(name).split()[1]  # the hard one


def test_a_child_writes_no_file_dumps_no_core_and_holds_what_is_its_own_only(server: ForkServer) -> None:
    with _code_maker(server) as maker:
        maker.issue(ON_SCREEN)
        _until_answered(maker)
        child = the_child(server)
        assert (_limit(child, "Max core file size"), _limit(child, "Max file size")) == ("0", "0")
        assert _limit(server.pid or 0, "Max core file size") == "0"
        held = sorted(str(fd.readlink()).split(":")[0] for fd in Path(f"/proc/{child}/fd").iterdir())
        assert held == ["/dev/null", "/dev/null", "/dev/null", "socket", "socket"]  # its channel, its listener


def test_memory_that_is_kept_private_is_not_dumpable() -> None:
    """As the kernel answers PR_GET_DUMPABLE."""
    program = (
        "import ctypes; from edge.children.confine import keep_memory_private as k; g = ctypes.CDLL(None).prctl\n"
        "before = g(3, 0, 0, 0, 0); k(); print(before, g(3, 0, 0, 0, 0))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20)
    assert said.stdout.split() == ["1", "0"]


_AGENT = """
import sys, time
from edge.children.keeper import Child, ForkServer
server = ForkServer()
server.start()
child = server.spawn("code")
print(server.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_when_the_agent_ends_server_and_children_end(how: signal.Signals) -> None:
    agent = subprocess.Popen([sys.executable, "-c", _AGENT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert agent.stdout is not None
    server = int(agent.stdout.readline())
    wait_until(lambda: len(children_of(server)) == 1, timeout_s=10, what="a child")
    (child,) = children_of(server)
    agent.send_signal(how)
    agent.wait(10)
    agent.stdout.close()
    for pid in (server, child):
        wait_until(_gone(pid), timeout_s=5, what="their end")


def _gone(pid: int) -> Callable[[], bool]:
    return lambda: state_of(pid) in ("", "Z")


def test_a_request_that_is_none_costs_nothing_but_itself(server: ForkServer) -> None:
    child = server.spawn("analyser")  # which takes three descriptors more
    wait_until(lambda: _is_over(child), timeout_s=5, what="the end of a child that never was")
    child.channel.close()
    with _code_maker(server) as maker:
        maker.issue(ON_SCREEN)
        assert isinstance(_until_answered(maker), Issued)


def _is_over(child: Child) -> bool:
    try:
        child.channel.receive(bytes)
    except ChildError:
        return True
    return False
