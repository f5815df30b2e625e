"""backend.toml: a misspelt, missing or impossible setting stops the start with one sentence."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend.errors import OperatorError
from backend.settings import read_results_settings, read_settings

GOOD = """\
state = "sqlite:state"
series = "sqlite:series"
ca_dir = "ca"
district = "district.toml"
admin_token_file = "admin.token"
broker_public = { host = "broker.example", port = 8883 }
"""


def read(tmp_path: Path, text: str) -> object:
    path = tmp_path / "backend.toml"
    path.write_text(text)
    return read_settings(path)


def test_a_short_file_listens_on_loopback_only(tmp_path: Path) -> None:
    (tmp_path / "backend.toml").write_text(GOOD)
    got = read_settings(tmp_path / "backend.toml")
    assert (got.host, got.port, got.scheme, got.simulated) == ("127.0.0.1", 8800, "http", False)
    assert got.ca_dir == Path("ca")


def test_ipv6_addresses_stand_in_brackets(tmp_path: Path) -> None:
    (tmp_path / "backend.toml").write_text('listen = "[::1]:9000"\n' + GOOD)
    got = read_settings(tmp_path / "backend.toml")
    assert (got.host, got.port) == ("::1", 9000)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('lisen = "127.0.0.1:1"', "unknown field `lisen`"),
        ('listen = "8800"', "ADDRESS:PORT"),
        ('listen = "127.0.0.1:99999"', "ADDRESS:PORT"),
        ('listen = "0.0.0.0:8800"', "reachable from outside"),
        ('listen = "[::]:8800"', "reachable from outside"),
        ('tls_cert = "a.pem"', "go together"),
        ('time_file = "time.json"', "simulated district"),
        ('results_origin = "http://localhost:1"', "simulated district"),
        ("simulated = 1", "Expected `bool`"),
        ("simulated = = 1", "Invalid value"),
        ('tls_cert = ""', "a path is a text"),
    ],
)
def test_each_mistake_is_one_sentence(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(OperatorError, match=words.replace("[", r"\[")) as caught:
        read(tmp_path, f"{line}\n{GOOD}")
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_missing_setting_are_named(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"nowhere\.toml cannot be read"):
        read_settings(tmp_path / "nowhere.toml")
    with pytest.raises(OperatorError, match="missing required field `district`"):
        read(tmp_path, GOOD.replace('district = "district.toml"\n', ""))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_are_settings_or_the_typed_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.toml"
    path.write_bytes(content)
    with pytest.raises(OperatorError):
        read_settings(path)


RESULTS = 'state = "sqlite:state"\ndistrict = "district.toml"\npublic_dir = "public"\n'


def test_the_result_page_of_a_simulated_district_needs_no_certificate_and_a_real_one_does(tmp_path: Path) -> None:
    path = tmp_path / "results.toml"
    path.write_text(f"simulated = true\n{RESULTS}")
    got = read_results_settings(path)
    assert (got.host, got.port, got.scheme) == ("127.0.0.1", 8801, "http")
    path.write_text(f'tls_cert = "a.pem"\ntls_key = "a.key"\nlisten = "0.0.0.0:443"\n{RESULTS}')
    assert read_results_settings(path).scheme == "https"
    path.write_text(RESULTS)
    with pytest.raises(OperatorError, match="https"):
        read_results_settings(path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('series = "sqlite:series"', "unknown field `series`"),
        ('ca_dir = "ca"', "unknown field `ca_dir`"),
        ("volume_mib_per_minute = 0", "at least 1"),
        ('listen = "0.0.0.0:8801"', "reachable from outside"),
    ],
)
def test_the_result_page_is_told_nothing_of_the_rest(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "results.toml"
    path.write_text(f"simulated = true\n{line}\n{RESULTS}")
    with pytest.raises(OperatorError, match=words):
        read_results_settings(path)
