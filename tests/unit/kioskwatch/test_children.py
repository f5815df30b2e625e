"""Real processes as the supervisor sees them: what they say, how they end, and that nothing of them stays behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kioskwatch import children
from kioskwatch.children import LocalChild, LocalLauncher, LogFile
from kioskwatch.supervisor import PrepareError, ProcessPlan
from tests.support.process import wait_until

TIMEOUT_S = 10.0


def _launch(folder: Path, code: str) -> LocalChild:
    plan = ProcessPlan(name="worker", command=(sys.executable, "-c", code))
    return LocalLauncher(folder).launch(plan)


def _ended(child: LocalChild) -> int:
    wait_until(lambda: child.exit_code() is not None, timeout_s=TIMEOUT_S, what="the child's end")
    code = child.exit_code()
    assert code is not None
    child.kill()
    return code


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_stdout_is_a_protocol_and_stderr_a_log_whose_last_line_is_the_reason(tmp_path: Path) -> None:
    code = "import sys; print('ready'); print('say hello'); print('one\\ntwo', file=sys.stderr); sys.exit(3)"
    child = _launch(tmp_path, code)
    wait_until(lambda: child.exit_code() is not None, timeout_s=TIMEOUT_S, what="the end")
    assert child.lines() == ["ready", "say hello"]
    assert child.exit_code() == 3
    assert child.last_words() == "two"
    child.note("extra")
    child.kill()
    log = (tmp_path / "worker.log").read_text().splitlines()
    assert log[0].startswith("--- started as process ")
    assert log[1:] == ["one", "two", "stdout: extra"]


def test_control_characters_and_endless_lines_do_not_reach_the_terminal(tmp_path: Path) -> None:
    child = _launch(tmp_path, r"import sys; print('\x1b[2Jsay x'); print('y' * 100000); print('z'); sys.exit(0)")
    said: list[str] = []

    def three_lines() -> bool:
        said.extend(child.lines())
        return len(said) == 3

    wait_until(three_lines, timeout_s=TIMEOUT_S, what="three lines")
    first, second, third = said
    assert first == "?[2Jsay x"
    assert len(second) <= children.MAX_SHOWN_CHARS
    assert third == "z"
    assert _ended(child) == 0


def test_a_child_that_is_asked_ends_with_its_own_code(tmp_path: Path) -> None:
    code = "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); print('ready'); time.sleep(60)"
    child = _launch(tmp_path, code)
    wait_until(lambda: child.lines() == ["ready"], timeout_s=TIMEOUT_S, what="ready")
    child.ask_to_stop()
    assert _ended(child) == 0


def test_the_end_by_a_signal_is_a_negative_code(tmp_path: Path) -> None:
    child = _launch(tmp_path, "import time; time.sleep(60)")
    os.kill(child.pid, signal.SIGKILL)
    assert _ended(child) == -signal.SIGKILL


def test_what_a_crashed_child_had_started_is_gone_when_its_end_is_seen(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "print(p.pid, flush=True); import os; os._exit(1)"
    )
    child = _launch(tmp_path, code)
    wait_until(lambda: child.exit_code() is not None, timeout_s=TIMEOUT_S, what="the child's end")
    assert child.exit_code() == 1
    (line,) = child.lines()
    grandchild = int(line)
    child.kill()
    wait_until(lambda: not _lives(grandchild), timeout_s=TIMEOUT_S, what="the grandchild's end")


def test_a_child_dies_with_its_launcher_even_when_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from kioskwatch.children import LocalLauncher;"
        "from kioskwatch.supervisor import ProcessPlan;"
        "c = LocalLauncher(Path(sys.argv[1])).launch(ProcessPlan(name='w', command=('sleep', '60')));"
        "print(c.pid, flush=True); time.sleep(60)"
    )
    launcher = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    pid = int(launcher.stdout.readline())
    assert _lives(pid)
    launcher.kill()
    launcher.wait()
    launcher.stdout.close()
    wait_until(lambda: not _lives(pid), timeout_s=TIMEOUT_S, what="the child's end")


def test_a_program_that_is_not_there_is_the_typed_error(tmp_path: Path) -> None:
    with pytest.raises(PrepareError, match="cannot be started"):
        LocalLauncher(tmp_path).launch(ProcessPlan(name="x", command=("/nonexistent/program",)))


def test_a_log_begins_a_new_file_at_its_limit_and_keeps_one_older(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "a.log")
    block = b"x" * (1024 * 1024)
    for _ in range(children.LOG_LIMIT_BYTES // len(block) + 1):
        log.write(block)
    log.write(b"new\n")
    assert (tmp_path / "a.log").read_bytes() == b"new\n"
    assert (tmp_path / "a.log.1").stat().st_size == children.LOG_LIMIT_BYTES + len(block)


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    started = time.monotonic()
    LogFile(tmp_path / "missing" / "a.log").write(b"x")
    assert time.monotonic() - started < 1
