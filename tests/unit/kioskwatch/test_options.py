"""What `kioskwatch up` accepts, and that everything else is one sentence that names the option."""

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kioskwatch.errors import OperatorError, OptionError
from kioskwatch.options import parse, start_ns

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def test_without_options_it_is_the_demonstration_on_loopback() -> None:
    options = parse([])
    assert (options.real, options.listen, options.port, options.broker_port) == (False, "127.0.0.1", 8800, 8883)
    assert (options.speed, options.start, options.scenario, options.broker) == (None, None, "replay", "auto")
    assert options.state == Path.cwd() / "var"
    assert not options.https


def test_whatever_is_reachable_from_outside_is_https() -> None:
    assert parse(["--listen", "192.0.2.7"]).https
    assert parse(["--no-simulators"]).https
    assert not parse(["--listen", "::1"]).https
    assert not parse(["--listen", "localhost"]).https


def test_the_name_told_to_devices_is_the_address_unless_another_is_given() -> None:
    assert parse(["--no-simulators", "--listen", "192.0.2.7"]).public_name == "192.0.2.7"
    named = ["--no-simulators", "--listen", "0.0.0.0", "--public-name", "kw.example.org"]
    assert parse(named).public_name == "kw.example.org"


@pytest.mark.parametrize(
    ("argv", "option"),
    [
        (["--port", "0"], "--port"),
        (["--port", "65536"], "--port"),
        (["--port", "eighty"], "--port"),
        (["--port", "²"], "--port"),
        (["--broker-port", "-1"], "--broker-port"),
        (["--port", "9000", "--broker-port", "9000"], "--broker-port"),
        (["--port", "9000", "--results-port", "9000"], "--results-port"),
        (["--broker-port", "8801"], "--results-port"),
        (["--results-cert", "/etc/hostname"], "--results-key"),
        (["--results-cert", "/nonexistent", "--results-key", "/nonexistent"], "--results-cert"),
        (["--listen", "not an address"], "--listen"),
        (["--listen", "example.org"], "--listen"),
        (["--speed", "0"], "--speed"),
        (["--speed", "3601"], "--speed"),
        (["--speed", "1.5"], "--speed"),
        (["--scenario", "flood"], "--scenario"),
        (["--no-simulators", "--speed", "600"], "--speed"),
        (["--no-simulators", "--start", "2021-12-12"], "--start"),
        (["--no-simulators", "--scenario", "quiet"], "--scenario"),
        (["--no-simulators", "--listen", "0.0.0.0"], "--public-name"),
        (["--public-name", "two words"], "--public-name"),
        (["--public-name", "x\nallow_anonymous true"], "--public-name"),
        (["--tls-cert", "/etc/hostname"], "--tls-key"),
        (["--district", "/nonexistent/district.toml"], "--district"),
        (["--tls-cert", "/nonexistent", "--tls-key", "/nonexistent"], "--tls-cert"),
        (["--nonsense"], "--nonsense"),
        (["stray"], "stray"),
    ],
)
def test_a_bad_option_is_one_sentence_that_names_it(argv: list[str], option: str) -> None:
    with pytest.raises(OptionError) as caught:
        parse(argv)
    assert option in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.lists(st.text(max_size=12), max_size=4))
def test_any_words_give_options_or_the_typed_error(argv: list[str]) -> None:
    if {"-h", "--help"} & set(argv) or any("--help".startswith(word) and len(word) > 2 for word in argv):
        return
    with contextlib.suppress(OperatorError):
        parse(argv)


def test_a_start_without_an_offset_is_district_time() -> None:
    first = start_ns("2021-12-12T00:00", utc_offset_s=-5 * 3600, now=NOW)
    assert first == start_ns("2021-12-12T05:00+00:00", utc_offset_s=0, now=NOW) == 1_639_285_200_000_000_000


@pytest.mark.parametrize("text", ["tomorrow", "2021-13-01", "2026-11-02", "1999-12-31", ""])
def test_a_start_that_is_no_time_or_not_in_the_past_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--start"):
        start_ns(text, utc_offset_s=0, now=NOW)
